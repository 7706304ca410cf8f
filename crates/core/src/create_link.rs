//! Creating a link.

use std::time::Duration;

use thiserror::Error;

use crate::{
    api_key::KeyId,
    cache_entry,
    code::Code,
    draft::Draft,
    link::{Link, Lookup, NewLink},
    ports::{Claim, CodePool, LinkCache, LinkStore, StoreError},
    time::Timestamp,
};

/// How many codes of the pool are tried before random ones. More than one is taken only when the pool came back from
/// an old snapshot and hands out codes again.
const POOL_ATTEMPTS: usize = 3;
/// How many random codes are tried. With a thousandth of all codes in use, all of them are taken once in 10^9 creates.
const RANDOM_ATTEMPTS: usize = 3;

/// Why no link was created.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CreateError {
    /// A live link has the alias.
    #[error("the alias is in use")]
    AliasTaken,
    /// By the store's clock, which decides, the link has already expired.
    #[error("the link has already expired")]
    AlreadyExpired,
    /// The link leads to a host that is blocked.
    #[error("the link leads to a blocked host")]
    Blocked,
    /// Every generated code that was tried has a live link.
    #[error("found no free code")]
    NoFreeCode,
    /// The store failed; the link may have been stored all the same, under a code that nobody was told.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A link to create.
#[derive(Clone, Debug)]
pub struct Creation {
    /// The link.
    pub draft: Draft,
    /// The key that it is to belong to; [`KeyId::NONE`] without one.
    pub owner: KeyId,
    /// When it was asked for.
    pub now: Timestamp,
    /// The longest that the cache holds it.
    pub cache_ttl: Duration,
}

/// Stores a link under its alias or a generated code, and returns that code once the link is durable. `random` gives 64 evenly
/// distributed bits a call.
///
/// # Errors
/// [`CreateError`]; then no caller was promised a link.
pub async fn create_link(
    creation: Creation,
    store: &impl LinkStore,
    cache: &impl LinkCache,
    pool: &impl CodePool,
    mut random: impl FnMut() -> u64,
) -> Result<Code, CreateError> {
    let Creation { draft, owner, now, cache_ttl } = creation;
    let link = Link { target: draft.target, expiry: draft.expiry };
    let stored = if let Some(alias) = draft.alias {
        let new = NewLink { code: alias.into_code(), link, is_custom: true, owner };
        match store.create(&new).await? {
            Claim::Created => new,
            Claim::Taken => return Err(CreateError::AliasTaken),
            Claim::AlreadyExpired => return Err(CreateError::AlreadyExpired),
            Claim::Blocked => return Err(CreateError::Blocked),
        }
    } else {
        store_generated(link, owner, store, pool, &mut random).await?
    };
    cache_created(&stored, now, cache_ttl, cache).await;
    Ok(stored.code)
}

/// Writes a link that was just stored to the cache.
pub async fn cache_created(new: &NewLink, now: Timestamp, cache_ttl: Duration, cache: &impl LinkCache) {
    let lookup = Lookup::Live(new.link.clone());
    if new.is_custom {
        // Before the answer: somebody may have asked for this alias, so that "no such link" is cached.
        if let Some(entry) = cache_entry::replacing(&new.code, &lookup, now, cache_ttl) {
            cache.put(&new.code, entry).await;
        }
    } else if let Some(entry) = cache_entry::filling(&new.code, &lookup, now, cache_ttl) {
        // Nobody has asked for a code that was just generated. Its link may be changed before this is written.
        cache.put_soon(&new.code, entry);
    }
}

