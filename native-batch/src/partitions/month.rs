//! A month in UTC, and the partition that is named after it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use thiserror::Error;

/// A month of a year, `YYYY-MM`; in UTC, as the partitions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    /// Its first day.
    first: NaiveDate,
}

/// The text is no month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a month such as 2026-01")]
pub struct MonthError;

impl Month {
    /// The month of an instant.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        let date = at.date_naive();
        Self { first: date.with_day(1).unwrap_or(date) }
    }

    /// The month so many months later.
    #[must_use]
    pub fn after(self, months: u32) -> Self {
        Self { first: self.first + Months::new(months) }
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        self.first.and_time(chrono::NaiveTime::MIN).and_utc()
    }

    /// The name of its partition.
    #[must_use]
    pub fn partition_name(self) -> String {
        self.first.format("short_link_%Y%m").to_string()
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let is_well_formed =
            text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let (year, month) =
            text.split_once('-').filter(|(year, _)| is_well_formed && year.len() == 4).ok_or(MonthError)?;
        let (year, month) = (year.parse().map_err(|_| MonthError)?, month.parse().map_err(|_| MonthError)?);
        let first = NaiveDate::from_ymd_opt(year, month, 1).filter(|_| year >= 1000);
        first.map(|first| Self { first }).ok_or(MonthError)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first.format("%Y-%m"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_four_digit_year_and_a_real_month_will_do() {
        assert_eq!("2026-01".parse::<Month>().unwrap().to_string(), "2026-01");
        for bad in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "2026-1",
            "26-0001",
            "-026-01",
            "20261-1",
            "2026-01-01",
            "2026/01",
        ] {
            assert_eq!(bad.parse::<Month>(), Err(MonthError), "{bad}");
        }
    }

    #[test]
    fn a_month_knows_its_start_and_its_partition() {
        let december: Month = "2026-12".parse().unwrap();
        assert_eq!(december.partition_name(), "short_link_202612");
        assert_eq!(december.after(2).start().to_rfc3339(), "2027-02-01T00:00:00+00:00");
        assert_eq!(Month::of(december.after(1).start() - chrono::TimeDelta::nanoseconds(1)), december);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_what_it_accepts(text in "\\PC{0,9}") {
            if let Ok(month) = text.parse::<Month>() {
                prop_assert_eq!(month.to_string(), text);
            }
        }
    }
}
