//! `changes apply`: writes each changed link to the redirect cache once more, and forgets the change.
//!
//! The component that changes a link overwrites its entry itself; this covers a write that was lost, and a fill that read
//! Postgres before the change and reached the cache after it.
//!
//! A value that the batch read must not cover that of a newer change. So it reads again after writing, until nothing has
//! changed in between: any newer change was committed after that, so its component writes after the batch.

use std::collections::BTreeSet;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use shortlink_core::{Code, Timestamp};
use tokio_postgres::Client;

use super::cache::Cache;
use crate::config::Settings;
use crate::database::{self, Lock};
use crate::report::Report;

/// The age of a change by which the cache writes of requests that read before it are over.
const SETTLED: &str = "5 seconds";
/// Changes read, written and removed at once.
const CHUNK: i64 = 500;
/// How often a link that keeps changing is written in one run.
const ROUNDS: u32 = 5;

pub async fn apply(settings: &Settings, report: &Report) -> Result<()> {
    settings.redis_cache()?;
    let client = database::connect(settings).await?;
    let Some(applied) = Lock::ApplyChanges.unless_held(&client, apply_all(&client, settings)).await? else {
        report.say("busy", &json!({"command": "changes apply"}), "another batch is applying changes");
        return Ok(());
    };
    let waiting = count(&client).await?;
    report.say(
        "changes_applied",
        &json!({"applied": applied, "waiting": waiting}),
        &format!("applied {applied} changes of links; {waiting} wait for the next run"),
    );
    Ok(())
}

/// How many changes wait.
pub async fn count(client: &Client) -> Result<u64> {
    let row = client.query_one("select count(*) from shortlink.link_change", &[]).await;
    let row = row.context("cannot count the changes (has `shortlink-batch migrate` run?)")?;
    Ok(u64::try_from(row.get::<_, i64>(0))?)
}

/// How many changes were applied.
async fn apply_all(client: &Client, settings: &Settings) -> Result<u64> {
    let work = async {
        let mut cache = Cache::connect(settings).await?;
        let (mut applied, mut last) = (0, 0);
        loop {
            let changes = changes_after(client, last).await?;
            let Some((id, _)) = changes.last() else { return Ok(applied) };
            last = *id;
            applied += apply_chunk(client, &mut cache, &changes).await?;
        }
    };
    let outcome = work.await;
    if outcome.is_err()
        && let Ok(waiting) = count(client).await
    {
        return outcome.context(format!("{waiting} changes of links wait for the next run"));
    }
    outcome
}

async fn changes_after(client: &Client, last: i64) -> Result<Vec<(i64, String)>> {
    let sql = format!(
        "select change_id, short_code from shortlink.link_change
         where change_id > $1 and changed_at <= clock_timestamp() - interval '{SETTLED}'
         order by change_id limit {CHUNK}"
    );
    let rows = client
        .query(&sql, &[&last])
        .await
        .context("cannot read the changes (has `shortlink-batch migrate` run?)")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// How many of the changes were applied and removed: all but those of links that kept changing.
async fn apply_chunk(client: &Client, cache: &mut Cache, changes: &[(i64, String)]) -> Result<u64> {
    let codes: BTreeSet<&str> = changes.iter().map(|(_, code)| code.as_str()).collect();
    // What is not a code has no entry.
    let codes = codes.into_iter().filter_map(|code| Code::parse(code).ok()).collect();
    let mut unsettled = resolve(client, codes).await?;
    for _ in 0..ROUNDS {
        cache.overwrite(&unsettled, now()).await?;
        // The lock is lost with the connection: another batch may be writing newer values.
        ensure!(!client.is_closed(), "the connection to Postgres was lost");
        let codes = unsettled.iter().map(|(code, _)| code.clone()).collect();
        let again = resolve(client, codes).await?;
        let written = std::mem::take(&mut unsettled);
        unsettled =
            again.into_iter().zip(written).filter(|(now, then)| now != then).map(|(now, _)| now).collect();
        if unsettled.is_empty() {
            break;
        }
    }
    let is_settled = |code: &str| !unsettled.iter().any(|(unsettled, _)| unsettled.as_str() == code);
    let settled: Vec<i64> = changes.iter().filter(|(_, code)| is_settled(code)).map(|(id, _)| *id).collect();
    let sql = "delete from shortlink.link_change where change_id = any($1)";
    client.execute(sql, &[&settled]).await.context("cannot remove the changes that were applied")
}

/// What each code leads to now.
async fn resolve(client: &Client, codes: Vec<Code>) -> Result<Vec<(Code, Option<String>)>> {
    let texts: Vec<&str> = codes.iter().map(Code::as_str).collect();
    let row = client.query_one("select shortlink.resolve_short_links($1)", &[&texts]).await;
    let found: Vec<Option<String>> = row.context("cannot read the changed links")?.get(0);
    ensure!(
        found.len() == codes.len(),
        "resolve_short_links answered for {} codes of {}",
        found.len(),
        codes.len()
    );
    Ok(codes.into_iter().zip(found).collect())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
