//! Limits on waiting. Spin sets no timeout on outbound calls, so every one of them is bounded here, and a dependency
//! that just failed is left alone for a moment instead of costing each request the full wait.
//!
//! A timer of its own for each call would cost more than many a call does, above all to cancel it. So an instance has one
//! clock that ticks while any request waits; who waits too long is woken by it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use futures::future::{Either, select};
use spin_sdk::{time::sleep, wasip3::wit_bindgen::spawn};

use crate::latch::{Latch, Opener, latch, start_spawned};

/// How often the clock ticks: what is bounded may take a tick longer, and somewhat more on a busy machine. An instance
/// that has served its number of requests lives for up to two ticks more. By its code, wasmtime's handler may wake it for a
/// request that it does not take any more, which then waits until the instance is gone; so ticks are short.
const TICK: Duration = Duration::from_millis(10);

/// Runs `future` for at most `limit` and a [`TICK`]; `None` when that was not enough. What was under way is then cancelled.
pub async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), pin!(elapsed(limit))).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

async fn elapsed(limit: Duration) {
    let until = CLOCK.with(|clock| clock.after(limit));
    // Woken before its time is who waits when the clock stops because the request that it runs in is cancelled.
    while CLOCK.with(|clock| clock.ticks.get() < until) {
        let mut waiting = Waiting::until(until);
        if !CLOCK.with(|clock| clock.runs.replace(true)) {
            spawn(tick(Running));
            start_spawned().await;
        }
        waiting.opened().await;
    }
}

/// Runs the clock for as long as anybody waits.
async fn tick(_running: Running) {
    while CLOCK.with(|clock| !clock.waiting.borrow().is_empty()) {
        sleep(TICK).await;
        CLOCK.with(Clock::tick);
    }
}

thread_local! {
    static CLOCK: Clock = const { Clock::new() };
}

/// The instance's clock.
struct Clock {
    ticks: Cell<u64>,
    runs: Cell<bool>,
    /// How many have waited so far: each has a number of its own.
    begun: Cell<u64>,
    /// At which tick to wake whom, by number.
    waiting: RefCell<BTreeMap<u64, (u64, Opener)>>,
    /// Latches of those who did not have to wait so long, for others.
    spare: RefCell<Vec<(Opener, Latch)>>,
}

impl Clock {
    const fn new() -> Self {
        Self {
            ticks: Cell::new(0),
            runs: Cell::new(false),
            begun: Cell::new(0),
            waiting: RefCell::new(BTreeMap::new()),
            spare: RefCell::new(Vec::new()),
        }
    }

    /// The tick at which `limit` has passed for sure; the one under way does not count.
    fn after(&self, limit: Duration) -> u64 {
        let whole = limit.as_nanos().div_ceil(TICK.as_nanos());
        self.ticks.get().saturating_add(u64::try_from(whole).unwrap_or(u64::MAX)).saturating_add(1)
    }

    fn tick(&self) {
        let now = self.ticks.get().saturating_add(1);
        self.ticks.set(now);
        let over: Vec<_> = self.waiting.borrow_mut().extract_if(.., |_, (until, _)| *until <= now).collect();
        drop(over);
    }

    fn begin(&self, until: u64) -> (u64, Latch) {
        let number = self.begun.get();
        self.begun.set(number.wrapping_add(1));
        let (opener, latch) = self.spare.borrow_mut().pop().unwrap_or_else(latch);
        self.waiting.borrow_mut().insert(number, (until, opener));
        (number, latch)
    }

    fn end(&self, number: u64, latch: Latch) {
        let place = self.waiting.borrow_mut().remove(&number);
        if let Some((_, opener)) = place {
            self.spare.borrow_mut().push((opener, latch));
        }
    }
}

/// A place among those who wait.
struct Waiting {
    number: u64,
    latch: Option<Latch>,
}

impl Waiting {
    fn until(tick: u64) -> Self {
        let (number, latch) = CLOCK.with(|clock| clock.begin(tick));
        Self { number, latch: Some(latch) }
    }

    async fn opened(&mut self) {
        if let Some(latch) = &mut self.latch {
            latch.opened().await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(latch) = self.latch.take() {
            CLOCK.with(|clock| clock.end(self.number, latch));
        }
    }
}

/// Stops the clock, also when the request that it runs in is cancelled: who still waits is woken and starts it again.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        let waiting = CLOCK.with(|clock| {
            clock.runs.set(false);
            clock.waiting.take()
        });
        drop(waiting);
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
    use futures::FutureExt;

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

    #[test]
    fn the_clock_wakes_who_waited_for_the_whole_limit_and_nobody_else() {
        let clock = Clock::new();
        let mut latches: Vec<_> = [1, 2].map(|ticks| clock.begin(clock.after(TICK * ticks)).1).into();
        let mut open = || -> Vec<bool> {
            latches.iter_mut().map(|latch| latch.opened().now_or_never().is_some()).collect()
        };
        clock.tick();
        assert_eq!(open(), [false, false]);
        clock.tick();
        assert_eq!(open(), [true, false]);
        clock.tick();
        assert!(clock.waiting.borrow().is_empty());
    }

    #[test]
    fn a_latch_that_was_not_opened_serves_again() {
        let clock = Clock::new();
        let (number, latch) = clock.begin(clock.after(TICK));
        clock.end(number, latch);
        assert_eq!((clock.waiting.borrow().len(), clock.spare.borrow().len()), (0, 1));
        let (number, mut latch) = clock.begin(clock.after(TICK));
        assert!(clock.spare.borrow().is_empty());
        clock.tick();
        clock.tick();
        assert!(latch.opened().now_or_never().is_some());
        clock.end(number, latch);
        assert!(clock.spare.borrow().is_empty(), "an open latch is of no use any more");
    }
}
