//! Points in time, in the one resolution that Postgres, the cache and the API all carry without loss.

use chrono::DateTime;

/// Milliseconds since 1970-01-01T00:00:00Z. `core` never reads a clock: the caller passes the time in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The last millisecond of the year 9999.
const LAST_MILLIS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// From RFC 3339 text with an offset, such as `2030-01-02T03:04:05+01:00`; anything finer than a millisecond
    /// is cut off. `None` when the text is of another form, or a leap second: no clock here has any.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // The library also takes a minus sign that RFC 3339 does not have.
        let time = text.is_ascii().then(|| DateTime::parse_from_rfc3339(text).ok()).flatten()?;
        let is_leap_second = time.timestamp_subsec_nanos() >= 1_000_000_000;
        // In UTC it may be in the year 10000, which the format does not have.
        let is_beyond = time.timestamp_millis() > LAST_MILLIS;
        (!is_leap_second && !is_beyond).then(|| Self(time.timestamp_millis()))
    }

    /// This time plus a number of days, at most the last time there is.
    #[must_use]
    pub const fn plus_days(self, days: u32) -> Self {
        const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
        Self(self.0.saturating_add((days as i64).saturating_mul(DAY_MILLIS)))
    }

    /// Milliseconds from `earlier` to this time; 0 when this time is not later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}
