//! What partitions there are, read from Postgres' catalogue.

use anyhow::{Context, Result};
use tokio_postgres::{Client, Row};

/// How long after its month's end a partition counts as closed. A link's `created_at` is read when its create begins, so
/// by then no create that began within the month can still be under way.
const CLOSED_AFTER: &str = "1 hour";

/// One table named as a partition is; its name holds nothing but letters, digits and underscores.
#[derive(Debug)]
pub struct Partition {
    pub name: String,
    /// First instant and first instant after, ISO 8601.
    pub from: String,
    pub until: String,
    /// An estimate; `None` before Postgres has ever counted.
    pub rows: Option<i64>,
    /// Bytes with indexes.
    pub size: i64,
    pub place: Place,
    pub time: Time,
    /// The batch has begun to drop it.
    pub drop_started: bool,
}

/// Where the table stands to `short_link`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Attached,
    /// Half detached: `detach partition .. concurrently` was interrupted, or is under way.
    Detaching,
    Detached,
}

/// Where the month stands to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Future,
    Current,
    /// No link will be added any more.
    Closed,
}

pub async fn partitions(client: &Client) -> Result<Vec<Partition>> {
    let sql = format!(
        "with tables as materialized (
             select oid, relname::text as name, reltuples,
                    make_timestamptz(substr(relname, 12, 4)::int, substr(relname, 16, 2)::int, 1, 0, 0, 0, 'UTC') as starts
             from pg_catalog.pg_class
             where relnamespace = 'shortlink'::regnamespace and relkind = 'r'
                 and relname ~ '^short_link_[1-9][0-9]{{3}}(0[1-9]|1[0-2])$'
         ), months as (
             select *, (starts at time zone 'UTC' + interval '1 month') at time zone 'UTC' as ends from tables
         )
         select name,
                to_char(starts at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                to_char(ends at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                nullif(reltuples, -1)::bigint,
                coalesce(pg_total_relation_size(oid), 0),
                i.inhdetachpending,
                starts > now(), ends + interval '{CLOSED_AFTER}' <= now(),
                coalesce(drop_started_at is not null, false)
         from months
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
    }
}

/// When the last link of a partition expires, ISO 8601, and whether that is over; `None` for an empty one. A closed
/// partition's answer may have been remembered; otherwise all of it is read.
pub async fn last_expiry(client: &Client, partition: &Partition) -> Result<Option<(String, bool)>> {
    let sql = format!(
        "select to_char(last at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), last <= now()
         from coalesce((select last_expiry from shortlink.closed_partition where partition_name = $1),
                       (select max(expires_at) from shortlink.{})) as last
         where last > '-infinity'",
        partition.name
    );
    let row = client.query_opt(&sql, &[&partition.name]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}
