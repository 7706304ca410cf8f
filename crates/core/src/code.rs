//! The code of a short link: the last part of its address.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// How many characters a generated code has.
pub const GENERATED_LENGTH: usize = 7;
/// How many characters a stored code may have.
pub const MAX_LENGTH: usize = 64;
/// How many different generated codes there are: 62 to the power of [`GENERATED_LENGTH`].
pub const GENERATED_CODES: u64 = 62_u64.pow(7);

/// A code that a link may live under: 1 to 64 characters of `0-9a-zA-Z_-`, so that links which come from other shorteners keep
/// theirs. Case-sensitive. It says nothing about whether such a link exists. What a creator may ask for is an
/// [`Alias`](crate::Alias).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Code(Box<str>);

/// Why a text is no code. Each message completes the sentence "`<name>` …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodeError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text has more than [`MAX_LENGTH`] characters.
    #[error("must have at most {MAX_LENGTH} characters")]
    TooLong,
    /// A character is neither base62 nor a hyphen or an underscore.
    #[error("may only hold the characters 0-9, a-z, A-Z, - and _")]
    Character,
    /// A pool entry is not made of exactly [`GENERATED_LENGTH`] base62 characters.
    #[error("must be {GENERATED_LENGTH} base62 characters")]
    Generated,
}

impl Code {
    /// Reads a code as it stands in a request's path.
    ///
    /// # Errors
    /// [`CodeError`] when no link could ever have this code.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(CodeError::Empty);
        }
        if !bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(CodeError::Character);
        }
        if bytes.len() > MAX_LENGTH {
            return Err(CodeError::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// Reads an entry of the pool of pre-generated codes.
    ///
    /// # Errors
    /// [`CodeError::Generated`] when the entry is not exactly seven base62 characters.
    pub fn from_pool(entry: &[u8]) -> Result<Self, CodeError> {
        let well_formed = entry.len() == GENERATED_LENGTH && entry.iter().all(u8::is_ascii_alphanumeric);
        match std::str::from_utf8(entry) {
            Ok(text) if well_formed => Ok(Self(text.into())),
            _ => Err(CodeError::Generated),
        }
    }

    /// The generated code of a number; numbers from [`GENERATED_CODES`] on wrap around.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        let digits = base62::encode_alternative(number.checked_rem(GENERATED_CODES).unwrap_or_default());
        Self(format!("{digits:0>GENERATED_LENGTH$}").into())
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_of_one_and_of_64_characters_is_accepted() {
        assert!(Code::parse("a").is_ok());
        assert!(Code::parse(&"Z".repeat(64)).is_ok());
        for text in ["my-link", "_", "-x-", "a_b"] {
            assert_eq!(Code::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn each_rule_has_its_own_error() {
        assert_eq!(Code::parse(""), Err(CodeError::Empty));
        assert_eq!(Code::parse(&"a".repeat(65)), Err(CodeError::TooLong));
        assert_eq!(Code::parse("%00"), Err(CodeError::Character));
        assert_eq!(Code::parse("a b"), Err(CodeError::Character));
        assert_eq!(Code::parse("é"), Err(CodeError::Character));
    }

    #[test]
    fn a_pool_entry_is_exactly_seven_base62_characters() {
        assert_eq!(Code::from_pool(b"0aZ9bC1").unwrap().as_str(), "0aZ9bC1");
        for entry in
            [&b""[..], b"abcdef", b"abcdefgh", b"abc-def", b"abcdef\n", b"\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert_eq!(Code::from_pool(entry), Err(CodeError::Generated));
        }
    }

    #[test]
    fn numbers_become_seven_characters_of_the_alphabet_in_order() {
        assert_eq!(Code::from_number(0).as_str(), "0000000");
        assert_eq!(Code::from_number(10).as_str(), "000000a");
        assert_eq!(Code::from_number(36).as_str(), "000000A");
        assert_eq!(Code::from_number(GENERATED_CODES - 1).as_str(), "ZZZZZZZ");
        assert_eq!(Code::from_number(GENERATED_CODES), Code::from_number(0));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_accepts_what_it_prints(text in "\\PC{0,70}") {
            if let Ok(code) = Code::parse(&text) {
                prop_assert_eq!(Code::parse(&code.to_string()), Ok(code));
            }
        }

        #[test]
        fn every_text_of_the_documented_form_is_a_code(text in "[0-9a-zA-Z_-]{1,64}") {
            prop_assert!(Code::parse(&text).is_ok());
        }

        #[test]
        fn every_number_gives_a_pool_entry(number: u64) {
            let code = Code::from_number(number);
            prop_assert_eq!(Code::from_pool(code.as_str().as_bytes()), Ok(code));
        }

        #[test]
        fn pool_bytes_never_panic(entry in proptest::collection::vec(any::<u8>(), 0..16)) {
            if let Ok(code) = Code::from_pool(&entry) {
                prop_assert_eq!(code.as_str().as_bytes(), &entry[..]);
            }
        }
    }
}
