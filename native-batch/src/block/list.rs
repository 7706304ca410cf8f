//! `block list`: the blocked hosts.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::config::Settings;
use crate::database;
use crate::report::Report;
use crate::table::{aligned, instant};

pub async fn list(settings: &Settings, report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    let rows = client
        .query("select host, created_at from shortlink.blocked_host order by host", &[])
        .await
        .context("cannot list the blocked hosts (has `shortlink-batch migrate` run?)")?;
    let hosts: Vec<(&str, String)> = rows.iter().map(|row| (row.get(0), instant(row.get(1)))).collect();
    let mut table = vec![["HOST", "SINCE"].map(String::from)];
    table.extend(hosts.iter().map(|(host, since)| [(*host).to_owned(), since.clone()]));
    let objects: Vec<Value> =
        hosts.iter().map(|(host, since)| json!({"host": host, "since": since})).collect();
    report.say("blocked_hosts", &json!({"hosts": objects}), &aligned(&table));
    Ok(())
}
