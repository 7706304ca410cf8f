//! What an instance of a component keeps between requests.

use std::{cell::OnceCell, rc::Rc, thread::LocalKey};

use crate::{answer::Answer, log, settings::SettingError};

/// The place of an instance's state.
pub type Slot<T> = OnceCell<Rc<T>>;

/// The instance's state, built on first use. Requests that arrive together may each build one; the first is kept.
///
/// # Errors
/// The answer to give when a setting cannot be read or used; which one is logged.
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
            Err(if error.is_transient() { Answer::unavailable() } else { Answer::internal() })
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn a_setting_that_cannot_be_read_yet_is_503_and_one_that_cannot_be_used_500() {
        thread_local! {
            static SLOT: Slot<u8> = const { Slot::new() };
        }
        let status = |error: SettingError| {
            block_on(state(&SLOT, async || Err(error))).map(|_| ()).map_err(|answer| answer.status)
        };
        assert_eq!(
            status(SettingError::transient("postgres_host", "cannot be read: no answer in time")),
            Err(503)
        );
        assert_eq!(status(SettingError::unusable("postgres_host", "must not be empty")), Err(500));
        assert_eq!(block_on(state(&SLOT, async || Ok(7))).map(|state| *state).map_err(|_| ()), Ok(7));
    }
}
