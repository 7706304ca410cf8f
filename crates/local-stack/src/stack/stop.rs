//! Stopping a stack that an earlier command started.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::state::{State, lock};

/// The host finishes requests in flight for up to ten seconds.
const GRACE: Duration = Duration::from_secs(12);

/// Stops the stack whose state is in `directory` and removes everything it left, or, with `keep_data`, all but the
/// data, the secrets and the logs. Says by `report` what it does. Harmless when nothing runs.
///
/// # Errors
/// A process that does not end, or a file that cannot be removed.
pub fn stop(directory: &Path, keep_data: bool, report: &mut dyn FnMut(&str)) -> Result<()> {
    if !directory.is_dir() {
        report("nothing is running");
        return Ok(());
    }
    let _lock = lock(directory)?;
    let state = State::load(directory)?;
    match state {
        None => report("nothing is running"),
        Some(state) => {
            let stopped = stop_processes(&state, directory, report)?;
            if keep_data {
                report(&format!("the data stays in {}", stopped.data.display()));
                return Ok(());
            }
            remove(&stopped.data)?;
        }
    }
    if !keep_data {
        remove(directory)?;
    }
    Ok(())
}

/// Stops the processes in the reverse order of their start and remembers that. The data stays.
pub(super) fn stop_processes(state: &State, directory: &Path, report: &mut dyn FnMut(&str)) -> Result<State> {
    let mut left = state.clone();
    left.complete = false;
    while let Some(process) = left.processes.last() {
        if process.is_alive() {
            report(&format!("stopping {}", process.name));
        }
        process.stop(GRACE)?;
        left.processes.pop();
        left.save(directory)?;
    }
    left.save(directory)?;
    Ok(left)
}

fn remove(directory: &Path) -> Result<()> {
    if directory.is_dir() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}
