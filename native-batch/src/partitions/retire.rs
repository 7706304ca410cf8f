//! Drops one partition, in steps that can be interrupted anywhere and repeated:
//!
//! 1. look once more for a link that is still needed, with the partition locked against writes;
//! 2. delete its entries in the registry, in chunks, which may take minutes;
//! 3. look again, and mark the partition as one that the batch drops: from here on a detach is the batch's own. Then detach it concurrently: look-ups in flight still see it, later ones do not;
//! 4. look a last time, under an exclusive lock, and drop it. Should a link be needed after all, attach it again.
//!
//! An entry in the registry is deleted only if it still points to the expired link: a code that has been taken again
//! has another `created_at`. So no live link is ever without its entry, and none is in a table that is dropped.
//!
//! Each statement is one that Citus can run too, which plans no subquery without a column (`exists (select from ..)`).

use anyhow::{Context, Result, bail};
use chrono::SecondsFormat;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::catalog::{LastExpiry, Partition, Place};
use crate::cli::Grace;

/// Registry entries deleted in one transaction.
const CHUNK: i64 = 5_000;

/// Whether the partition is gone; `false` when a link in it turned out to be needed.
pub async fn retire(client: &mut Client, partition: &Partition, grace: Grace) -> Result<bool> {
    let name = &partition.name;
    match partition.place {
        Place::Attached => {
            if !look(client, name, grace, Mark::No).await? {
                return Ok(false);
            }
            forget_codes(client, name).await.context("cannot clear the registry")?;
            if !look(client, name, grace, Mark::Dropping).await? {
                return Ok(false);
            }
            if let Err(error) = detach(client, name).await {
                // Still attached, perhaps: then nothing of the drop has begun that an operator's detach could be taken for.
                cancel(client, name).await?;
                return Err(error);
            }
        }
        Place::Detaching => {
            finalize(client, name).await?;
            forget_codes(client, name).await.context("cannot clear the registry")?;
        }
        Place::Detached => {}
    }
    drop_detached(client, partition, grace).await
}

/// Takes the mark from a partition that is attached, so that it is not taken for one that the batch detached.
pub async fn cancel(client: &Client, name: &str) -> Result<()> {
    let sql = "update shortlink.closed_partition set drop_started_at = null
               where partition_name = $1 and exists (
                   select from pg_catalog.pg_inherits where inhrelid = to_regclass($2) and not inhdetachpending
               )";
    client.execute(sql, &[&name, &format!("shortlink.{name}")]).await?;
    Ok(())
}

/// Whether a look marks the partition as one that the batch drops.
#[derive(PartialEq, Eq)]
enum Mark {
    No,
    Dropping,
}

/// Whether no link in the partition is needed any more.
async fn look(client: &mut Client, name: &str, grace: Grace, mark: Mark) -> Result<bool> {
    let work = async {
        let transaction = client.transaction().await?;
        transaction.batch_execute(&format!("lock table shortlink.{name} in share mode")).await?;
        let sql = format!("select coalesce(max(expires_at), '-infinity') from shortlink.{name}");
        let last: LastExpiry = transaction.query_one(&sql, &[]).await?.get(0);
        let sql =
            "insert into shortlink.closed_partition as known (partition_name, last_expiry, drop_started_at)
                   values ($1, $2, case when $4 and $2::timestamptz + make_interval(days => $3) <= now() then now() end)
                   on conflict (partition_name) do update
                       set last_expiry = excluded.last_expiry, drop_started_at = excluded.drop_started_at
                   returning $2::timestamptz + make_interval(days => $3) <= now()";
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&name, &last, &i32::from(grace.days), &(mark == Mark::Dropping)];
        let is_due = transaction.query_one(sql, &parameters).await?.get(0);
        transaction.commit().await?;
        Ok::<_, tokio_postgres::Error>(is_due)
    };
    work.await.context("cannot look for links still needed")
}

async fn forget_codes(client: &Client, name: &str) -> Result<()> {
    let last = client
        .prepare(&format!(
            "select max(short_code) from (
                 select short_code from shortlink.{name} where short_code > $1 order by short_code limit {CHUNK}
             ) chunk"
        ))
        .await?;
    let delete = client
        .prepare(&format!(
            "delete from shortlink.short_code held using shortlink.{name} link
             where held.short_code = link.short_code and held.created_at = link.created_at
                 and held.expires_at <= now() and link.short_code > $1 and link.short_code <= $2"
        ))
        .await?;
    let mut done = String::new();
    while let Some(end) = client.query_one(&last, &[&done]).await?.get::<_, Option<String>>(0) {
        client.execute(&delete, &[&done, &end]).await?;
        done = end;
    }
    Ok(())
}

async fn detach(client: &Client, name: &str) -> Result<()> {
    let sql = format!("alter table shortlink.short_link detach partition shortlink.{name}");
    let detached = match client.batch_execute(&format!("{sql} concurrently")).await {
        // What Citus says, which cannot do it concurrently. lock_timeout bounds the wait for the lock on the parent.
        Err(error)
            if [Some(&SqlState::INTERNAL_ERROR), Some(&SqlState::FEATURE_NOT_SUPPORTED)]
                .contains(&error.code()) =>
        {
            client.batch_execute(&sql).await
        }
        detached => detached,
    };
    detached.with_context(|| format!("cannot detach {name} (the next run tries again)"))
}

async fn finalize(client: &Client, name: &str) -> Result<()> {
    let sql = format!("alter table shortlink.short_link detach partition shortlink.{name} finalize");
    let finalized = client.batch_execute(&sql).await;
    finalized.with_context(|| format!("cannot finish detaching {name} (the next run tries again)"))
}

async fn drop_detached(client: &mut Client, partition: &Partition, grace: Grace) -> Result<bool> {
    let name = &partition.name;
    // Dropped, or attached again, in the very transaction that looked.
    let work = async {
        let transaction = client.transaction().await?;
        transaction.batch_execute(&format!("lock table shortlink.{name} in access exclusive mode")).await?;
        let sql = format!(
            "select exists (select 1 from shortlink.{name} where expires_at + make_interval(days => $1) > now())"
        );
        let is_needed: bool = transaction.query_one(&sql, &[&i32::from(grace.days)]).await?.get(0);
        let bound = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let sql = if is_needed {
            format!(
                "alter table shortlink.short_link attach partition shortlink.{name} for values from ('{}') to ('{}')",
                bound(partition.from),
                bound(partition.until)
            )
        } else {
            format!("drop table shortlink.{name}")
        };
        transaction.batch_execute(&sql).await?;
        let sql = "delete from shortlink.closed_partition where partition_name = $1";
        transaction.execute(sql, &[name]).await?;
        transaction.commit().await?;
        Ok::<_, tokio_postgres::Error>(is_needed)
    };
    let is_needed = work.await.with_context(|| format!("cannot drop {name} (the next run tries again)"))?;
    if is_needed {
        bail!("it holds a link that is still needed, and was attached again");
    }
    Ok(true)
}
