//! Dropping one partition, in steps that can be interrupted anywhere and gone through again:
//!
//! 1. look once more for a link that is still needed, with the partition locked against writes, and mark it;
//! 2. delete its entries in the registry, in chunks;
//! 3. detach it concurrently: look-ups under way still see it, later ones do not;
//! 4. look a last time, with the table to ourselves, and drop it. Should a link be needed after all, attach it again.
//!
//! An entry in the registry is deleted only if it still points to the expired link: a code that has been taken again
//! has another `created_at`. So no live link is ever without its entry, and none is in a table that goes.

use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

use super::catalog::{Partition, Place};
use crate::cli::Grace;

/// Registry entries deleted in one transaction.
const CHUNK: i64 = 5_000;

/// Whether the partition is gone; `false` when a link in it turned out to be needed.
pub async fn retire(client: &Client, partition: &Partition, grace: Grace) -> Result<bool> {
    let name = &partition.name;
    match partition.place {
        Place::Attached => {
            if !mark(client, name, grace).await? {
                return Ok(false);
            }
            forget_codes(client, name).await.context("cannot clear the registry")?;
            detach(client, name, "concurrently").await?;
        }
        Place::Detaching => {
            detach(client, name, "finalize").await?;
            forget_codes(client, name).await.context("cannot clear the registry")?;
        }
        Place::Detached => {}
    }
    drop_detached(client, partition, grace).await
}

async fn mark(client: &Client, name: &str, grace: Grace) -> Result<bool> {
    let days = grace.days;
    let sql = format!(
        "begin;
         lock table shortlink.{name} in share mode;
         insert into shortlink.closed_partition as known (partition_name, last_expiry)
             select '{name}', coalesce(max(expires_at), '-infinity') from shortlink.{name}
             on conflict (partition_name) do update set last_expiry = excluded.last_expiry, drop_started_at = null;
         update shortlink.closed_partition set drop_started_at = now()
             where partition_name = '{name}' and last_expiry + interval '{days} days' <= now();
         commit"
    );
    transaction(client, &sql).await.context("cannot look for links still needed")?;
    let row = client
        .query_one(
            "select drop_started_at is not null from shortlink.closed_partition where partition_name = $1",
            &[&name],
        )
        .await?;
    Ok(row.get(0))
}

async fn forget_codes(client: &Client, name: &str) -> Result<()> {
    let sql = format!(
        "with chunk as materialized (
             select short_code, created_at from shortlink.{name}
             where (short_code, created_at) > ($1, $2) order by short_code, created_at limit {CHUNK}
         ), gone as (
             delete from shortlink.short_code held using chunk
             where held.short_code = chunk.short_code and held.created_at = chunk.created_at
                 and held.expires_at <= now()
         )
         select short_code, created_at from chunk order by short_code desc, created_at desc limit 1"
    );
    let statement = client.prepare(&sql).await?;
    let mut last = (String::new(), SystemTime::UNIX_EPOCH);
    while let Some(row) = client.query_opt(&statement, &[&last.0, &last.1]).await? {
        last = (row.get(0), row.get(1));
    }
    Ok(())
}

async fn detach(client: &Client, name: &str, how: &str) -> Result<()> {
    let sql = format!("alter table shortlink.short_link detach partition shortlink.{name} {how}");
    client.batch_execute(&sql).await.with_context(|| format!("cannot detach {name} (the next run goes on)"))
}

async fn drop_detached(client: &Client, partition: &Partition, grace: Grace) -> Result<bool> {
    let Partition { name, from, until, .. } = partition;
    let days = grace.days;
    // Dropped or attached again in the very transaction that looked.
    let sql = format!(
        "begin;
         lock table shortlink.{name} in access exclusive mode;
         do $do$ begin
             if exists (select from shortlink.{name} where expires_at + interval '{days} days' > now()) then
                 alter table shortlink.short_link attach partition shortlink.{name}
                     for values from ('{from}') to ('{until}');
             else
                 drop table shortlink.{name};
             end if;
         end $do$;
         delete from shortlink.closed_partition where partition_name = '{name}';
         commit"
    );
    transaction(client, &sql).await.with_context(|| format!("cannot drop {name} (the next run goes on)"))?;
    let row = client.query_one("select to_regclass($1) is null", &[&format!("shortlink.{name}")]).await?;
    if row.get(0) { Ok(true) } else { bail!("it holds a link that is still needed, and was attached again") }
}

/// Runs a script that holds its own `begin` and `commit`, and leaves no transaction open when it fails.
async fn transaction(client: &Client, script: &str) -> Result<()> {
    let outcome = client.batch_execute(script).await;
    if outcome.is_err() {
        client.batch_execute("rollback").await?;
    }
    Ok(outcome?)
}
