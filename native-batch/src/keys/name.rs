//! The name of a key.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const MAX_LENGTH: usize = 64;

/// What a key is called: 1 to 64 visible ASCII characters without quotes, commas and backslashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName(String);

/// The text is no name of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to {MAX_LENGTH} visible ASCII characters without quotes, commas and backslashes")]
pub struct KeyNameError;

impl KeyName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"'`,\\".contains(&byte);
        let is_name = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_allowed);
        if is_name { Ok(Self(text.to_owned())) } else { Err(KeyNameError) }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_1_to_64_visible_ascii_characters() {
        for name in ["c", "ci", "team/web:prod@eu-1", &"n".repeat(64)] {
            assert_eq!(name.parse::<KeyName>().unwrap().as_str(), name);
        }
        for text in ["", " ", "two words", "é", "a,b", "it's", "a\"b", "a\\b", "a\n", &"n".repeat(65)] {
            assert_eq!(text.parse::<KeyName>(), Err(KeyNameError), "{text}");
        }
    }
}
