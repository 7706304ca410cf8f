//! When a link ends.

use std::fmt;

use thiserror::Error;

use crate::time::Timestamp;

/// The longest life that a setting may give links, in days: a century. Everything on the way of a link carries it.
pub const MAX_LIFETIME_DAYS: u32 = 36_500;

/// How an expiry without an end is written in the cache and by the database.
const NEVER: &str = "never";

/// When a link expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The link is expired from this time on.
    At(Timestamp),
    /// The link has no end.
    Never,
}

/// How long links may live, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifetimeLimits {
    /// The life of a link whose creator names no expiry.
    pub default_ttl_days: u32,
    /// The longest life that a creator may ask for; `None` is no limit, and allows links without an end.
    pub max_ttl_days: Option<u32>,
}

/// Why a text is no expiry. Each message completes the sentence "`expires_at` …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ExpiryError {
    /// Not RFC 3339, or without an offset.
    #[error("must be an RFC 3339 time with an offset, such as 2030-01-02T03:04:05Z")]
    Format,
    /// No end, where there is a limit.
    #[error("must be at most {max_ttl_days} days ahead: links without an end are not allowed here")]
    Endless {
        /// The limit.
        max_ttl_days: u32,
    },
    /// Now or earlier.
    #[error("must be later than now")]
    Past,
    /// Further ahead than [`LifetimeLimits::max_ttl_days`].
    #[error("must be at most {max_ttl_days} days ahead")]
    TooFar {
        /// The limit that was passed.
        max_ttl_days: u32,
    },
}

impl Expiry {
    /// Reads an expiry that a creator asks for: an RFC 3339 time with an offset, or `never`.
    ///
    /// # Errors
    /// [`ExpiryError`] naming the rule that is broken.
    pub fn parse(text: &str, now: Timestamp, limits: LifetimeLimits) -> Result<Self, ExpiryError> {
        if text == NEVER {
            let endless = |max_ttl_days| Err(ExpiryError::Endless { max_ttl_days });
            return limits.max_ttl_days.map_or(Ok(Self::Never), endless);
        }
        let at = Timestamp::parse_rfc3339(text).ok_or(ExpiryError::Format)?;
        if at <= now {
            return Err(ExpiryError::Past);
        }
        match limits.max_ttl_days {
            Some(max_ttl_days) if at > now.plus_days(max_ttl_days) => {
                Err(ExpiryError::TooFar { max_ttl_days })
            }
            _ => Ok(Self::At(at)),
        }
    }

    /// The expiry of a link whose creator names none.
    #[must_use]
    pub fn default_from(now: Timestamp, limits: LifetimeLimits) -> Self {
        Self::At(now.plus_days(limits.default_ttl_days))
    }

    /// The expiry of a link that is already stored.
    #[must_use]
    pub const fn stored(at: Timestamp) -> Self {
        Self::At(at)
    }

    /// Reads an expiry back from the cache or the database; see its `Display`.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        if text == NEVER {
            return Some(Self::Never);
        }
        text.parse().ok().map(|millis| Self::At(Timestamp::from_unix_millis(millis)))
    }

    /// The time from which on the link is expired; `None` for a link without an end.
    #[must_use]
    pub const fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Never => None,
        }
    }

    /// Whether the link is expired at this time; it is from the very millisecond of its expiry on.
    #[must_use]
    pub fn is_expired(self, now: Timestamp) -> bool {
        self.at().is_some_and(|at| at <= now)
    }

    /// Milliseconds until the link expires; 0 when it has, [`u64::MAX`] when it never does.
    #[must_use]
    pub fn millis_left(self, now: Timestamp) -> u64 {
        self.at().map_or(u64::MAX, |at| at.millis_since(now))
    }
}

