//! What an instance of a component keeps between requests.

use std::{cell::OnceCell, rc::Rc, thread::LocalKey};

use crate::{
    answer::Answer,
    deadline::{Deadline, within},
    log,
    settings::SettingError,
};

/// The place of an instance's state.
pub type Slot<T> = OnceCell<Rc<T>>;

/// The instance's state, built on first use. Requests that arrive together may each build one; the first is kept.
///
/// # Errors
/// The answer to give when a setting cannot be read or used, which is logged, or not all of them can be read by `deadline`.
pub async fn state<T>(
    slot: &'static LocalKey<Slot<T>>,
    deadline: Deadline,
    build: impl AsyncFnOnce() -> Result<T, SettingError>,
) -> Result<Rc<T>, Answer> {
    if let Some(state) = slot.with(|slot| slot.get().cloned()) {
        return Ok(state);
    }
    let Some(result) = within(deadline, build()).await else {
        log::failure("configure", "the provider of variables took until the request's deadline");
        return Err(Answer::unavailable());
    };
    match result {
        Ok(state) => Ok(slot.with(|slot| slot.get_or_init(|| Rc::new(state)).clone())),
        Err(error) => {
            log::failure("configure", &error.to_string());
            Err(if error.is_transient() { Answer::unavailable() } else { Answer::internal() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::simulated::run;

    #[test]
    fn a_setting_that_cannot_be_read_yet_is_503_and_one_that_cannot_be_used_500() {
        thread_local! {
            static SLOT: Slot<u8> = const { Slot::new() };
        }
        let later = || Deadline::after(Duration::from_secs(10));
        let status = |error: SettingError| {
            run(async { state(&SLOT, later(), async || Err(error)).await })
                .map(|_| ())
                .map_err(|answer| answer.status)
        };
        assert_eq!(
            status(SettingError::transient("postgres_host", "cannot be read: no answer in time")),
            Err(503)
        );
        assert_eq!(status(SettingError::unusable("postgres_host", "must not be empty")), Err(500));
        let late = run(async { state(&SLOT, later(), async || std::future::pending().await).await });
        assert_eq!(late.map(|_| ()).map_err(|answer| answer.status), Err(503));
        let built = run(async { state(&SLOT, later(), async || Ok(7)).await });
        assert_eq!(built.map(|state| *state).map_err(|_| ()), Ok(7));
    }
}