async fn store_generated(
    link: Link,
    owner: KeyId,
    store: &impl LinkStore,
    pool: &impl CodePool,
    random: &mut impl FnMut() -> u64,
) -> Result<NewLink, CreateError> {
    let mut from_pool = POOL_ATTEMPTS;
    let mut new = NewLink { code: Code::from_number(0), link, is_custom: false, owner };
    for _ in 0..POOL_ATTEMPTS.saturating_add(RANDOM_ATTEMPTS) {
        let pooled = if from_pool > 0 { pool.next().await } else { None };
        from_pool = if pooled.is_some() { from_pool.saturating_sub(1) } else { 0 };
        new.code = pooled.unwrap_or_else(|| Code::from_number(random()));
        match store.create(&new).await? {
            Claim::Created => return Ok(new),
            Claim::Taken => {}
            Claim::AlreadyExpired => return Err(CreateError::AlreadyExpired),
            Claim::Blocked => return Err(CreateError::Blocked),
        }
    }
    Err(CreateError::NoFreeCode)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::{
        alias::Alias,
        expiry::{Expiry, LifetimeLimits},
        fakes::{FakeCache, FakePool, FakeStore},
        target_url::TargetUrl,
    };

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
    const LIMITS: LifetimeLimits = LifetimeLimits { default_ttl_days: 14, max_ttl_days: Some(1826) };

    #[derive(Default)]
    struct World {
        store: FakeStore,
        cache: FakeCache,
        pool: FakePool,
    }

    impl World {
        fn new() -> Self {
            let world = Self::default();
            world.store.set_now(NOW);
            world
        }

        fn create(&self, url: &str, alias: Option<&str>) -> Result<String, CreateError> {
            let draft = Draft {
                target: TargetUrl::parse(url, &[]).unwrap(),
                expiry: Expiry::default_from(NOW, LIMITS),
                alias: alias.map(|alias| Alias::parse(alias).unwrap()),
            };
            let mut number = 100;
            let random = || {
                number += 1;
                number
            };
            let hour = Duration::from_hours(1);
            let creation = Creation { draft, owner: KeyId::NONE, now: NOW, cache_ttl: hour };
            block_on(create_link(creation, &self.store, &self.cache, &self.pool, random))
                .map(|code| code.to_string())
        }
    }

    #[test]
    fn a_generated_code_comes_from_the_pool() {
        let world = World::new();
        world.pool.fill(["aaaaaaa", "bbbbbbb"]);
        assert_eq!(world.create("https://one.example/", None).as_deref(), Ok("aaaaaaa"));
        assert_eq!(world.create("https://two.example/", None).as_deref(), Ok("bbbbbbb"));
    }

    #[test]
    fn an_empty_pool_gives_a_random_code() {
        assert_eq!(World::new().create("https://one.example/", None), Ok(Code::from_number(101).to_string()));
    }

    #[test]
    fn a_code_that_the_pool_hands_out_again_is_skipped() {
        let world = World::new();
        world.pool.fill(["aaaaaaa"]);
        world.create("https://one.example/", None).unwrap();
        world.pool.fill(["aaaaaaa", "bbbbbbb"]);
        assert_eq!(world.create("https://two.example/", None).as_deref(), Ok("bbbbbbb"));
        assert_eq!(world.store.target("aaaaaaa").as_deref(), Some("https://one.example/"));
    }

    #[test]
    fn a_pool_of_nothing_but_used_codes_is_given_up_for_random_ones() {
        let world = World::new();
        for code in ["aaaaaaa", "bbbbbbb", "ccccccc"] {
            world.create("https://one.example/", Some(code)).unwrap();
        }
        world.pool.fill(["aaaaaaa", "bbbbbbb", "ccccccc", "ddddddd"]);
        assert_eq!(world.create("https://two.example/", None), Ok(Code::from_number(101).to_string()));
    }

    #[test]
    fn when_every_code_is_taken_the_search_ends() {
        let world = World::new();
        world.store.take_every_code();
        assert_eq!(world.create("https://one.example/", None), Err(CreateError::NoFreeCode));
    }

    #[test]
    fn an_alias_in_use_is_refused_and_its_link_stays() {
        let world = World::new();
        assert_eq!(world.create("https://one.example/", Some("my-link")).as_deref(), Ok("my-link"));
        assert_eq!(world.create("https://two.example/", Some("my-link")), Err(CreateError::AliasTaken));
        assert_eq!(world.store.target("my-link").as_deref(), Some("https://one.example/"));
    }

    #[test]
    fn an_alias_is_free_again_once_its_link_has_expired() {
        let world = World::new();
        world.create("https://one.example/", Some("my-link")).unwrap();
        world.store.expire("my-link");
        assert_eq!(world.create("https://two.example/", Some("my-link")).as_deref(), Ok("my-link"));
    }

    #[test]
    fn the_clock_of_the_store_decides_whether_a_link_has_expired() {
        let world = World::new();
        world.store.set_now(NOW.plus_days(14));
        assert_eq!(world.create("https://one.example/", None), Err(CreateError::AlreadyExpired));
        assert_eq!(world.create("https://one.example/", Some("my-link")), Err(CreateError::AlreadyExpired));
    }

    #[test]
    fn a_new_link_replaces_a_cached_no() {
        let world = World::new();
        world.cache.insert("my-link", "-");
        world.create("https://one.example/", Some("my-link")).unwrap();
        assert!(world.cache.value("my-link").unwrap().ends_with(" https://one.example/"));
    }

    #[test]
    fn a_store_that_is_down_is_an_error_and_nothing_is_cached() {
        let world = World::new();
        world.store.fail(true);
        assert!(matches!(world.create("https://one.example/", Some("my-link")), Err(CreateError::Store(_))));
        assert_eq!(world.cache.value("my-link"), None);
    }
}
