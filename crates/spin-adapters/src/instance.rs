//! What an instance of a component keeps between requests.

use std::{cell::OnceCell, rc::Rc, thread::LocalKey};

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
