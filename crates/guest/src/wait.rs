//! How a task of an instance waits for another one.
//!
//! A waker that one request's task calls for another's traps: `wit-bindgen` 0.57 runs each task by itself, and its feature
//! `inter-task-wakeup` traps on wasmtime 48. But the host wakes whoever reads a stream when its other end is dropped. So a
//! one-shot signal is a stream that carries nothing. Waiting by signals in place of looking again each millisecond made
//! look-ups of unknown codes 1.24 times as fast with 64 clients (`docs/performance-experiments.md`).

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

pub use oneshot::{Receiver, Sender, channel};

#[cfg(target_family = "wasm")]
mod oneshot {
    use spin_sdk::wasip3::{
        wit_bindgen::{StreamReader, StreamWriter},
        wit_stream,
    };

    /// Wakes its receiver when it is dropped.
    pub type Sender = StreamWriter<u8>;

    /// Waits for its sender; any task of the instance may, one at a time.
    pub struct Receiver(StreamReader<u8>);

    /// A one-shot signal.
    #[must_use]
    pub fn channel() -> (Sender, Receiver) {
        let (sender, receiver) = wit_stream::new();
        (sender, Receiver(receiver))
    }

    impl Receiver {
        /// Waits until the sender is dropped; not to be called again after that.
        pub async fn closed(&mut self) {
            self.0.read(Vec::with_capacity(1)).await;
        }
    }
}

/// The same for tests, which run outside any component.
#[cfg(not(target_family = "wasm"))]
mod oneshot {
    use futures::channel::oneshot;

    /// Wakes its receiver when it is dropped.
    pub type Sender = oneshot::Sender<()>;

    /// Waits for its sender.
    pub struct Receiver(oneshot::Receiver<()>);

    /// A one-shot signal.
    #[must_use]
    pub fn channel() -> (Sender, Receiver) {
        let (sender, receiver) = oneshot::channel();
        (sender, Receiver(receiver))
    }

    impl Receiver {
        /// Waits until the sender is dropped.
        pub async fn closed(&mut self) {
            let _ = (&mut self.0).await;
        }
    }
}

/// Wakes all tasks of the instance that wait for it.
#[derive(Default)]
pub struct Notify(RefCell<Vec<Sender>>);

impl Notify {
    /// Waits until [`Self::notify_waiters`] is called the next time.
    pub async fn notified(&self) {
        let (sender, mut receiver) = channel();
        self.0.borrow_mut().push(sender);
        receiver.closed().await;
    }

    /// Wakes all that wait now.
    pub fn notify_waiters(&self) {
        self.0.take();
    }
}

/// One permit, for what one task of the instance may do at a time.
#[derive(Default)]
pub struct Exclusive {
    is_held: Cell<bool>,
    released: Notify,
}

/// The permit. It is released when this is dropped, also by a task that is cancelled or never started.
pub struct Permit(Rc<Exclusive>);

impl Exclusive {
    /// The permit, unless somebody holds it.
    pub fn try_acquire(self: &Rc<Self>) -> Option<Permit> {
        (!self.is_held.replace(true)).then(|| Permit(self.clone()))
    }

    /// Waits until the permit is released. By then another task may hold it again.
    pub async fn released(&self) {
        self.released.notified().await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.is_held.set(false);
        self.0.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, executor::block_on, future::join_all};

    use super::*;

    #[test]
    fn all_that_wait_are_woken_and_nobody_who_comes_later() {
        let notify = Notify::default();
        let mut waiting = Box::pin(join_all((0..3).map(|_| notify.notified())));
        assert!(waiting.as_mut().now_or_never().is_none());
        notify.notify_waiters();
        block_on(waiting);
        assert!(notify.notified().now_or_never().is_none());
    }

    #[test]
    fn the_permit_is_held_once_and_released_by_a_task_that_is_never_started() {
        let exclusive = Rc::new(Exclusive::default());
        let permit = exclusive.try_acquire();
        assert!(permit.is_some() && exclusive.try_acquire().is_none());
        let mut waiting = Box::pin(exclusive.released());
        assert!(waiting.as_mut().now_or_never().is_none());
        let task = async move { drop(permit) };
        drop(task);
        block_on(waiting);
        assert!(exclusive.try_acquire().is_some());
    }

    #[test]
    fn who_gave_up_waiting_does_no_harm() {
        let notify = Notify::default();
        assert!(notify.notified().now_or_never().is_none());
        notify.notify_waiters();
    }
}
