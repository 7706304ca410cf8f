//! `partitions drop --expired`: drops the partitions whose links have all expired.

use anyhow::{Result, bail};
use serde_json::json;
use tokio_postgres::Client;

use super::catalog::{self, Partition, Place, Time};
use super::retire;
use crate::cli::Grace;
use crate::config::Settings;
use crate::database::{self, Lock};
use crate::report::Report;

pub async fn drop_expired(settings: &Settings, grace: Grace, dry_run: bool, report: &Report) -> Result<()> {
    let lock = database::connect(settings).await?;
    let mut client = database::connect(settings).await?;
    let done = Lock::DropPartitions.unless_held(&lock, drop_all(&mut client, grace, dry_run, report)).await?;
    if done.is_none() {
        report.say("busy", &json!({"command": "partitions drop"}), "another batch is dropping partitions");
    }
    Ok(())
}

async fn drop_all(client: &mut Client, grace: Grace, dry_run: bool, report: &Report) -> Result<()> {
    // Bounds how long others queue behind this session, and how long a detach waits.
    client.batch_execute("set lock_timeout = '5s'; set statement_timeout = '10min'").await?;
    let (mut dropped, mut kept, mut failed) = (Vec::new(), Vec::new(), 0);
    for partition in catalog::partitions(client).await? {
        match consider(client, &partition, grace, dry_run).await {
            Ok(true) => dropped.push(partition.name),
            Ok(false) => kept.push(partition.name),
            Err(error) => {
                failed += 1;
                report.step_error(&partition.name, &error);
            }
        }
    }
    let verb = if dry_run { "would drop" } else { "dropped" };
    let names = if dropped.is_empty() { "nothing".into() } else { dropped.join(", ") };
    let fields = json!({"dropped": dropped, "kept": kept, "dry_run": dry_run, "grace_days": grace.days});
    report.say("partitions_dropped", &fields, &format!("{verb} {names}; kept {}", kept.len()));
    if failed > 0 {
        bail!("{failed} partitions could not be dropped");
    }
    Ok(())
}

/// Whether the partition was dropped, or would be.
async fn consider(client: &mut Client, partition: &Partition, grace: Grace, dry_run: bool) -> Result<bool> {
    let is_due = match partition.place {
        // Only a drop that this batch began is finished. A table that somebody else detaches, say to keep it as an
        // archive, is not the batch's to drop.
        Place::Detached | Place::Detaching => partition.drop_started,
        Place::Attached => {
            partition.time == Time::Closed && has_expired(client, partition, grace, dry_run).await?
        }
    };
    if is_due && !dry_run {
        return retire::retire(client, partition, grace).await;
    }
    if partition.drop_started && !dry_run {
        retire::cancel(client, &partition.name).await?;
    }
    Ok(is_due)
}

/// Whether every link expired longer ago than the grace period, by what is stored about the partition.
async fn has_expired(client: &Client, partition: &Partition, grace: Grace, dry_run: bool) -> Result<bool> {
    let last = catalog::last_expiry(client, partition).await?;
    if !dry_run {
        catalog::store_last_expiry(client, partition, last).await?;
    }
    let sql = "select $1::timestamptz + make_interval(days => $2) <= now()";
    Ok(client.query_one(sql, &[&last, &i32::from(grace.days)]).await?.get(0))
}
