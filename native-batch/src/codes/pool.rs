//! The list in Redis that creates take their codes from.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, ErrorKind, RedisError, ServerErrorKind, TlsCertificates,
};
use shortlink_core::Code;

use crate::config::{ConfigError, Settings};
use crate::tls;

const KEY: &str = "shortlink:codes";
const SETTING: &str = "REDIS_CODES_URL";
/// How many codes one RPUSH carries.
const CODES_A_COMMAND: usize = 500;

/// A connection to the pool.
pub struct Pool(MultiplexedConnection);

impl Pool {
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let url = settings.redis_codes_url()?.expose();
        let client = match settings.redis_codes_ca_file() {
            None => Client::open(url),
            Some(file) => {
                let root_cert = Some(tls::read_pem(file, "REDIS_CODES_CA_FILE")?);
                Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert })
            }
        };
        let client =
            client.map_err(|error| ConfigError::new(SETTING, format!("is no Redis URL: {error}")))?;
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(5)))
            .set_response_timeout(Some(Duration::from_secs(30)));
        let connection = client.get_multiplexed_async_connection_with_config(&limits).await;
        let address = client.get_connection_info().addr();
        connection.map(Self).map_err(|error| {
            let authorities = settings.redis_codes_ca_file();
            let problem = tls::certificate_problem(&error, authorities, "REDIS_CODES_CA_FILE", SETTING);
            let problem = problem.unwrap_or_else(|| error.to_string());
            anyhow!("cannot connect to Redis at {address} ({SETTING}): {problem}")
        })
    }

    /// How many codes there are.
    pub async fn len(&mut self) -> Result<u64> {
        self.0.llen(KEY).await.map_err(|error| explain(&error))
    }

    /// Appends codes, and says how many there are then. After an error some of them may be there: never push them again.
    pub async fn push(&mut self, codes: &[Code]) -> Result<u64> {
        let mut pipeline = redis::pipe();
        for chunk in codes.chunks(CODES_A_COMMAND) {
            let values: Vec<&str> = chunk.iter().map(Code::as_str).collect();
            pipeline.rpush(KEY, values);
        }
        let lengths: Vec<u64> = pipeline.query_async(&mut self.0).await.map_err(|error| explain(&error))?;
        lengths.last().copied().context("Redis answered nothing to RPUSH")
    }
}

/// Says what to do where that is known. The error's text goes in whole, not as a cause: it repeats its own causes.
fn explain(error: &RedisError) -> anyhow::Error {
    let hint = match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoPerm) => "its user needs RPUSH and LLEN on shortlink:codes",
        _ if error.code() == Some("WRONGTYPE") => "shortlink:codes is there but is no list; delete it",
        _ if error.code() == Some("OOM") => "its memory is full: raise maxmemory or lower the target",
        _ => return anyhow!("the pool of codes in Redis ({SETTING}) failed: {error}"),
    };
    anyhow!("the pool of codes in Redis ({SETTING}): {hint}")
}
