//! `keys create`: the only moment at which a key is seen.

use anyhow::{Context, Result};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio_postgres::types::Timestamp;

use super::secret;
use crate::cli::CreateKeyArgs;
use crate::config::{ConfigError, Settings};
use crate::database;
use crate::keys::Scope;
use crate::report::Report;
use crate::table::instant;

pub async fn create(settings: &Settings, args: &CreateKeyArgs, report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    database::keep_commits(&client).await?;
    let key = secret::generate()?;
    let (name, scopes) = (args.name.as_str(), Scope::names(&args.scope));
    let expires_at = args.expires.map(super::KeyExpiry::at);
    let stored = expires_at.map_or(Timestamp::PosInfinity, Timestamp::Value);
    let is_ahead: bool = client.query_one("select $1::timestamptz > now()", &[&stored]).await?.get(0);
    if !is_ahead {
        return Err(ConfigError::new("--expires", "must be in the future").into());
    }
    let sql = "insert into shortlink.api_key (key_name, key_hash, scopes, expires_at) values ($1, $2, $3, $4)
               on conflict (key_name) do nothing";
    let created = client
        .execute(sql, &[&name, &secret::hash(&key).as_slice(), &scopes, &stored])
        .await
        .context("cannot store the key (has `shortlink-batch migrate` run?)")?;
    if created == 0 {
        let problem =
            format!("{name} is taken; the name of a key, also of a revoked one, is never used again");
        return Err(ConfigError::new("--name", problem).into());
    }
    report.note("The key is shown this once; Postgres holds its SHA-256 only.");
    let key = key.expose_secret();
    let fields = json!({"key": key, "name": name, "scopes": scopes, "expires_at": expires_at.map(instant)});
    report.say("key_created", &fields, key);
    Ok(())
}
