//! The state of the pool, the counter, the partitions, the keys and the changes, for monitoring.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::changes;
use crate::codes::{Pool, State};
use crate::config::Settings;
use crate::database;
use crate::keys;
use crate::partitions::{Place, partitions};

/// How many months ahead are checked: as many as `--ahead` allows.
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
    /// API keys that are neither expired nor revoked.
    pub keys: Option<u64>,
    /// Changes of links that the redirect cache has not followed for certain.
    pub changes_waiting: Option<u64>,
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
        self.keys = Some(keys::count_good(&client).await?);
        self.changes_waiting = Some(changes::count(&client).await?);
        Ok(())
    }
}

async fn months_ahead(client: &Client) -> Result<i32> {
    // Both ends of a month, since the bounds of a partition may be shifted; of this month, what is left of it.
    let sql = "with parts as materialized (select * from shortlink.short_link_partitions()),
                    months as (
                        select n, (date_trunc('month', now() at time zone 'UTC') + make_interval(months => n))
                                      at time zone 'UTC' as starts,
                               (date_trunc('month', now() at time zone 'UTC') + make_interval(months => n + 1))
                                      at time zone 'UTC' - interval '1 microsecond' as ends
                        from generate_series(0, $1) n
                    )
               select coalesce(min(n), $1 + 1) - 1 from months
               where not exists (select from parts where greatest(starts, now()) >= starts_at and greatest(starts, now()) < ends_at)
                   or not exists (select from parts where ends >= starts_at and ends < ends_at)";
    let row = client.query_one(sql, &[&MONTHS]).await.context("cannot count the months ahead")?;
    Ok(row.get(0))
}
