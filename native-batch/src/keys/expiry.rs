//! When a key expires.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use shortlink_core::Timestamp;
use thiserror::Error;

/// When a key expires: from this instant on it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExpiry(DateTime<Utc>);

/// The text is no expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a date such as 2031-01-01, or an RFC 3339 time with an offset")]
pub struct KeyExpiryError;

impl KeyExpiry {
    /// The instant.
    #[must_use]
    pub fn at(self) -> DateTime<Utc> {
        self.0
    }
}

impl FromStr for KeyExpiry {
    type Err = KeyExpiryError;

    /// A date stands for its first instant in UTC.
    fn from_str(text: &str) -> Result<Self, KeyExpiryError> {
        let at = Timestamp::parse_rfc3339(text)
            .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
            .ok_or(KeyExpiryError)?;
        DateTime::from_timestamp_millis(at.unix_millis()).map(Self).ok_or(KeyExpiryError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_first_instant_in_utc() {
        for (text, expected) in [
            ("2031-01-02", "2031-01-02T00:00:00+00:00"),
            ("2031-01-02T03:04:05Z", "2031-01-02T03:04:05+00:00"),
            ("2031-01-02T03:04:05+02:00", "2031-01-02T01:04:05+00:00"),
        ] {
            assert_eq!(text.parse::<KeyExpiry>().unwrap().at().to_rfc3339(), expected);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "never", "2031", "2031-13-01", "2031-02-30", "2031-1-1", "+031-01-01", "2031-01-02T03:04:05"]
        {
            assert_eq!(text.parse::<KeyExpiry>(), Err(KeyExpiryError), "{text}");
        }
    }
}
