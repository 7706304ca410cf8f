//! `keys revoke`: a key is refused from then on, and its links stay.

use anyhow::{Context, Result};
use serde_json::json;

use super::KeyName;
use crate::config::{ConfigError, Settings};
use crate::database;
use crate::report::Report;

pub async fn revoke(settings: &Settings, name: &KeyName, report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    database::keep_commits(&client).await?;
    // The row before the update tells whether the key was revoked already.
    let sql =
        "with known as (select key_id, revoked_at from shortlink.api_key where key_name = $1 for update)
               update shortlink.api_key key set revoked_at = coalesce(known.revoked_at, now())
               from known where key.key_id = known.key_id returning known.revoked_at is null";
    let row = client
        .query_opt(sql, &[&name.as_str()])
        .await
        .context("cannot revoke the key (has `shortlink-batch migrate` run?)")?;
    let Some(row) = row else {
        return Err(ConfigError::new("NAME", format!("{name} is no key; see `keys list`")).into());
    };
    let changed: bool = row.get(0);
    let human = if changed {
        format!("revoked {name}; within 10 seconds it is refused everywhere")
    } else {
        format!("{name} was revoked already")
    };
    report.say("key_revoked", &json!({"name": name.as_str(), "changed": changed}), &human);
    Ok(())
}
