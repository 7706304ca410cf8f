//! Entries of the redirect cache, as the batch writes them.

use std::time::Duration;

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use redis::{SetExpiry, SetOptions};
use shortlink_core::cache_entry::{Entry, decode, replacing};
use shortlink_core::redis_keys::link_key;
use shortlink_core::{Code, Lookup, Timestamp};

use crate::config::Settings;
use crate::redis_connection;

/// How long an entry stays. After that the first request asks Postgres: should Redis execute a SET that the batch has given
/// up, the old value it may hold is followed for no longer than this.
const LIFETIME: Duration = Duration::from_mins(1);

/// A connection to the redirect cache.
pub struct Cache(MultiplexedConnection);

impl Cache {
    pub async fn connect(settings: &Settings) -> Result<Self> {
        redis_connection::connect(&settings.redis_cache()?).await.map(Self)
    }

    /// Overwrites the entries of these codes; never DEL, after which a slow fill would bring the old value back.
    pub async fn overwrite(&mut self, found: &[(Code, Option<String>)], now: Timestamp) -> Result<()> {
        let mut pipeline = redis::pipe();
        for (code, found) in found {
            let Some(entry) = entry(code, found.as_deref(), now) else { continue };
            let millis = u64::try_from(entry.lifetime.as_millis())?.max(1);
            let options = SetOptions::default().with_expiration(SetExpiry::PX(millis));
            pipeline.set_options(link_key(code), entry.value, options).ignore();
        }
        let written = pipeline.query_async(&mut self.0).await;
        written.map_err(|error| {
            redis_connection::explain(error, "the redirect cache in Redis (REDIS_CACHE_URL)", |code| {
                match code {
                    "NOPERM" => Some("its user needs SET on link:*".to_owned()),
                    "OOM" => Some("its memory is full: set maxmemory-policy volatile-lfu".to_owned()),
                    _ => None,
                }
            })
        })
    }
}

/// The entry for what `resolve_short_links` says of a code, which writes links as the cache holds them.
fn entry(code: &Code, found: Option<&str>, now: Timestamp) -> Option<Entry> {
    let lookup = match found {
        None => Lookup::Unknown,
        // One that cannot be read back has expired since it was read.
        Some(link) => decode(link.as_bytes(), now).unwrap_or(Lookup::Expired),
    };
    replacing(code, &lookup, now, LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

    fn written(found: Option<&str>) -> (String, u128) {
        let entry = entry(&Code::parse("abc").unwrap(), found, NOW).unwrap();
        (entry.value, entry.lifetime.as_millis())
    }

    #[test]
    fn a_link_is_held_for_a_minute_at_most_and_never_past_its_expiry() {
        for link in ["9000000 https://example.com/", "never https://example.com/"] {
            let (value, millis) = written(Some(link));
            assert_eq!(value, link);
            assert!((54_000..=60_000).contains(&millis), "{millis}");
        }
        let soon = "1002500 https://example.com/";
        assert_eq!(written(Some(soon)), (soon.to_owned(), 2500));
    }

    #[test]
    fn no_link_and_an_ended_one_have_their_entries_too() {
        assert_eq!(written(None), ("-".to_owned(), 10_000));
        for ended in ["", "1000000 https://example.com/"] {
            assert_eq!(written(Some(ended)), ("x".to_owned(), 10_000));
        }
    }
}
