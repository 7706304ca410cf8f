//! Writing a change to the cache.

use std::time::Duration;

use crate::{
    cache_entry,
    code::Code,
    link::Lookup,
    ports::{LinkCache, StoreError},
    time::Timestamp,
};

/// How often at most a change is written again because of another one.
const ROUNDS: usize = 5;

/// Replaces the cache entry of a code by what the store says. Somebody else may change the link at the same time and write
/// first, so the store is asked again after each write until it says the same: whoever writes last wrote the latest.
/// `lookup` is what the store said last; `find` asks it anew.
///
/// # Errors
/// [`StoreError`] when the store gave no answer: the entry may be an old one.
pub async fn refresh_cache(
    code: &Code,
    mut lookup: Lookup,
    now: Timestamp,
    cache_ttl: Duration,
    cache: &impl LinkCache,
    find: impl AsyncFn() -> Result<Lookup, StoreError>,
) -> Result<(), StoreError> {
    for _ in 0..ROUNDS {
        // No entry is worth it for a link that expires this very moment; the one that is there expires with it.
        if let Some(entry) = cache_entry::replacing(code, &lookup, now, cache_ttl) {
            cache.put(code, entry).await;
        }
        let latest = find().await?;
        if latest == lookup {
            return Ok(());
        }
        lookup = latest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures::executor::block_on;

    use super::*;
    use crate::{expiry::Expiry, fakes::FakeCache, link::Link, target_url::TargetUrl};

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn live(url: &str) -> Lookup {
        Lookup::Live(Link { target: TargetUrl::parse(url, &[]).unwrap(), expiry: Expiry::Never })
    }

    /// What the cache holds when the store says these one after the other.
    fn refreshed(first: Lookup, then: Vec<Lookup>) -> Option<String> {
        let (code, cache, then) =
            (Code::from_number(1), FakeCache::default(), RefCell::new(then.into_iter()));
        let find = async || then.borrow_mut().next().ok_or_else(|| StoreError::Unavailable("no more".into()));
        block_on(refresh_cache(&code, first, NOW, Duration::from_hours(1), &cache, find)).unwrap();
        assert_eq!(then.borrow_mut().next(), None, "the store is asked no more than it has to be");
        cache.value(code.as_str())
    }

    #[test]
    fn the_entry_is_what_the_store_said_last() {
        let (one, two) = (live("https://one.example/"), live("https://two.example/"));
        let entry = |url: &str| Some(format!("never {url}"));
        assert_eq!(refreshed(one.clone(), vec![one.clone()]), entry("https://one.example/"));
        assert_eq!(refreshed(one.clone(), vec![two.clone(), two.clone()]), entry("https://two.example/"));
        assert_eq!(refreshed(one.clone(), vec![two, one.clone(), one]), entry("https://one.example/"));
        assert_eq!(refreshed(Lookup::Expired, vec![Lookup::Expired]), Some("x".into()));
    }

    #[test]
    fn a_link_that_changes_all_the_time_keeps_nobody() {
        let changes = (0..ROUNDS).map(|round| live(&format!("https://{round}.example/"))).collect();
        assert!(refreshed(live("https://example.com/"), changes).is_some());
    }
}
