//! What an instance of a component keeps between requests.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
    thread::LocalKey,
};

use spin_sdk::wit_bindgen::rt::async_support::backpressure_inc;

use crate::{answer::Answer, log, settings::SettingError};

/// The place of an instance's state.
pub type Slot<T> = OnceCell<Rc<T>>;

/// The instance's state, built on first use. Requests that arrive together may each build one; the first is kept.
///
/// # Errors
/// The answer to give when a setting cannot be used; which one is logged.
pub async fn state<T>(
    slot: &'static LocalKey<Slot<T>>,
    build: impl AsyncFnOnce() -> Result<T, SettingError>,
) -> Result<Rc<T>, Answer> {
    if let Some(state) = slot.with(|slot| slot.get().cloned()) {
        return Ok(state);
    }
    match build().await {
        Ok(state) => Ok(slot.with(|slot| slot.get_or_init(|| Rc::new(state)).clone())),
        Err(error) => {
            log::failure("configure", &error.to_string());
            Err(Answer::internal())
        }
    }
}

/// How many requests an instance takes, where that is fewer than the host would give it. Clients that arrive at one moment
/// get an instance each; batches and kept connections are worth the more the sooner the surplus ends.
pub struct Term {
    left: Cell<u32>,
}

impl Term {
    /// A term of so many requests.
    #[must_use]
    pub const fn new(requests: u32) -> Self {
        Self { left: Cell::new(requests) }
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
    use super::Term;

    #[test]
    fn a_term_ends_once() {
        let term = Term::new(3);
        let ends: Vec<bool> = (0..6).map(|_| term.is_last()).collect();
        assert_eq!(ends, [false, false, true, false, false, false]);
    }
}
