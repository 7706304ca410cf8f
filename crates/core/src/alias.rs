//! An alias: the code that a caller asks for instead of a generated one.

use crate::code::{Code, CodeError};

/// A caller's own choice of code. Any [`Code`] will do, so `Alias` adds no rule; it says where the code came from,
/// and with that what to do when the code is taken: tell the caller, instead of taking the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias(Code);

impl Alias {
    /// Reads an alias as it stands in a request.
    ///
    /// # Errors
    /// [`CodeError`] naming the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        Code::parse(text).map(Self)
    }

    /// The code that this alias asks for.
    #[must_use]
    pub fn into_code(self) -> Code {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_alias_is_an_error_and_not_an_absent_one() {
        assert_eq!(Alias::parse(""), Err(CodeError::Empty));
    }

    #[test]
    fn an_alias_longer_than_32_characters_is_refused() {
        assert_eq!(Alias::parse(&"a".repeat(33)), Err(CodeError::TooLong));
    }

    #[test]
    fn case_matters() {
        assert_ne!(Alias::parse("Sale").unwrap(), Alias::parse("sale").unwrap());
    }

    proptest! {
        #[test]
        fn an_alias_is_kept_to_the_letter(text in "\\PC{0,40}") {
            if let Ok(code) = Alias::parse(&text).map(Alias::into_code) {
                prop_assert_eq!(code.as_str(), text);
            }
        }
    }
}
