//! The redirect cache on Redis: `link:<code>`.

use std::rc::Rc;

use shortlink_core::{
    Code,
    cache_entry::{Entry, Write},
    ports::LinkCache,
    redis_keys::link_key,
};
use shortlink_guest::host::spawn;
use spin_sdk::redis::RedisParameter;

use super::connection::{Cooldowns, Redis};

/// The redirect cache.
pub struct RedisCache(Rc<Redis>);

impl RedisCache {
    /// The cache on this Redis.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self(Rc::new(redis))
    }

    /// Whether the cache answers and accepts entries. The command changes nothing: `XX` replaces what is there, and a
    /// point is no code.
    pub async fn is_writable(&self) -> bool {
        let arguments = ["link:.", "-", "XX", "PX", "1"].map(|word| binary(word.into()));
        self.0.execute("SET", arguments.into(), Cooldowns::Ignore).await.is_some()
    }
}

impl LinkCache for RedisCache {
    async fn get(&self, code: &Code) -> Option<Vec<u8>> {
        self.0.get(link_key(code)).await.flatten()
    }

    async fn put(&self, code: &Code, entry: Entry) {
        // During a cooldown too: an entry that says "no such link" would hide the new link.
        self.0.execute("SET", set_arguments(code, entry), Cooldowns::Ignore).await;
    }

    fn put_soon(&self, code: &Code, entry: Entry) {
        let (redis, arguments) = (self.0.clone(), set_arguments(code, entry));
        spawn(async move {
            redis.execute("SET", arguments, Cooldowns::Obey).await;
        });
    }
}

fn binary(text: String) -> RedisParameter {
    RedisParameter::Binary(text.into_bytes())
}

fn set_arguments(code: &Code, entry: Entry) -> Vec<RedisParameter> {
    let millis = i64::try_from(entry.lifetime.as_millis()).unwrap_or(i64::MAX).max(1);
    let mut arguments =
        vec![binary(link_key(code)), binary(entry.value), binary("PX".into()), RedisParameter::Int64(millis)];
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
            let words = set_arguments(&Code::parse("k").unwrap(), entry).into_iter().map(|word| match word {
                RedisParameter::Int64(number) => number.to_string(),
                RedisParameter::Binary(bytes) => String::from_utf8(bytes).unwrap(),
            });
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(Duration::from_secs(2), Write::Replace), "link:k v PX 2000");
        assert_eq!(words(Duration::from_micros(1), Write::KeepExisting), "link:k v PX 1 NX");
    }
}
