//! How the pool, the counter and the partitions stand, for whoever watches over them.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::codes::{Pool, State};
use crate::config::Settings;
use crate::database;
use crate::partitions::{Place, partitions};

/// Looked at that far ahead, as `--ahead` can ask for.
const MONTHS: i32 = 120;

/// What could be found out; `None` stands for what could not.
#[derive(Debug, Default)]
pub struct Observation {
    /// Codes in the pool.
    pub codes_available: Option<u64>,
    /// Numbers that the counter can still issue.
    pub codes_remaining: Option<u64>,
    /// Months in a row after this one that have a partition; -1 when this one has none.
    pub partitions_ahead: Option<i32>,
    /// Links in each attached partition, as Postgres estimates them.
    pub links: Vec<(String, i64)>,
}

impl Observation {
    /// Looks everywhere, also when one place cannot be seen.
    ///
    /// # Errors
    /// Why something could not be found out. The rest is there.
    pub async fn fill(&mut self, settings: &Settings) -> Result<()> {
        let pool = async { Pool::connect(settings).await?.len().await };
        let (pool, database) = tokio::join!(pool, self.look_into_database(settings));
        self.codes_available = pool.as_ref().ok().copied();
        pool?;
        database
    }

    async fn look_into_database(&mut self, settings: &Settings) -> Result<()> {
        let client = database::connect(settings).await?;
        self.codes_remaining = Some(State::read(&client).await?.remaining());
        self.partitions_ahead = Some(months_ahead(&client).await?);
        let attached = partitions(&client).await?.into_iter().filter(|one| one.place == Place::Attached);
        self.links = attached.filter_map(|one| Some((one.name, one.rows?))).collect();
        Ok(())
    }
}

async fn months_ahead(client: &Client) -> Result<i32> {
    let sql = "select coalesce(min(n), $1 + 1) - 1 from generate_series(0, $1) n
               where not shortlink.short_link_partition_exists(
                   (date_trunc('month', now() at time zone 'UTC') + make_interval(months => n)) at time zone 'UTC')";
    let row = client.query_one(sql, &[&MONTHS]).await.context("cannot count the months ahead")?;
    Ok(row.get(0))
}
