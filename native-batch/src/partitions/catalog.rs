//! The partitions, read from Postgres' catalogue.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use tokio_postgres::types::Timestamp;
use tokio_postgres::{Client, Row};

/// How long after its end a partition counts as closed. A link's `created_at` is read when its create begins, and by then
/// no create that began before the end is still in flight.
const CLOSED_AFTER: &str = "1 hour";

/// One table named as a partition is; its name holds nothing but letters, digits and underscores.
#[derive(Debug)]
pub struct Partition {
    pub name: String,
    /// First instant and first instant after: the real bounds while attached, else those of the month in its name.
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// Whether the bounds are not those of the month.
    pub is_shifted: bool,
    /// An estimate; `None` before Postgres has ever counted.
    pub rows: Option<i64>,
    /// Bytes with indexes.
    pub size: i64,
    pub place: Place,
    pub time: Time,
    /// The batch has begun to drop it.
    pub drop_started: bool,
}

/// How the table is connected to `short_link`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Attached,
    /// Half detached: `detach partition .. concurrently` was interrupted, or is in progress.
    Detaching,
    Detached,
}

/// How the bounds relate to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Future,
    Current,
    /// No link will be added any more.
    Closed,
}

/// When the last link of a partition expires: `NegInfinity` when it is empty, `PosInfinity` when one never does.
pub type LastExpiry = Timestamp<DateTime<Utc>>;

pub async fn partitions(client: &Client) -> Result<Vec<Partition>> {
    let sql = format!(
        "with tables as materialized (
             select oid, relname::text as name, reltuples,
                    make_timestamptz(substr(relname, 12, 4)::int, substr(relname, 16, 2)::int, 1, 0, 0, 0, 'UTC') as month
             from pg_catalog.pg_class
             where relnamespace = 'shortlink'::regnamespace and relkind = 'r'
                 and relname ~ '^short_link_[1-9][0-9]{{3}}(0[1-9]|1[0-2])$'
         ), months as (
             select *, (month at time zone 'UTC' + interval '1 month') at time zone 'UTC' as next from tables
         ), bounds as (
             select months.*,
                    case when isfinite(starts_at) then starts_at else month end as starts,
                    case when isfinite(ends_at) then ends_at else next end as ends
             from months left join shortlink.short_link_partitions() on partition_name = name
         )
         select name, coalesce(starts, month), coalesce(ends, next), nullif(reltuples, -1)::bigint,
                coalesce(pg_total_relation_size(oid), 0),
                i.inhdetachpending,
                coalesce(starts, month) > now(), coalesce(ends, next) + interval '{CLOSED_AFTER}' <= now(),
                coalesce(drop_started_at is not null, false),
                coalesce((starts, ends) <> (month, next), false)
         from bounds
         left join pg_catalog.pg_inherits i on i.inhrelid = oid and i.inhparent = 'shortlink.short_link'::regclass
         left join shortlink.closed_partition on partition_name = name
         order by name"
    );
    let rows = client
        .query(&sql, &[])
        .await
        .context("cannot list the partitions (has `shortlink-batch migrate` run?)")?;
    Ok(rows.iter().map(partition).collect())
}

fn partition(row: &Row) -> Partition {
    Partition {
        name: row.get(0),
        from: row.get(1),
        until: row.get(2),
        rows: row.get(3),
        size: row.get(4),
        place: match row.get(5) {
            Some(false) => Place::Attached,
            Some(true) => Place::Detaching,
            None => Place::Detached,
        },
        time: match (row.get(6), row.get(7)) {
            (true, _) => Time::Future,
            (_, true) => Time::Closed,
            _ => Time::Current,
        },
        drop_started: row.get(8),
        is_shifted: row.get(9),
    }
}

/// When the last link expires. The answer for a closed partition may have been stored; otherwise all of it is read.
pub async fn last_expiry(client: &Client, partition: &Partition) -> Result<LastExpiry> {
    // Two plain queries: Citus cannot run them as one.
    let sql = "select last_expiry from shortlink.closed_partition where partition_name = $1";
    if let Some(row) = client.query_opt(sql, &[&partition.name]).await? {
        return Ok(row.get(0));
    }
    let sql = format!("select coalesce(max(expires_at), '-infinity') from shortlink.{}", partition.name);
    let row = client.query_one(&sql, &[]).await;
    let row =
        row.with_context(|| format!("cannot find out when the last link of {} expires", partition.name))?;
    Ok(row.get(0))
}

/// Stores when the last link of a closed partition expires, so that not all of it is read each time the batch runs. That one
/// never does is not stored: it may have been changed or deleted since it was read, and nobody would look again.
pub async fn store_last_expiry(client: &Client, partition: &Partition, last: LastExpiry) -> Result<()> {
    if last == LastExpiry::PosInfinity {
        return Ok(());
    }
    let sql = "insert into shortlink.closed_partition (partition_name, last_expiry) values ($1, $2)
               on conflict do nothing";
    client.execute(sql, &[&partition.name, &last]).await?;
    Ok(())
}
