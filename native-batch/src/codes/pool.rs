//! The pool of codes: a list in Redis that creates take their codes from.

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisError};
use shortlink_core::{Code, redis_keys::CODES_LIST};

use crate::config::Settings;
use crate::redis_connection;

/// How many codes one RPUSH carries.
const CODES_A_COMMAND: usize = 500;

/// A connection to the pool.
pub struct Pool(MultiplexedConnection);

impl Pool {
    pub async fn connect(settings: &Settings) -> Result<Self> {
        redis_connection::connect(&settings.redis_codes()?).await.map(Self)
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

fn explain(error: RedisError) -> anyhow::Error {
    redis_connection::explain(error, "the pool of codes in Redis (REDIS_CODES_URL)", |code| match code {
        "NOPERM" => Some(format!("its user needs RPUSH and LLEN on {CODES_LIST}")),
        "WRONGTYPE" => Some(format!("{CODES_LIST} is there but is no list; delete it")),
        "OOM" => Some("its memory is full: raise maxmemory or lower the target".to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    use super::*;

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
        let client = redis::Client::open(format!("redis://{address}")).unwrap();
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
