//! The pool of codes: a list in Redis that creates take their codes from.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisError, TlsCertificates};
use secrecy::ExposeSecret;
use shortlink_core::{Code, redis_keys::CODES_LIST};

use crate::config::{ConfigError, Settings, check_unambiguous};
use crate::tls;

const SETTING: &str = "REDIS_CODES_URL";
/// How many codes one RPUSH carries.
const CODES_A_COMMAND: usize = 500;

/// A connection to the pool.
pub struct Pool(MultiplexedConnection);

impl Pool {
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let url = settings.redis_codes_url()?.expose_secret();
        let read = |file| tls::read_pem(file, "REDIS_CODES_CA_FILE");
        let client = client(url, settings.redis_codes_ca_file().map(read).transpose()?)?;
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
        self.0.llen(CODES_LIST).await.map_err(explain)
    }

    /// Appends codes and returns how many there are then. After an error some may have been added: never push them again.
    pub async fn push(&mut self, codes: &[Code]) -> Result<u64> {
        let mut pipeline = redis::pipe();
        for chunk in codes.chunks(CODES_A_COMMAND) {
            let values: Vec<&str> = chunk.iter().map(Code::as_str).collect();
            pipeline.rpush(CODES_LIST, values);
        }
        let lengths: Vec<u64> = pipeline.query_async(&mut self.0).await.map_err(explain)?;
        lengths.last().copied().context("Redis answered nothing to RPUSH")
    }
}

/// Reads the URL; with `root_cert` it must be one for TLS.
pub fn client(url: &str, root_cert: Option<Vec<u8>>) -> Result<Client, ConfigError> {
    check_unambiguous(SETTING, url)?;
    let client = match root_cert {
        None => Client::open(url),
        root_cert => Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert }),
    };
    client.map_err(|error| {
        // What follows repeats the value, or a part of it.
        let text = error.to_string();
        let cause = text.split(" - ").next().unwrap_or_default();
        ConfigError::new(SETTING, format!("is no Redis URL: {cause}"))
    })
}

/// Says what to do where that is known. The error's text goes in whole, not as a cause: it repeats its own causes.
fn explain(error: RedisError) -> anyhow::Error {
    let text = error.to_string();
    // What Redis replied; a pipeline's error is a list of replies, of which the first says enough.
    let replies = error.into_server_errors();
    let Some(reply) = replies.as_deref().and_then(|replies| Some(&replies.first()?.1)) else {
        return anyhow!("the pool of codes in Redis ({SETTING}) failed: {text}");
    };
    let hint = match reply.code() {
        "NOPERM" => format!("its user needs RPUSH and LLEN on {CODES_LIST}"),
        "WRONGTYPE" => format!("{CODES_LIST} is there but is no list; delete it"),
        "OOM" => "its memory is full: raise maxmemory or lower the target".to_owned(),
        "READONLY" => "it is a read-only replica: name the primary".to_owned(),
        "MISCONF" => "it cannot save to its disk, and refuses writes until it can".to_owned(),
        code => format!("{code} {}", reply.details().unwrap_or_default()),
    };
    anyhow!("the pool of codes in Redis ({SETTING}): {}", hint.trim_end())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    use super::*;

    #[test]
    fn a_bad_url_is_refused_by_name_and_not_shown() {
        for (url, problem) in [
            ("redis://me:hunter2@host/0?protocol=hunter2", "Invalid protocol version"),
            ("redis://me:hunter2@host:port/0", "Redis URL did not parse"),
            ("redis://me:hunter2@host/hunter2", "Invalid database number"),
        ] {
            let error = client(url, None).map(|_| ()).unwrap_err().to_string();
            assert_eq!(error, format!("REDIS_CODES_URL is no Redis URL: {problem}"));
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_never_taken_for_the_address() {
        for url in ["redis://u:12#hunter2@host", "redis://u:12/hunter2@host", "redis://u:12?hunter2@host"] {
            let error = client(url, None).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with("REDIS_CODES_URL must have @") && !error.contains("12"), "{error}");
        }
    }

    /// What a push says to a Redis that answers each RPUSH with this error.
    async fn push_refused_with(reply: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (reader, mut writer) = tokio::io::split(stream);
            let mut lines = BufReader::new(reader).lines();
            // A command is an array; its name follows the array's and its own length.
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.starts_with('*') {
                    lines.next_line().await.unwrap();
                    let name = lines.next_line().await.unwrap().unwrap();
                    let answer = if name == "RPUSH" { reply } else { "+OK" };
                    writer.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
                }
            }
        });
        let client = client(&format!("redis://{address}"), None).unwrap();
        let mut pool = Pool(client.get_multiplexed_async_connection().await.unwrap());
        let codes: Vec<Code> = (0..2 * CODES_A_COMMAND as u64).map(Code::from_number).collect();
        pool.push(&codes).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_push_that_is_refused_says_what_to_do() {
        for (reply, hint) in [
            ("-OOM command not allowed", "its memory is full: raise maxmemory or lower the target"),
            ("-WRONGTYPE Operation against a key", "shortlink:codes is there but is no list; delete it"),
            ("-NOPERM no permissions", "its user needs RPUSH and LLEN on shortlink:codes"),
            ("-ERR something else", "ERR something else"),
        ] {
            let error = push_refused_with(reply).await;
            assert_eq!(error, format!("the pool of codes in Redis (REDIS_CODES_URL): {hint}"));
        }
    }
}
