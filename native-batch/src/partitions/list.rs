//! `partitions list`: every partition, how large it is, and until when it is needed.

use anyhow::Result;
use serde_json::{Value, json};

use super::catalog::{self, Partition, Place, Time};
use crate::config::Settings;
use crate::database;
use crate::report::Report;

pub async fn list(settings: &Settings, report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    let mut table =
        vec![["PARTITION", "FROM", "UNTIL", "ROWS", "SIZE", "LAST EXPIRY", "STATE"].map(String::from)];
    let mut objects = Vec::new();
    for partition in catalog::partitions(&client).await? {
        let expiry = catalog::last_expiry(&client, &partition).await?;
        objects.push(object(&partition, expiry.as_ref()));
        table.push(line(&partition, expiry.as_ref()));
    }
    report.say("partitions", &json!({"partitions": objects}), &aligned(&table));
    Ok(())
}

fn state(partition: &Partition, expiry: Option<&(String, bool)>) -> &'static str {
    match (partition.place, partition.time) {
        (Place::Detaching, _) => "detaching",
        (Place::Detached, _) => "detached",
        (_, Time::Future) => "future",
        (_, Time::Current) => "current",
        (_, Time::Closed) if expiry.is_none_or(|(_, over)| *over) => "expired",
        (_, Time::Closed) => "live",
    }
}

fn object(partition: &Partition, expiry: Option<&(String, bool)>) -> Value {
    json!({
        "name": partition.name,
        "from": partition.from,
        "until": partition.until,
        "rows": partition.rows,
        "bytes": partition.size,
        "last_expiry": expiry.map(|(at, _)| at),
        "state": state(partition, expiry),
    })
}

fn line(partition: &Partition, expiry: Option<&(String, bool)>) -> [String; 7] {
    let day = |instant: &str| instant.split('T').next().unwrap_or_default().to_owned();
    [
        partition.name.clone(),
        day(&partition.from),
        day(&partition.until),
        partition.rows.map_or_else(|| "?".into(), |rows| format!("~{rows}")),
        indicatif::BinaryBytes(u64::try_from(partition.size).unwrap_or_default()).to_string(),
        expiry.map_or_else(|| "-".into(), |(at, _)| at.clone()),
        state(partition, expiry).into(),
    ]
}

fn aligned<const N: usize>(table: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for line in table {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.len().max(*width);
        }
    }
    let show = |line: &[String; N]| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(show).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(place: Place, time: Time) -> Partition {
        let text = String::new;
        Partition {
            name: text(),
            from: text(),
            until: text(),
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
        assert_eq!(state(&closed, Some(&(String::new(), false))), "live");
        assert_eq!(state(&closed, Some(&(String::new(), true))), "expired");
        assert_eq!(state(&closed, None), "expired");
        assert_eq!(state(&partition(Place::Detaching, Time::Closed), None), "detaching");
        assert_eq!(state(&partition(Place::Attached, Time::Current), None), "current");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let table = [["a", "long"].map(String::from), ["wide", "b"].map(String::from)];
        assert_eq!(aligned(&table), "a     long\nwide  b");
    }
}
