//! What an instance asks of its host besides connections: the time, a timer and background tasks.
//!
//! Components run as WebAssembly only. On any other target this crate is only tested, so there the three are simulated:
//! [`simulated::run`] runs tasks on one thread and moves the time forward when all of them wait.

#[cfg(target_family = "wasm")]
pub use real::{monotonic, sleep, spawn};
#[cfg(not(target_family = "wasm"))]
pub use simulated::{monotonic, sleep, spawn};

use std::{
    future::poll_fn,
    task::Poll,
    time::{SystemTime, UNIX_EPOCH},
};

use shortlink_core::Timestamp;

/// The time of day.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Has the current task polled once more. Without that `wit-bindgen` may start what the task has just spawned only when
/// something else happens to it.
pub async fn start_spawned() {
    poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Ready(())
    })
    .await;
}

#[cfg(target_family = "wasm")]
mod real {
    use std::{
        sync::LazyLock,
        time::{Duration, Instant},
    };

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    /// The time since an instant in the life of this instance.
    #[must_use]
    pub fn monotonic() -> Duration {
        START.elapsed()
    }

    /// Waits for this long.
    pub async fn sleep(duration: Duration) {
        spin_sdk::time::sleep(duration).await;
    }

    /// Runs a task that goes on after the request that began it is answered.
    pub fn spawn(task: impl Future<Output = ()> + 'static) {
        spin_sdk::wit_bindgen::spawn(task);
    }
}

#[cfg(not(target_family = "wasm"))]
pub mod simulated {
    //! Time and tasks for tests.

    use std::{
        cell::{Cell, RefCell},
        collections::BTreeMap,
        future::poll_fn,
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::{Context, Poll, Waker},
        time::Duration,
    };

    use futures::{
        executor::{LocalPool, LocalSpawner},
        task::{ArcWake, LocalSpawnExt, waker},
    };

    #[derive(Default)]
    struct Simulation {
        now: Cell<Duration>,
        /// Who sleeps until when; the number tells those apart that wake at the same time.
        sleeping: RefCell<BTreeMap<(Duration, u64), Waker>>,
        slept: Cell<u64>,
        spawner: RefCell<Option<LocalSpawner>>,
    }

    thread_local! {
        static SIMULATION: Simulation = Simulation::default();
    }

    /// Whether the main future was woken.
    struct Woken(AtomicBool);

    impl ArcWake for Woken {
        fn wake_by_ref(woken: &Arc<Self>) {
            woken.0.store(true, Ordering::Relaxed);
        }
    }

    /// Runs a future and what it spawns until it is done.
    ///
    /// # Panics
    /// When everything waits and nobody sleeps.
    pub fn run<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut pool = LocalPool::new();
        SIMULATION.with(|simulation| simulation.spawner.replace(Some(pool.spawner())));
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = waker(woken.clone());
        loop {
            while woken.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return value;
                }
                pool.run_until_stalled();
            }
            assert!(SIMULATION.with(Simulation::wake_next), "every task waits for another one");
            pool.run_until_stalled();
        }
    }

    impl Simulation {
        /// Moves the time to when the next one wakes.
        fn wake_next(&self) -> bool {
            let mut sleeping = self.sleeping.borrow_mut();
            let Some(((until, _), waker)) = sleeping.pop_first() else { return false };
            self.now.set(self.now.get().max(until));
            waker.wake();
            true
        }
    }

    /// The simulated time.
    #[must_use]
    pub fn monotonic() -> Duration {
        SIMULATION.with(|simulation| simulation.now.get())
    }

    /// Lets time pass without anybody being woken, as when a host is too busy to run its timers.
    pub fn stall(duration: Duration) {
        SIMULATION.with(|simulation| simulation.now.set(simulation.now.get().saturating_add(duration)));
    }

    /// Waits for this long.
    pub async fn sleep(duration: Duration) {
        let (until, number) = SIMULATION.with(|simulation| {
            let number = simulation.slept.get();
            simulation.slept.set(number.wrapping_add(1));
            (simulation.now.get().saturating_add(duration), number)
        });
        poll_fn(|context| {
            SIMULATION.with(|simulation| {
                if simulation.now.get() >= until {
                    return Poll::Ready(());
                }
                simulation.sleeping.borrow_mut().insert((until, number), context.waker().clone());
                Poll::Pending
            })
        })
        .await;
    }

    /// Runs a task beside the one that spawns it.
    pub fn spawn(task: impl Future<Output = ()> + 'static) {
        SIMULATION.with(|simulation| {
            if let Some(spawner) = simulation.spawner.borrow().as_ref() {
                // An error means that the simulation has ended, and with it every task.
                let _ = spawner.spawn_local(task);
            }
        });
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn time_passes_while_everybody_waits_and_not_otherwise() {
            let begun = monotonic();
            run(async {
                spawn(async { sleep(Duration::from_secs(7)).await });
                sleep(Duration::from_secs(5)).await;
            });
            assert_eq!(monotonic().checked_sub(begun).unwrap(), Duration::from_secs(5));
        }

        #[test]
        #[should_panic(expected = "every task waits for another one")]
        fn a_test_that_waits_for_ever_fails() {
            run(std::future::pending::<()>());
        }
    }
}
