//! `block remove`: links to the hosts are allowed again.

use anyhow::{Context, Result};
use serde_json::json;

use super::BlockedHost;
use crate::config::Settings;
use crate::database;
use crate::report::Report;

pub async fn remove(settings: &Settings, hosts: &[BlockedHost], report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    database::keep_commits(&client).await?;
    let hosts: Vec<&str> = hosts.iter().map(BlockedHost::as_str).collect();
    let rows = client
        .query("delete from shortlink.blocked_host where host = any($1) returning host", &[&hosts])
        .await
        .context("cannot remove the hosts (has `shortlink-batch migrate` run?)")?;
    let removed: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    let human = if removed.is_empty() {
        "none of them was blocked".to_owned()
    } else {
        format!("links to {} are allowed again; those that were disabled stay so", removed.join(", "))
    };
    report.say("unblocked", &json!({"hosts": hosts, "removed": removed}), &human);
    Ok(())
}
