//! Deadlines. Spin sets no timeout on outbound calls, so every one of them is bounded here.
//!
//! A timer of its own for each call would cost more than many a call does, above all to cancel it. So an instance has one
//! clock that ticks while any call waits, and wakes the calls whose deadline has passed: Zipf redirects on Spin with 64
//! clients went from 0.57 to 0.61 of a bare redirect (`docs/performance-experiments.md`).

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    pin::pin,
    time::Duration,
};

use futures::future::{Either, select};

use crate::{
    host::{self, monotonic, sleep, spawn, start_spawned},
    wait::{Receiver, Sender, channel},
};

/// How often the clock ticks: a call may exceed its deadline by as much.
const TICK: Duration = Duration::from_millis(10);

/// An instant after which nobody waits any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// The deadline that passes so long from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self(monotonic().saturating_add(limit))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.0 <= monotonic()
    }
}

/// Runs `future` until `deadline` and at most a [`TICK`] longer; `None` when that was not enough. What was in flight is
/// then cancelled.
pub async fn within<T>(deadline: Deadline, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), pin!(passed(deadline))).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

async fn passed(deadline: Deadline) {
    loop {
        let mut waiting = Waiting::until(deadline);
        if !CLOCK.with(|clock| clock.runs.replace(true)) {
            spawn(tick(Running));
            start_spawned().await;
        }
        waiting.woken().await;
        // A clock that stops because its request is cancelled wakes everybody early.
        if deadline.has_passed() {
            return;
        }
    }
}

/// Runs the clock for as long as any call waits.
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
    runs: Cell<bool>,
    /// How many calls have waited so far: each has a number of its own.
    begun: Cell<u64>,
    /// Whom to wake when, by deadline and number.
    waiting: RefCell<BTreeMap<(Deadline, u64), Sender>>,
    /// Signals of calls that ended before their deadline, to be used again: a new one costs two calls of the host.
    unused: RefCell<Vec<(Sender, Receiver)>>,
}

impl Clock {
    const fn new() -> Self {
        Self {
            runs: Cell::new(false),
            begun: Cell::new(0),
            waiting: RefCell::new(BTreeMap::new()),
            unused: RefCell::new(Vec::new()),
        }
    }

    /// Wakes the calls whose deadline has passed. Ticks that come late wake all of them at once.
    fn tick(&self) {
        let now = Deadline(monotonic());
        let passed: Vec<_> = self.waiting.borrow_mut().extract_if(..=(now, u64::MAX), |_, _| true).collect();
        drop(passed);
    }

    fn begin(&self, deadline: Deadline) -> (u64, Receiver) {
        let number = self.begun.get();
        self.begun.set(number.wrapping_add(1));
        let (sender, receiver) = self.unused.borrow_mut().pop().unwrap_or_else(channel);
        self.waiting.borrow_mut().insert((deadline, number), sender);
        (number, receiver)
    }

    fn end(&self, deadline: Deadline, number: u64, receiver: Receiver) {
        let sender = self.waiting.borrow_mut().remove(&(deadline, number));
        if let Some(sender) = sender {
            self.unused.borrow_mut().push((sender, receiver));
        }
    }
}

/// A call among those that wait.
struct Waiting {
    deadline: Deadline,
    number: u64,
    receiver: Option<Receiver>,
}

impl Waiting {
    fn until(deadline: Deadline) -> Self {
        let (number, receiver) = CLOCK.with(|clock| clock.begin(deadline));
        Self { deadline, number, receiver: Some(receiver) }
    }

    async fn woken(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            receiver.closed().await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            CLOCK.with(|clock| clock.end(self.deadline, self.number, receiver));
        }
    }
}

/// Stops the clock, also when the request that it runs in is cancelled: the calls that still wait are woken and start it
/// again.
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

/// A period in which something that failed is not tried again.
#[derive(Default)]
pub struct Cooldown(Cell<Option<Duration>>);

impl Cooldown {
    /// Starts a period of this length.
    pub fn start(&self, length: Duration) {
        self.0.set(host::monotonic().checked_add(length));
    }

    /// Whether it has not ended yet.
    pub fn is_active(&self) -> bool {
        self.0.get().is_some_and(|until| host::monotonic() < until)
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::join};

    use super::*;
    use crate::host::simulated::{run, stall};

    #[test]
    fn a_cooldown_ends_by_itself() {
        run(async {
            let cooldown = Cooldown::default();
            assert!(!cooldown.is_active());
            cooldown.start(Duration::from_secs(1));
            sleep(Duration::from_millis(999)).await;
            assert!(cooldown.is_active());
            sleep(Duration::from_millis(1)).await;
            assert!(!cooldown.is_active());
        });
    }

    #[test]
    fn a_call_that_exceeds_its_deadline_ends_within_a_tick_and_a_quicker_one_is_not_cut() {
        run(async {
            let begun = monotonic();
            let slow = within(Deadline::after(Duration::from_millis(250)), std::future::pending::<()>());
            let quick = within(Deadline::after(Duration::from_millis(250)), async {
                sleep(Duration::from_millis(240)).await;
                "done"
            });
            let (slow, quick) = join(slow, quick).await;
            assert_eq!((slow, quick), (None, Some("done")));
            let took = monotonic().checked_sub(begun).unwrap();
            assert!((Duration::from_millis(250)..=Duration::from_millis(260)).contains(&took), "{took:?}");
        });
    }

    #[test]
    fn deadlines_are_kept_by_the_clock_also_when_ticks_come_late() {
        run(async {
            let begun = monotonic();
            let call = within(Deadline::after(Duration::from_millis(250)), std::future::pending::<()>());
            let busy_host = async {
                // Each tick comes 90 ms late: counted in ticks, 250 ms would be 2.5 s.
                for _ in 0..30 {
                    sleep(TICK).await;
                    stall(Duration::from_millis(90));
                }
            };
            let mut call = pin!(call);
            let mut busy_host = pin!(busy_host);
            select(call.as_mut(), busy_host.as_mut()).await;
            let took = monotonic().checked_sub(begun).unwrap();
            assert!(took <= Duration::from_millis(400), "{took:?}");
        });
    }

    #[test]
    fn a_signal_that_was_not_used_serves_again() {
        let clock = Clock::new();
        let deadline = Deadline::after(TICK);
        let (number, receiver) = clock.begin(deadline);
        clock.end(deadline, number, receiver);
        assert_eq!((clock.waiting.borrow().len(), clock.unused.borrow().len()), (0, 1));
        let (number, mut receiver) = clock.begin(deadline);
        assert!(clock.unused.borrow().is_empty());
        stall(TICK);
        clock.tick();
        assert!(receiver.closed().now_or_never().is_some());
        clock.end(deadline, number, receiver);
        assert!(clock.unused.borrow().is_empty(), "a signal that was sent cannot be sent again");
    }
}
