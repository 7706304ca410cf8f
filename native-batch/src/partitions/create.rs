//! `partitions create`: a partition for each month asked for.

use anyhow::{Context, Result};
use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::month::Month;
use crate::config::{ConfigError, Settings};
use crate::database::{self, Lock};
use crate::report::Report;

/// The months to have partitions for.
#[derive(Debug)]
pub enum Months {
    /// This one, by the database's clock, and so many after it.
    Ahead(u8),
    /// These.
    Named(Vec<Month>),
}

pub async fn create(settings: &Settings, months: &Months, report: &Report) -> Result<()> {
    let mut client = database::connect(settings).await?;
    let (mut created, mut existing) = (Vec::new(), Vec::new());
    for month in listed_months(&client, months).await? {
        let is_new = create_one(&mut client, month).await?;
        if is_new { created.push(month.partition_name()) } else { existing.push(month.partition_name()) }
    }
    let human = format!("created {}; existed already: {}", listed(&created), listed(&existing));
    report.say("partitions_created", &json!({"created": created, "existing": existing}), &human);
    Ok(())
}

async fn listed_months(client: &Client, months: &Months) -> Result<Vec<Month>> {
    match months {
        Months::Named(months) => Ok(months.clone()),
        Months::Ahead(ahead) => {
            let this = Month::of(client.query_one("select now()", &[]).await?.get(0));
            Ok((0..=u32::from(*ahead)).map(|months| this.after(months)).collect())
        }
    }
}

/// Whether this call created the partition.
async fn create_one(client: &mut Client, month: Month) -> Result<bool> {
    // The function takes the same lock: taken before looking, so that only one of several at once reports a new partition.
    let transaction = client.transaction().await?;
    transaction.batch_execute("set local lock_timeout = '5s'").await?;
    Lock::CreatePartition.acquire_in(&transaction).await?;
    let sql = "select exists (select from shortlink.short_link_partitions() where partition_name = $1)";
    let existed: bool = transaction
        .query_one(sql, &[&month.partition_name()])
        .await
        .context("cannot list the partitions (has `shortlink-batch migrate` run?)")?
        .get(0);
    let created =
        transaction.execute("select shortlink.create_short_link_partition($1)", &[&month.start()]).await;
    match created {
        Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {
            let possible = error.as_db_error().map_or("", |error| error.message());
            return Err(ConfigError::new("--month", format!("cannot be {month}: {possible}")).into());
        }
        created => created.with_context(|| format!("cannot create the partition of {month}"))?,
    };
    transaction.commit().await?;
    Ok(!existed)
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
