//! `partitions create`: a partition for each month asked for.

use anyhow::{Context, Result};
use serde_json::json;
use tokio_postgres::Client;

use super::month::Month;
use crate::config::Settings;
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
    for month in starts(&client, months).await? {
        let (name, is_new) = create_one(&mut client, &month)
            .await
            .with_context(|| format!("cannot make the partition of {month}"))?;
        if is_new { created.push(name) } else { existing.push(name) }
    }
    let human = format!("created {}; there already: {}", listed(&created), listed(&existing));
    report.say("partitions_created", &json!({"created": created, "existing": existing}), &human);
    Ok(())
}

/// `YYYY-MM` of each month.
async fn starts(client: &Client, months: &Months) -> Result<Vec<String>> {
    match months {
        Months::Named(months) => Ok(months.iter().map(ToString::to_string).collect()),
        Months::Ahead(ahead) => {
            let sql = "select to_char(date_trunc('month', now() at time zone 'UTC') + make_interval(months => n), 'YYYY-MM')
                       from generate_series(0, $1) n";
            let rows = client.query(sql, &[&i32::from(*ahead)]).await?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        }
    }
}

/// The partition's name, and whether this call made it.
async fn create_one(client: &mut Client, month: &str) -> Result<(String, bool)> {
    // The lock is the function's own: taken before looking, so that one of several at once can say it was the maker.
    let transaction = client.transaction().await?;
    transaction.batch_execute("set local lock_timeout = '5s'").await?;
    Lock::CreatePartition.acquire_in(&transaction).await?;
    let start = "($1::text || '-01 00:00:00+00')::timestamptz";
    let sql = format!("select shortlink.short_link_partition_exists({start})");
    let existed: bool = transaction.query_one(&sql, &[&month]).await?.get(0);
    let sql = format!("select shortlink.create_short_link_partition({start})");
    let name = transaction.query_one(&sql, &[&month]).await?.get(0);
    transaction.commit().await?;
    Ok((name, !existed))
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
