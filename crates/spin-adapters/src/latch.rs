//! How a task of an instance waits for another one.
//!
//! A future that another request's task wakes would trap: `wit-bindgen` runs each task by itself. But the host wakes
//! whoever reads a stream once its other end is dropped. So a latch is a stream that carries nothing.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::Poll,
};

pub use kind::{Latch, Opener, latch};

#[cfg(not(test))]
mod kind {
    use spin_sdk::wasip3::{
        wit_bindgen::{StreamReader, StreamWriter},
        wit_stream,
    };

    /// Opens its latch when it is dropped.
    pub type Opener = StreamWriter<u8>;

    /// Any task of the instance may wait for it, one at a time.
    pub struct Latch(StreamReader<u8>);

    /// A latch, and what opens it.
    pub fn latch() -> (Opener, Latch) {
        let (opener, latch) = wit_stream::new();
        (opener, Latch(latch))
    }

    impl Latch {
        /// Waits until it is open; not to be called again after that.
        pub async fn opened(&mut self) {
            self.0.read(Vec::with_capacity(1)).await;
        }
    }
}

/// The same for the tests, which run outside any component.
#[cfg(test)]
mod kind {
    use futures::channel::oneshot;

    pub type Opener = oneshot::Sender<()>;

    pub struct Latch(oneshot::Receiver<()>);

    pub fn latch() -> (Opener, Latch) {
        let (opener, latch) = oneshot::channel();
        (opener, Latch(latch))
    }

    impl Latch {
        pub async fn opened(&mut self) {
            let _ = (&mut self.0).await;
        }
    }
}

/// Wakes all tasks of the instance that wait for it.
#[derive(Default)]
pub struct Signal(RefCell<Vec<Opener>>);

impl Signal {
    /// Waits until [`Self::wake`] is called the next time.
    pub async fn wait(&self) {
        let (opener, mut latch) = latch();
        self.0.borrow_mut().push(opener);
        latch.opened().await;
    }

    /// Wakes all that wait now.
    pub fn wake(&self) {
        self.0.take();
    }
}

/// Something that one task of the instance does at a time.
#[derive(Default)]
pub struct Turns {
    taken: Cell<bool>,
    over: Signal,
}

/// Somebody's turn. It is over when this is dropped, as it is also with a task that is cancelled, or never started.
pub struct Turn(Rc<Turns>);

impl Turns {
    /// The turn, unless somebody has it.
    pub fn take(self: &Rc<Self>) -> Option<Turn> {
        (!self.taken.replace(true)).then(|| Turn(self.clone()))
    }

    /// Waits until the turn that somebody has is over. By then another may have the next one.
    pub async fn over(&self) {
        self.over.wait().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.taken.set(false);
        self.0.over.wake();
    }
}

/// Has the task polled once more. Without that `wit-bindgen` may start what the task has just spawned only when
/// something else happens to it.
pub async fn start_spawned() {
    poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Ready(())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, executor::block_on, future::join_all};

    use super::*;

    #[test]
    fn a_signal_wakes_all_that_wait_and_nobody_who_comes_later() {
        let signal = Signal::default();
        let mut waiting = Box::pin(join_all((0..3).map(|_| signal.wait())));
        assert!(waiting.as_mut().now_or_never().is_none());
        signal.wake();
        block_on(waiting);
        assert!(signal.wait().now_or_never().is_none());
    }

    #[test]
    fn a_turn_is_taken_by_one_at_a_time_and_ends_with_a_task_that_is_never_started() {
        let turns = Rc::new(Turns::default());
        let turn = turns.take();
        assert!(turn.is_some() && turns.take().is_none());
        let mut waiting = Box::pin(turns.over());
        assert!(waiting.as_mut().now_or_never().is_none());
        let task = async move { drop(turn) };
        drop(task);
        block_on(waiting);
        assert!(turns.take().is_some());
    }

    #[test]
    fn a_signal_does_not_mind_who_gave_up() {
        let signal = Signal::default();
        assert!(signal.wait().now_or_never().is_none());
        signal.wake();
    }
}
