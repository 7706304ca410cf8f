//! The redirect cache on Redis: `link:<code>`.

use std::rc::Rc;

use shortlink_core::{
    Code,
    cache_entry::Entry,
    ports::{LinkCache, Write},
};
use spin_sdk::{redis::RedisParameter, wasip3::wit_bindgen::spawn};

use crate::redis::Redis;

/// The redirect cache.
pub struct RedisCache(Rc<Redis>);

impl RedisCache {
    /// The cache on this Redis.
    pub fn new(redis: Redis) -> Self {
        Self(Rc::new(redis))
    }
}

impl LinkCache for RedisCache {
    async fn get(&self, code: &Code) -> Option<Vec<u8>> {
        let key = key(code);
        self.0.run(async |redis| redis.get(key).await).await.flatten()
    }

    async fn put(&self, code: &Code, entry: Entry) {
        set(&self.0, code, entry).await;
    }

    fn put_soon(&self, code: &Code, entry: Entry) {
        let (redis, code) = (self.0.clone(), code.clone());
        spawn(async move { set(&redis, &code, entry).await });
    }
}

fn key(code: &Code) -> String {
    format!("link:{code}")
}

async fn set(redis: &Redis, code: &Code, entry: Entry) {
    let arguments = set_arguments(key(code), entry);
    redis.run(async |redis| redis.execute("SET", arguments).await).await;
}

fn set_arguments(key: String, entry: Entry) -> Vec<RedisParameter> {
    let millis = i64::try_from(entry.lifetime.as_millis()).unwrap_or(i64::MAX).max(1);
    let binary = |text: String| RedisParameter::Binary(text.into_bytes());
    let mut arguments =
        vec![binary(key), binary(entry.value), binary("PX".into()), RedisParameter::Int64(millis)];
    if entry.write == Write::KeepExisting {
        arguments.push(binary("NX".into()));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_entry_always_has_a_lifetime_and_nx_only_when_it_must_not_replace() {
        let words = |lifetime, write| {
            let entry = Entry { value: "v".into(), lifetime, write };
            let words = set_arguments("k".into(), entry).into_iter().map(|word| match word {
                RedisParameter::Int64(number) => number.to_string(),
                RedisParameter::Binary(bytes) => String::from_utf8(bytes).unwrap(),
            });
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(Duration::from_secs(2), Write::Replace), "k v PX 2000");
        assert_eq!(words(Duration::from_micros(1), Write::KeepExisting), "k v PX 1 NX");
    }
}
