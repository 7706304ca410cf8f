//! `partitions drop --expired`: which partitions have outlived all of their links.

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio_postgres::Client;

use super::catalog::{self, Partition, Place, Time};
use super::retire;
use crate::cli::Grace;
use crate::config::Settings;
use crate::database::{self, Lock};
use crate::report::Report;

pub async fn drop_expired(settings: &Settings, grace: Grace, dry_run: bool, report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    let done = Lock::DropPartitions.unless_held(&client, drop_all(&client, grace, dry_run, report)).await?;
    if done.is_none() {
        report.say("busy", &json!({"command": "partitions drop"}), "another batch is dropping partitions");
    }
    Ok(())
}

async fn drop_all(client: &Client, grace: Grace, dry_run: bool, report: &Report) -> Result<()> {
    // Nobody queues for long behind this session, and it does not wait for ever to detach.
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
async fn consider(client: &Client, partition: &Partition, grace: Grace, dry_run: bool) -> Result<bool> {
    let due = match partition.place {
        // A table that somebody else detached, say to keep it as an archive, is not the batch's to drop.
        Place::Detached => partition.drop_started,
        Place::Detaching => true,
        Place::Attached => {
            partition.time == Time::Closed && is_over(client, partition, grace, dry_run).await?
        }
    };
    if !due || dry_run {
        return Ok(due);
    }
    retire::retire(client, partition, grace).await
}

/// Whether every link expired longer ago than the grace period, by what is remembered of the partition.
async fn is_over(client: &Client, partition: &Partition, grace: Grace, dry_run: bool) -> Result<bool> {
    if !dry_run {
        remember(client, partition).await?;
    }
    let sql = format!(
        "select last + make_interval(days => $2) <= now()
         from coalesce((select last_expiry from shortlink.closed_partition where partition_name = $1),
                       (select max(expires_at) from shortlink.{}),
                       '-infinity') as last",
        partition.name
    );
    let row = client.query_one(&sql, &[&partition.name, &i32::from(grace.days)]).await?;
    Ok(row.get(0))
}

/// Reads a closed partition once to know when its last link expires, instead of each time the batch runs.
async fn remember(client: &Client, partition: &Partition) -> Result<()> {
    let sql = format!(
        "insert into shortlink.closed_partition (partition_name, last_expiry)
         select $1, coalesce((select max(expires_at) from shortlink.{}), '-infinity')
         where not exists (select from shortlink.closed_partition where partition_name = $1)",
        partition.name
    );
    client
        .execute(&sql, &[&partition.name])
        .await
        .with_context(|| format!("cannot find out when the last link of {} expires", partition.name))?;
    Ok(())
}
