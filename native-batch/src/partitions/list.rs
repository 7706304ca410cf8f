//! `partitions list`: every partition with its real bounds, its size, and when its last link expires.

use anyhow::Result;
use chrono::{DateTime, Timelike, Utc};
use serde_json::{Value, json};
use tokio_postgres::types::Timestamp;

use super::catalog::{self, LastExpiry, Partition, Place, Time};
use crate::config::Settings;
use crate::database;
use crate::report::Report;
use crate::table::{aligned, instant};

pub async fn list(settings: &Settings, report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    let now = client.query_one("select now()", &[]).await?.get(0);
    let mut table =
        vec![["PARTITION", "FROM", "UNTIL", "ROWS", "SIZE", "LAST EXPIRY", "STATE"].map(String::from)];
    let mut objects = Vec::new();
    for partition in catalog::partitions(&client).await? {
        let last = catalog::last_expiry(&client, &partition).await?;
        objects.push(object(&partition, last, now));
        table.push(line(&partition, last, now));
    }
    report.say("partitions", &json!({"partitions": objects}), &aligned(&table));
    Ok(())
}

fn state(partition: &Partition, last: LastExpiry, now: DateTime<Utc>) -> &'static str {
    let has_expired = match last {
        Timestamp::NegInfinity => true,
        Timestamp::PosInfinity => false,
        Timestamp::Value(at) => at <= now,
    };
    match (partition.place, partition.time) {
        (Place::Detaching, _) => "detaching",
        (Place::Detached, _) => "detached",
        (_, Time::Future) => "future",
        (_, Time::Current) => "current",
        (_, Time::Closed) if has_expired => "expired",
        (_, Time::Closed) => "live",
    }
}

fn object(partition: &Partition, last: LastExpiry, now: DateTime<Utc>) -> Value {
    json!({
        "name": partition.name,
        "from": instant(partition.from),
        "until": instant(partition.until),
        "shifted": partition.is_shifted,
        "rows": partition.rows,
        "bytes": partition.size,
        "last_expiry": shown(last),
        "state": state(partition, last, now),
    })
}

fn line(partition: &Partition, last: LastExpiry, now: DateTime<Utc>) -> [String; 7] {
    // The bounds of a month are days; others are shown in full.
    let bound = |at: DateTime<Utc>| {
        if at.num_seconds_from_midnight() == 0 { at.format("%Y-%m-%d").to_string() } else { instant(at) }
    };
    let note = if partition.is_shifted { " (not its month's bounds)" } else { "" };
    [
        partition.name.clone(),
        bound(partition.from),
        bound(partition.until),
        partition.rows.map_or_else(|| "?".into(), |rows| format!("~{rows}")),
        indicatif::BinaryBytes(u64::try_from(partition.size).unwrap_or_default()).to_string(),
        shown(last).unwrap_or_else(|| "-".into()),
        format!("{}{note}", state(partition, last, now)),
    ]
}

/// `None` for a partition without links.
fn shown(last: LastExpiry) -> Option<String> {
    match last {
        Timestamp::NegInfinity => None,
        Timestamp::PosInfinity => Some("never".into()),
        Timestamp::Value(at) => Some(instant(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partitions::Month;

    fn partition(place: Place, time: Time) -> Partition {
        let month: Month = "2026-02".parse().unwrap();
        Partition {
            name: month.partition_name(),
            from: month.start(),
            until: month.after(1).start(),
            is_shifted: false,
            rows: None,
            size: 0,
            place,
            time,
            drop_started: false,
        }
    }

    #[test]
    fn a_closed_partition_is_live_until_its_last_link_expires() {
        let closed = partition(Place::Attached, Time::Closed);
        let (now, earlier) = (closed.until, closed.from);
        assert_eq!(state(&closed, Timestamp::Value(now), earlier), "live");
        assert_eq!(state(&closed, Timestamp::Value(now), now), "expired");
        assert_eq!(state(&closed, Timestamp::NegInfinity, now), "expired");
        assert_eq!(state(&closed, Timestamp::PosInfinity, now), "live");
        let state = |place, time| state(&partition(place, time), Timestamp::NegInfinity, now);
        assert_eq!(state(Place::Detaching, Time::Closed), "detaching");
        assert_eq!(state(Place::Attached, Time::Current), "current");
    }

    #[test]
    fn a_bound_that_is_no_day_is_shown_in_full() {
        let mut shifted = partition(Place::Attached, Time::Closed);
        shifted.from += chrono::TimeDelta::hours(14);
        shifted.is_shifted = true;
        let [_, from, until, .., last, state] = line(&shifted, Timestamp::PosInfinity, shifted.from);
        assert_eq!([&*from, &*until, &*last], ["2026-02-01T14:00:00Z", "2026-03-01", "never"]);
        assert_eq!(state, "live (not its month's bounds)");
    }
}
