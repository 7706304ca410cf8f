//! The redirect cache on Redis: `link:<code>`.

use std::time::Duration;

use shortlink_core::{
    Code,
    ports::{LinkCache, Write},
};
use spin_sdk::redis::RedisParameter;

use crate::redis::Redis;

/// The redirect cache.
pub struct RedisCache(pub Redis);

impl LinkCache for RedisCache {
    async fn get(&self, code: &Code) -> Option<Vec<u8>> {
        let key = key(code);
        self.0.run(async |redis| redis.get(key).await).await.flatten()
    }

    async fn put(&self, code: &Code, value: String, lifetime: Duration, write: Write) {
        let arguments = set_arguments(key(code), value, lifetime, write);
        self.0.run(async |redis| redis.execute("SET", arguments).await).await;
    }
}

fn key(code: &Code) -> String {
    format!("link:{code}")
}

fn set_arguments(key: String, value: String, lifetime: Duration, write: Write) -> Vec<RedisParameter> {
    let millis = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX).max(1);
    let binary = |text: String| RedisParameter::Binary(text.into_bytes());
    let mut arguments = vec![binary(key), binary(value), binary("PX".into()), RedisParameter::Int64(millis)];
    if write == Write::KeepExisting {
        arguments.push(binary("NX".into()));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_always_has_a_lifetime_and_nx_only_when_it_must_not_replace() {
        let words = |lifetime, write| {
            let words =
                set_arguments("k".into(), "v".into(), lifetime, write).into_iter().map(|word| match word {
                    RedisParameter::Int64(number) => number.to_string(),
                    RedisParameter::Binary(bytes) => String::from_utf8(bytes).unwrap(),
                });
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(Duration::from_secs(2), Write::Replace), "k v PX 2000");
        assert_eq!(words(Duration::from_micros(1), Write::KeepExisting), "k v PX 1 NX");
    }
}
