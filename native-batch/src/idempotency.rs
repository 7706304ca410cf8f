//! `idempotency clear`: a step of `run` that removes what creates with an `Idempotency-Key` were answered, after 24 hours.

use anyhow::{Context, Result};
use serde_json::json;

use crate::config::Settings;
use crate::database;
use crate::report::Report;

/// Rows deleted by one statement.
const CHUNK: u64 = 5_000;

pub async fn clear(settings: &Settings, report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    // The age once more: a key that is used again meanwhile has a new one.
    let sql = format!(
        "delete from shortlink.idempotency_key known using (
             select key_id, idempotency_key from shortlink.idempotency_key
             where created_at < now() - interval '24 hours' order by created_at limit {CHUNK}
         ) old
         where known.key_id = old.key_id and known.idempotency_key = old.idempotency_key
             and known.created_at < now() - interval '24 hours'"
    );
    let mut deleted = 0;
    loop {
        let chunk = client.execute(&sql, &[]).await;
        let chunk = chunk.context("cannot remove idempotency keys (has `shortlink-batch migrate` run?)")?;
        deleted += chunk;
        if chunk < CHUNK {
            break;
        }
    }
    let human = format!("removed {deleted} idempotency keys older than 24 hours");
    report.say("idempotency_cleared", &json!({"deleted": deleted}), &human);
    Ok(())
}
