//! `keys list`: every key that was ever created, without the key itself.

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use tokio_postgres::types::Timestamp;
use tokio_postgres::{Client, Row};

use crate::config::Settings;
use crate::database;
use crate::report::Report;
use crate::table::{aligned, instant};

pub async fn list(settings: &Settings, report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    let sql = "select key_name, scopes, created_at, expires_at, last_used_on,
                   case when revoked_at is not null then 'revoked' when expires_at <= now() then 'expired' else 'good' end
               from shortlink.api_key order by key_id";
    let rows =
        client.query(sql, &[]).await.context("cannot list the keys (has `shortlink-batch migrate` run?)")?;
    let keys: Vec<Key> = rows.iter().map(Key::read).collect();
    let mut table = vec![["NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "STATE"].map(String::from)];
    table.extend(keys.iter().map(Key::line));
    let objects: Vec<Value> = keys.iter().map(Key::object).collect();
    report.say("keys", &json!({"keys": objects}), &aligned(&table));
    Ok(())
}

/// How many keys are neither expired nor revoked.
pub async fn count_good(client: &Client) -> Result<u64> {
    let sql = "select count(*) from shortlink.api_key where revoked_at is null and expires_at > now()";
    let row = client.query_one(sql, &[]).await;
    let row = row.context("cannot count the keys (has `shortlink-batch migrate` run?)")?;
    Ok(u64::try_from(row.get::<_, i64>(0))?)
}

struct Key {
    name: String,
    scopes: Vec<String>,
    created_at: DateTime<Utc>,
    /// `None`: never.
    expires_at: Option<DateTime<Utc>>,
    last_used_on: Option<NaiveDate>,
    state: String,
}

impl Key {
    fn read(row: &Row) -> Self {
        let expires_at = match row.get(3) {
            Timestamp::Value(at) => Some(at),
            Timestamp::PosInfinity | Timestamp::NegInfinity => None,
        };
        Self {
            name: row.get(0),
            scopes: row.get(1),
            created_at: row.get(2),
            expires_at,
            last_used_on: row.get(4),
            state: row.get(5),
        }
    }

    fn object(&self) -> Value {
        json!({
            "name": self.name,
            "scopes": self.scopes,
            "created_at": instant(self.created_at),
            "expires_at": self.expires_at.map(instant),
            "last_used_on": self.last_used_on.map(|day| day.to_string()),
            "state": self.state,
        })
    }

    fn line(&self) -> [String; 6] {
        [
            self.name.clone(),
            self.scopes.join(","),
            instant(self.created_at),
            self.expires_at.map_or_else(|| "never".into(), instant),
            self.last_used_on.map_or_else(|| "-".into(), |day| day.to_string()),
            self.state.clone(),
        ]
    }
}
