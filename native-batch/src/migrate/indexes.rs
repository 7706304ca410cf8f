//! Indexes of the links that take long to build: on one partition after the other, concurrently, so that links are read and
//! created meanwhile. A migration creates only the index of the parent; new partitions get theirs when they are created.
//!
//! Each step looks at what is there, so that a run that is killed anywhere is finished by the next one. A build that was
//! killed leaves an index that is not valid, which is dropped first.

use anyhow::{Context, Result};
use serde_json::json;
use tokio_postgres::Client;

use crate::database::retry_locked;
use crate::report::Report;

const BY_KEY: &str = "short_link_by_key";
/// What `list_links` searches texts with. Only where `pg_trgm` is installed, which a superuser decides.
const SEARCH: &str = "short_link_search";

/// A partition that lacks its part of an index. All names are quoted where they need to be.
struct Missing {
    /// With its schema.
    partition: String,
    /// The index to build, without its schema.
    index: String,
    /// The same with its schema.
    full_index: String,
    /// Whether an index of that name is there, and if so, whether it is valid.
    is_valid: Option<bool>,
}

/// Builds what is missing.
pub async fn build(client: &Client, report: &Report) -> Result<()> {
    retry_locked(report, async || create_search(client).await).await?;
    for parent in [BY_KEY, SEARCH] {
        for missing in missing(client, parent).await? {
            build_one(client, parent, &missing, report)
                .await
                .with_context(|| format!("cannot build the index {} (run it again)", missing.index))?;
            let human = format!("built the index {}", missing.index);
            report.say("index_built", &json!({"index": missing.index}), &human);
        }
    }
    Ok(())
}

async fn create_search(client: &Client) -> Result<()> {
    let sql =
        "select quote_ident(nspname) from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
               where extname = 'pg_trgm' and to_regclass($1) is null";
    let Some(row) = client.query_opt(sql, &[&format!("shortlink.{SEARCH}")]).await? else { return Ok(()) };
    let schema: &str = row.get(0);
    // Writes wait for this statement, which is over at once.
    let sql = format!(
        "create index {SEARCH} on only shortlink.short_link
         using gin ((short_code || ' ' || url) {schema}.gin_trgm_ops)"
    );
    client.batch_execute(&sql).await.with_context(|| format!("cannot create the index {SEARCH}"))
}

/// The attached partitions without their part of the index of the parent; none when that is not there.
async fn missing(client: &Client, parent: &str) -> Result<Vec<Missing>> {
    let suffix = parent.trim_start_matches("short_link");
    let sql = "
        select format('%I.%I', nspname, relname), quote_ident(relname || $2), format('%I.%I', nspname, relname || $2),
            (select indisvalid from pg_index where indexrelid = to_regclass(format('%I.%I', nspname, relname || $2)))
        from pg_inherits part
        join pg_class on pg_class.oid = part.inhrelid
        join pg_namespace on pg_namespace.oid = relnamespace
        where part.inhparent = 'shortlink.short_link'::regclass and not part.inhdetachpending
            and to_regclass($1) is not null
            and not exists (
                select 1 from pg_index join pg_inherits child on child.inhrelid = indexrelid
                where indrelid = pg_class.oid and child.inhparent = to_regclass($1)
            )
        order by relname";
    let rows = client
        .query(sql, &[&format!("shortlink.{parent}"), &suffix])
        .await
        .with_context(|| format!("cannot find out which partitions lack {parent}"))?;
    let missing = rows.iter().map(|row| Missing {
        partition: row.get(0),
        index: row.get(1),
        full_index: row.get(2),
        is_valid: row.get(3),
    });
    Ok(missing.collect())
}

async fn build_one(client: &Client, parent: &str, missing: &Missing, report: &Report) -> Result<()> {
    let Missing { partition, index, full_index, is_valid } = missing;
    // A concurrent build waits for every transaction that was there before it, and nobody waits for the build.
    client.batch_execute("set lock_timeout = 0").await?;
    if *is_valid == Some(false) {
        client.batch_execute(&format!("drop index concurrently {full_index}")).await?;
    }
    if *is_valid != Some(true) {
        let sql = "select substring(pg_get_indexdef(to_regclass($1)) from ' USING .*')";
        let definition: String = client.query_one(sql, &[&format!("shortlink.{parent}")]).await?.get(0);
        client
            .batch_execute(&format!("create index concurrently {index} on {partition}{definition}"))
            .await?;
    }
    client.batch_execute("set lock_timeout = '1s'").await?;
    let attach = format!("alter index shortlink.{parent} attach partition {full_index}");
    retry_locked(report, async || Ok(client.batch_execute(&attach).await?)).await?;
    client.batch_execute(&format!("analyze {partition}")).await?;
    Ok(())
}
