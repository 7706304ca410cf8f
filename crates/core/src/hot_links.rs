//! The links that one instance of the service has just followed.
//!
//! A link never changes before it expires, so a copy is right until then; it is kept for a second or so all the same,
//! so that a link taken out of the store by its operator is gone soon. What has no live link is never kept: it may
//! have one the next moment.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use crate::{code::Code, link::Link, time::Timestamp};

/// How many links are kept. With the longest targets they take 8 MiB.
const CAPACITY: usize = 1024;

/// A bounded memory of live links.
pub struct HotLinks {
    lifetime: Duration,
    links: RefCell<BTreeMap<Code, Remembered>>,
}

struct Remembered {
    link: Link,
    since: Timestamp,
}

impl HotLinks {
    /// An empty memory that keeps each link for `lifetime`; none at all when that is zero.
    #[must_use]
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, links: RefCell::default() }
    }

    /// The live link of a code, if it was seen lately.
    #[must_use]
    pub fn get(&self, code: &Code, now: Timestamp) -> Option<Link> {
        let links = self.links.borrow();
        let seen = links.get(code).filter(|seen| self.is_fresh(seen, now))?;
        (!seen.link.expiry.is_over(now)).then(|| seen.link.clone())
    }

    /// Keeps a link that is live now. A full memory forgets what is old; while all of it is new it takes no more.
    pub fn put(&self, code: &Code, link: &Link, now: Timestamp) {
        if self.lifetime.is_zero() {
            return;
        }
        let mut links = self.links.borrow_mut();
        if links.len() >= CAPACITY {
            links.retain(|_, seen| self.is_fresh(seen, now));
        }
        if links.len() < CAPACITY || links.contains_key(code) {
            links.insert(code.clone(), Remembered { link: link.clone(), since: now });
        }
    }

    fn is_fresh(&self, seen: &Remembered, now: Timestamp) -> bool {
        // A clock that was set back must not make a copy last: what was seen later than now is forgotten too.
        now >= seen.since && u128::from(now.millis_since(seen.since)) < self.lifetime.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{expiry::Expiry, target_url::TargetUrl};

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

    fn later(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(NOW.unix_millis() + millis)
    }

    fn link(millis_left: i64) -> Link {
        Link {
            target: TargetUrl::parse("https://example.com/", &[]).unwrap(),
            expiry: Expiry::stored(later(millis_left)),
        }
    }

    fn code(number: u64) -> Code {
        Code::from_number(number)
    }

    #[test]
    fn a_link_is_remembered_for_the_lifetime() {
        let hot = HotLinks::new(Duration::from_secs(1));
        hot.put(&code(1), &link(60_000), NOW);
        assert_eq!(hot.get(&code(1), later(999)), Some(link(60_000)));
        assert_eq!(hot.get(&code(1), later(1000)), None);
        assert_eq!(hot.get(&code(2), NOW), None);
    }

    #[test]
    fn a_link_is_never_remembered_past_its_expiry() {
        let hot = HotLinks::new(Duration::from_secs(1));
        hot.put(&code(1), &link(10), NOW);
        assert!(hot.get(&code(1), later(9)).is_some());
        assert_eq!(hot.get(&code(1), later(10)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_last() {
        let hot = HotLinks::new(Duration::from_secs(1));
        hot.put(&code(1), &link(60_000), NOW);
        assert_eq!(hot.get(&code(1), later(-1)), None);
    }

    #[test]
    fn without_a_lifetime_nothing_is_remembered() {
        let hot = HotLinks::new(Duration::ZERO);
        hot.put(&code(1), &link(60_000), NOW);
        assert_eq!(hot.get(&code(1), NOW), None);
    }

    #[test]
    fn a_full_memory_takes_new_links_once_the_old_ones_are_over() {
        let hot = HotLinks::new(Duration::from_secs(1));
        (0..2000).for_each(|number| hot.put(&code(number), &link(60_000), NOW));
        assert_eq!(hot.links.borrow().len(), CAPACITY);
        assert_eq!(hot.get(&code(1999), NOW), None);
        hot.put(&code(5000), &link(60_000), later(1000));
        assert_eq!(hot.get(&code(5000), later(1000)), Some(link(60_000)));
        assert_eq!(hot.links.borrow().len(), 1);
    }
}
