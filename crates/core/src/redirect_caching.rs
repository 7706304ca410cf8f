//! How long a redirect may be cached by others.

use crate::{expiry::Expiry, time::Timestamp};

/// How long a redirect may be cached, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectCaching {
    /// By the caller's own browser.
    pub max_age: u32,
    /// By a shared cache in front, such as nginx or a content delivery network.
    pub edge_ttl: u32,
}

impl RedirectCaching {
    /// Whether a link ends so soon that a redirect to it may not be cached as long as others.
    #[must_use]
    pub fn is_cut_by(self, expiry: Expiry, now: Timestamp) -> bool {
        self.within(expiry, now) != self
    }

    /// What remains of both for a link that ends at `expiry`.
    #[must_use]
    pub fn within(self, expiry: Expiry, now: Timestamp) -> Self {
        // Caches count whole seconds, and nginx keeps an answer to the end of the last one: that second is left free.
        let left = expiry.millis_left(now).checked_div(1000).unwrap_or_default().saturating_sub(1);
        let at_most = |seconds: u32| seconds.min(u32::try_from(left).unwrap_or(u32::MAX));
        Self { max_age: at_most(self.max_age), edge_ttl: at_most(self.edge_ttl) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHING: RedirectCaching = RedirectCaching { max_age: 3, edge_ttl: 10 };
    const NOW: Timestamp = Timestamp::from_unix_millis(0);

    fn ends(millis_left: i64) -> Expiry {
        Expiry::stored(Timestamp::from_unix_millis(millis_left))
    }

    #[test]
    fn a_redirect_is_the_same_until_the_link_nears_its_end() {
        let is_cut = |left| CACHING.is_cut_by(ends(left), NOW);
        assert_eq!([11_000, 10_999, 0].map(is_cut), [false, true, true]);
        assert!(!CACHING.is_cut_by(Expiry::Never, NOW));
    }

    #[test]
    fn no_cache_holds_a_redirect_past_its_expiry() {
        let within = |left| {
            let RedirectCaching { max_age, edge_ttl } = CACHING.within(ends(left), NOW);
            (max_age, edge_ttl)
        };
        assert_eq!([5_999, 1_999, -1].map(within), [(3, 4), (0, 0), (0, 0)]);
    }
}
