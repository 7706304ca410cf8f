//! Limits on waiting. Spin sets no timeout on outbound calls, so every one of them is bounded here, and a dependency
//! that just failed is left alone for a moment instead of costing each request the full wait.
//!
//! Futures of one request never wait for another request's: a wake-up across requests would trap. Who must wait for
//! another request looks again after a short sleep.

use std::{
    cell::Cell,
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use futures::future::{Either, select};
use spin_sdk::time::sleep;

/// Runs `future` for at most `limit`; `None` when that was not enough. What was under way is then cancelled.
pub async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), pin!(sleep(limit))).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// A rest after a failure.
#[derive(Default)]
pub struct Rest(Cell<Option<Instant>>);

impl Rest {
    /// Begins a rest of this length.
    pub fn begin(&self, length: Duration) {
        self.0.set(Instant::now().checked_add(length));
    }

    /// Whether a rest is under way.
    pub fn is_on(&self) -> bool {
        self.0.get().is_some_and(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_ends_by_itself() {
        let rest = Rest::default();
        assert!(!rest.is_on());
        rest.begin(Duration::from_hours(1));
        assert!(rest.is_on());
        rest.begin(Duration::ZERO);
        assert!(!rest.is_on());
    }
}
