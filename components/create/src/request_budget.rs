//! How many requests an instance serves, where that is fewer than the host would give it.
//!
//! A host starts an instance for each request that finds all others busy, so clients that connect at one moment get one
//! each. Fewer instances batch more creates into a statement: where the host gives an instance 2048 requests, an end after
//! 256 took creates from 0.25 to 0.37 of `pgbench` (`docs/performance-experiments.md`).

use std::cell::Cell;

use spin_sdk::wit_bindgen::rt::async_support::backpressure_inc;

/// How many requests an instance serves. Measured with 32 clients.
const REQUESTS: u32 = 256;

/// Counts the requests of the instance.
pub struct RequestBudget {
    left: Cell<u32>,
}

impl RequestBudget {
    /// A budget that nothing was taken from.
    pub const fn new() -> Self {
        Self { left: Cell::new(REQUESTS) }
    }

    /// Counts a request. With the last one the host is told to start no more in this instance (`backpressure.inc`); it ends
    /// the instance once all that was begun is done.
    pub fn count(&self) {
        if self.is_last() {
            backpressure_inc();
        }
    }

    fn is_last(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_used_up_once() {
        let budget = RequestBudget { left: Cell::new(3) };
        let last: Vec<bool> = (0..6).map(|_| budget.is_last()).collect();
        assert_eq!(last, [false, false, true, false, false, false]);
    }
}
