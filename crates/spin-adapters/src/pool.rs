//! The pool of pre-generated codes on Redis: the list `shortlink:codes`.

use shortlink_core::{Code, ports::CodePool};
use spin_sdk::redis::{RedisParameter, RedisResult};

use crate::{log, redis::Redis};

/// The key of the list.
pub const KEY: &str = "shortlink:codes";
/// How many malformed entries one create passes over before it does without the pool.
const MALFORMED_LIMIT: usize = 3;

/// The pool of codes.
pub struct RedisPool(pub Redis);

impl RedisPool {
    async fn pop(&self) -> Option<Vec<u8>> {
        let arguments = [RedisParameter::Binary(KEY.into())];
        let answer = self.0.run(async |redis| redis.execute("LPOP", arguments).await).await?;
        answer.into_iter().find_map(|item| match item {
            RedisResult::Binary(entry) => Some(entry),
            RedisResult::Status(entry) => Some(entry.into_bytes()),
            RedisResult::Nil | RedisResult::Int64(_) => None,
        })
    }

    /// How many codes are left; `None` when the pool cannot answer.
    pub async fn length(&self) -> Option<u64> {
        let arguments = [RedisParameter::Binary(KEY.into())];
        let answer = self.0.run(async |redis| redis.execute("LLEN", arguments).await).await?;
        answer.into_iter().find_map(|item| match item {
            RedisResult::Int64(length) => u64::try_from(length).ok(),
            RedisResult::Nil | RedisResult::Status(_) | RedisResult::Binary(_) => None,
        })
    }
}

impl CodePool for RedisPool {
    async fn next(&self) -> Option<Code> {
        for _ in 0..MALFORMED_LIMIT {
            match Code::from_pool(&self.pop().await?) {
                Ok(code) => return Some(code),
                Err(error) => {
                    log::failure("redis_codes", &format!("passed over an entry of the pool: it {error}"));
                }
            }
        }
        None
    }
}
