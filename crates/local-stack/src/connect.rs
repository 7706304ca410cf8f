//! How the pieces find each other: the settings of the host and of the batch.

use std::collections::BTreeMap;

use crate::ports::Ports;
use crate::secrets::Secrets;
use crate::tls::Tls;

/// The variables of `spin.toml` that differ from its defaults, for the database of that name.
#[must_use]
pub fn spin_variables(
    tls: Option<&Tls>,
    ports: &Ports,
    secrets: &Secrets,
    database: &str,
) -> BTreeMap<String, String> {
    let host = "127.0.0.1".to_owned();
    let mode = mode(tls).to_owned();
    let pairs = [
        ("postgres_host", host.clone()),
        ("postgres_port", ports.postgres.to_string()),
        ("postgres_user", "shortlink_app".to_owned()),
        ("postgres_password", secrets.app.clone()),
        ("postgres_database", database.to_owned()),
        ("postgres_sslmode", mode.clone()),
        ("redis_cache_host", host.clone()),
        ("redis_cache_port", ports.cache.to_string()),
        ("redis_cache_user", "shortlink_app".to_owned()),
        ("redis_cache_password", secrets.app.clone()),
        ("redis_cache_database", "0".to_owned()),
        ("redis_cache_tls", mode.clone()),
        ("redis_codes_host", host),
        ("redis_codes_port", ports.codes.to_string()),
        ("redis_codes_user", "shortlink_app".to_owned()),
        ("redis_codes_password", secrets.app.clone()),
        ("redis_codes_database", "0".to_owned()),
        ("redis_codes_tls", mode),
        ("manage_postgres_user", "shortlink_manage".to_owned()),
        ("manage_postgres_password", secrets.manage.clone()),
        ("manage_redis_cache_user", "shortlink_manage".to_owned()),
        ("manage_redis_cache_password", secrets.manage.clone()),
        ("manage_redis_codes_user", "shortlink_manage".to_owned()),
        ("manage_redis_codes_password", secrets.manage.clone()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The environment of the batch, for the database of that name and, in both Redis, the database of that number.
#[must_use]
pub fn batch_environment(
    tls: Option<&Tls>,
    ports: &Ports,
    secrets: &Secrets,
    database: &str,
    redis_database: u32,
) -> BTreeMap<String, String> {
    let batch = "shortlink_batch";
    let mut pairs = vec![
        ("DATABASE_URL", database_url(tls, ports.postgres, batch, &secrets.batch, database)),
        ("REDIS_CACHE_URL", redis_url(tls, ports.cache, batch, &secrets.batch, redis_database)),
        ("REDIS_CODES_URL", redis_url(tls, ports.codes, batch, &secrets.batch, redis_database)),
        ("SHORTLINK_CODES_KEY", secrets.codes_key.clone()),
    ];
    if let Some(tls) = tls {
        let authority = tls.authority().display().to_string();
        for name in ["DATABASE_CA_FILE", "REDIS_CACHE_CA_FILE", "REDIS_CODES_CA_FILE"] {
            pairs.push((name, authority.clone()));
        }
    }
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A URL of Postgres on 127.0.0.1.
#[must_use]
pub fn database_url(tls: Option<&Tls>, port: u16, user: &str, password: &str, database: &str) -> String {
    format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}?sslmode={}", mode(tls))
}

/// A URL of Redis on 127.0.0.1.
#[must_use]
pub fn redis_url(tls: Option<&Tls>, port: u16, user: &str, password: &str, database: u32) -> String {
    let scheme = if tls.is_some() { "rediss" } else { "redis" };
    format!("{scheme}://{user}:{password}@127.0.0.1:{port}/{database}")
}

fn mode(tls: Option<&Tls>) -> &'static str {
    if tls.is_some() { "require" } else { "disable" }
}
