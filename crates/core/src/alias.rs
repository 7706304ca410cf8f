//! An alias: the code that a caller asks for instead of a generated one.

use thiserror::Error;

use crate::code::Code;

/// How many characters an alias may have.
const MAX_LENGTH: usize = 32;
/// First segments of paths that are the service's own, now or later.
const RESERVED: [&str; 11] =
    ["v1", "docs", "robots", "favicon", "health", "static", "assets", "admin", "api", "login", "index"];

/// A caller's own choice of code: 1 to 32 characters of `0-9a-zA-Z-` that begin and end with a base62 character, and not a
/// word that the service keeps for its own paths. When the code is taken, the caller is told, instead of given the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias(Code);

/// Why a text is no alias. Each message completes the sentence "`alias` …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AliasError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text has more than 32 characters.
    #[error("must have at most {MAX_LENGTH} characters")]
    TooLong,
    /// A character is neither base62 nor a hyphen.
    #[error("may only hold the characters 0-9, a-z, A-Z and -")]
    Character,
    /// The first or the last character is a hyphen.
    #[error("must begin and end with a letter or a digit")]
    Hyphen,
    /// The service keeps the word for its own paths.
    #[error("is reserved; choose another")]
    Reserved,
}

impl Alias {
    /// Reads an alias as it stands in a request.
    ///
    /// # Errors
    /// [`AliasError`] naming the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, AliasError> {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(AliasError::Empty);
        };
        if !bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
            return Err(AliasError::Character);
        }
        if bytes.len() > MAX_LENGTH {
            return Err(AliasError::TooLong);
        }
        if !(first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric()) {
            return Err(AliasError::Hyphen);
        }
        if is_reserved(text) {
            return Err(AliasError::Reserved);
        }
        // Every alias has the form of a code.
        Code::parse(text).map(Self).map_err(|_| AliasError::Character)
    }

    /// The code that this alias asks for.
    #[must_use]
    pub fn into_code(self) -> Code {
        self.0
    }
}

/// Whether the service keeps this word for its own paths.
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_rule_has_its_own_error() {
        assert_eq!(Alias::parse(""), Err(AliasError::Empty));
        assert_eq!(Alias::parse(&"a".repeat(33)), Err(AliasError::TooLong));
        for text in ["%00", "a b", "é", "a_b"] {
            assert_eq!(Alias::parse(text), Err(AliasError::Character), "{text}");
        }
        for text in ["-a", "a-", "-"] {
            assert_eq!(Alias::parse(text), Err(AliasError::Hyphen), "{text}");
        }
        for word in RESERVED {
            assert_eq!(Alias::parse(word), Err(AliasError::Reserved), "{word}");
        }
    }

    #[test]
    fn case_matters() {
        assert_ne!(Alias::parse("Sale").unwrap(), Alias::parse("sale").unwrap());
        assert!(Alias::parse("Docs").is_ok());
    }

    proptest! {
        #[test]
        fn an_alias_is_kept_to_the_letter(text in "\\PC{0,40}") {
            if let Ok(code) = Alias::parse(&text).map(Alias::into_code) {
                prop_assert_eq!(code.as_str(), text);
            }
        }

        #[test]
        fn every_text_of_the_documented_form_is_an_alias(
            text in "[0-9a-zA-Z]([0-9a-zA-Z-]{0,30}[0-9a-zA-Z])?"
        ) {
            prop_assert!(Alias::parse(&text).is_ok() || is_reserved(&text));
        }
    }
}
