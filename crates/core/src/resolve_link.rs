//! Resolving a code to its link.

use std::time::Duration;

use crate::{
    cache_entry,
    code::Code,
    link::Lookup,
    ports::{LinkCache, LinkStore, StoreError},
    time::Timestamp,
};

/// Looks a code up in the cache, then in the store. `cache_ttl` is the longest that the cache holds what the store said. The
/// caller may keep a live link in its own memory, such as [`crate::HotLinks`], and look there first.
///
/// # Errors
/// [`StoreError`] when the cache did not know and the store gave no answer: the code may well have a link.
pub async fn resolve_link(
    code: &Code,
    now: Timestamp,
    cache_ttl: Duration,
    cache: &impl LinkCache,
    store: &impl LinkStore,
) -> Result<Lookup, StoreError> {
    let cached = cache.get(code).await;
    if let Some(lookup) = cached.as_deref().and_then(|value| cache_entry::decode(value, now)) {
        return Ok(lookup);
    }
    let lookup = store.find(code).await?;
    // An entry that came into the cache since then is newer than this look-up, so it stays. One that was there and is of no use
    // must not stay in the way of a link; should that change at this moment, the batch writes it once more.
    let is_in_the_way = cached.is_some() && matches!(lookup, Lookup::Live(_));
    let encode = if is_in_the_way { cache_entry::replacing } else { cache_entry::filling };
    if let Some(entry) = encode(code, &lookup, now, cache_ttl) {
        cache.put_soon(code, entry);
    }
    Ok(lookup)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::api_key::KeyId;
    use crate::{
        expiry::Expiry,
        fakes::{FakeCache, FakeStore},
        link::{Link, NewLink},
        target_url::TargetUrl,
    };

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn world() -> (FakeStore, FakeCache, Lookup) {
        let store = FakeStore::default();
        store.set_now(NOW);
        let link = Link {
            target: TargetUrl::parse("https://example.com/", &[]).unwrap(),
            expiry: Expiry::stored(NOW.plus_days(1)),
        };
        let new = NewLink {
            code: Code::parse("my-link").unwrap(),
            link: link.clone(),
            is_custom: true,
            owner: KeyId::NONE,
        };
        block_on(crate::ports::LinkStore::create(&store, &new)).unwrap();
        (store, FakeCache::default(), Lookup::Live(link))
    }

    fn resolve(
        code: &str,
        now: Timestamp,
        cache: &FakeCache,
        store: &FakeStore,
    ) -> Result<Lookup, StoreError> {
        block_on(resolve_link(&Code::parse(code).unwrap(), now, HOUR, cache, store))
    }

    #[test]
    fn a_link_comes_from_the_store_once_and_from_the_cache_then() {
        let (store, cache, live) = world();
        assert_eq!(resolve("my-link", NOW, &cache, &store), Ok(live.clone()));
        store.fail(true);
        assert_eq!(resolve("my-link", NOW, &cache, &store), Ok(live));
    }

    #[test]
    fn an_unreadable_entry_is_a_miss_and_is_overwritten() {
        let (store, cache, live) = world();
        cache.insert("my-link", "garbage");
        assert_eq!(resolve("my-link", NOW, &cache, &store), Ok(live));
        assert!(cache.value("my-link").unwrap().ends_with(" https://example.com/"));
    }

    #[test]
    fn an_unknown_code_is_cached_as_unknown() {
        let (store, cache, _) = world();
        assert_eq!(resolve("nothing", NOW, &cache, &store), Ok(Lookup::Unknown));
        assert_eq!(cache.value("nothing").as_deref(), Some("-"));
    }

    #[test]
    fn a_cached_link_that_has_expired_is_looked_up_again() {
        let (store, cache, _) = world();
        resolve("my-link", NOW, &cache, &store).unwrap();
        store.set_now(NOW.plus_days(1));
        assert_eq!(resolve("my-link", NOW.plus_days(1), &cache, &store), Ok(Lookup::Expired));
    }

    #[test]
    fn a_store_that_is_down_is_never_taken_for_an_unknown_code() {
        let (store, cache, _) = world();
        store.fail(true);
        assert!(resolve("nothing", NOW, &cache, &store).is_err());
        assert_eq!(cache.value("nothing"), None);
    }
}