/// Unix milliseconds, or `never`.
impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.unix_millis().fmt(f),
            Self::Never => f.write_str(NEVER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000); // 2027-01-15T08:00:00Z
    const LIMITS: LifetimeLimits = LifetimeLimits { default_ttl_days: 14, max_ttl_days: Some(1826) };

    #[test]
    fn offsets_are_honoured() {
        let utc = Expiry::parse("2027-01-15T09:00:00Z", NOW, LIMITS).unwrap();
        assert_eq!(Expiry::parse("2027-01-15T14:30:00+05:30", NOW, LIMITS), Ok(utc));
        assert_eq!(utc.millis_left(NOW), 3_600_000);
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        for text in [
            "2027-01-15T09:00:00",
            "2027-01-15",
            "1800000000",
            "",
            "tomorrow",
            "2027-02-30T00:00:00Z",
            "Never",
        ] {
            assert_eq!(Expiry::parse(text, NOW, LIMITS), Err(ExpiryError::Format), "{text}");
        }
    }

    #[test]
    fn a_leap_second_a_minus_that_is_not_ascii_and_the_year_10000_are_refused() {
        for text in [
            "9999-12-31T23:59:59-12:00",
            "2027-01-15T09:00:60Z",
            "2027-06-30T23:59:60Z",
            "2027-01-15T09:00:00\u{2212}05:00",
        ] {
            assert_eq!(Expiry::parse(text, NOW, LIMITS), Err(ExpiryError::Format), "{text}");
        }
    }

    #[test]
    fn an_expiry_is_read_back_as_it_was_written() {
        for expiry in [Expiry::stored(NOW), Expiry::stored(Timestamp::from_unix_millis(-1)), Expiry::Never] {
            assert_eq!(Expiry::decode(&expiry.to_string()), Some(expiry));
        }
        assert_eq!(["", "-", "Never", "1.5", "99999999999999999999"].map(Expiry::decode), [None; 5]);
    }

    #[test]
    fn a_link_without_an_end_never_expires() {
        let end_of_time = Timestamp::from_unix_millis(i64::MAX);
        assert!(!Expiry::Never.is_expired(end_of_time));
        assert_eq!(Expiry::Never.millis_left(end_of_time), u64::MAX);
    }

    #[test]
    fn now_is_already_too_late_and_a_millisecond_later_is_not() {
        assert_eq!(Expiry::parse("2027-01-15T08:00:00Z", NOW, LIMITS), Err(ExpiryError::Past));
        assert_eq!(Expiry::parse("2027-01-15T08:00:00.0009Z", NOW, LIMITS), Err(ExpiryError::Past));
        assert!(Expiry::parse("2027-01-15T08:00:00.001Z", NOW, LIMITS).is_ok());
    }

    #[test]
    fn the_longest_life_is_1826_days() {
        assert!(Expiry::parse("2032-01-15T08:00:00Z", NOW, LIMITS).is_ok());
        let error = Expiry::parse("2032-01-15T08:00:00.001Z", NOW, LIMITS).unwrap_err();
        assert_eq!(error.to_string(), "must be at most 1826 days ahead");
    }

    #[test]
    fn a_link_without_an_end_needs_a_service_without_a_limit() {
        let error = Expiry::parse("never", NOW, LIMITS).unwrap_err();
        assert_eq!(
            error.to_string(),
            "must be at most 1826 days ahead: links without an end are not allowed here"
        );
        let unlimited = LifetimeLimits { max_ttl_days: None, ..LIMITS };
        assert_eq!(Expiry::parse("never", NOW, unlimited), Ok(Expiry::Never));
        assert!(Expiry::parse("9999-12-31T23:59:59Z", NOW, unlimited).is_ok());
        assert_eq!(Expiry::parse("2027-01-15T08:00:00Z", NOW, unlimited), Err(ExpiryError::Past));
    }

    #[test]
    fn a_link_is_expired_from_its_expiry_on() {
        let expiry = Expiry::stored(NOW);
        assert!(!expiry.is_expired(Timestamp::from_unix_millis(NOW.unix_millis() - 1)));
        assert!(expiry.is_expired(NOW));
        assert_eq!(expiry.millis_left(NOW.plus_days(1)), 0);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_the_limits(text in "\\PC{0,40}|[0-9TtZz:.+-]{0,40}", now: i64) {
            let now = Timestamp::from_unix_millis(now);
            if let Ok(expiry) = Expiry::parse(&text, now, LIMITS) {
                let at = expiry.at().unwrap();
                prop_assert!(at > now && at <= now.plus_days(1826));
            }
        }

        #[test]
        fn a_printed_time_is_read_back(seconds in 1_u32..157_766_400) {
            let at = NOW.unix_millis() + i64::from(seconds) * 1000;
            let text = chrono::DateTime::from_timestamp_millis(at).unwrap().to_rfc3339();
            prop_assert_eq!(Expiry::parse(&text, NOW, LIMITS).map(|e| e.at().unwrap().unix_millis()), Ok(at));
        }
    }
}
