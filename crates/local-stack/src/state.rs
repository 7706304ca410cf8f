//! What is known about a stack between two commands.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::ports::Ports;
use crate::record::ProcessRecord;

const LOCK_LIMIT: Duration = Duration::from_secs(3);

/// A started stack, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The ports it was started on.
    pub ports: Ports,
    /// The directory of the servers' data.
    pub data: PathBuf,
    /// Its processes, in the order in which they were started. Empty once it was stopped but the data kept.
    pub processes: Vec<ProcessRecord>,
    /// Whether the start came to its end.
    pub complete: bool,
}

/// Whether a stack runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing runs.
    Stopped,
    /// Every process runs.
    Running,
    /// Some processes have died, or the start was interrupted. Holds the names of the dead ones.
    Broken(Vec<String>),
}

impl State {
    /// What was written last, if anything.
    ///
    /// # Errors
    /// The file is there but cannot be read.
    pub fn load(directory: &Path) -> Result<Option<Self>> {
        let path = file(directory);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(|| {
                format!(
                    "{} is damaged: stop its processes by hand, then remove {}",
                    path.display(),
                    directory.display()
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Which of its processes still run.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let dead: Vec<String> = self
            .processes
            .iter()
            .filter(|process| !process.is_alive())
            .map(|process| process.name.clone())
            .collect();
        if self.processes.is_empty() {
            Condition::Stopped
        } else if dead.is_empty() && self.complete {
            Condition::Running
        } else {
            Condition::Broken(dead)
        }
    }

    /// Adds a process to what was written last.
    pub(crate) fn remember(directory: &Path, process: &ProcessRecord) -> Result<()> {
        let mut state =
            Self::load(directory)?.context("a stack writes down its state before it starts anything")?;
        state.processes.push(process.clone());
        state.save(directory)
    }

    /// Writes it, whole or not at all.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        let (path, draft) = (file(directory), directory.join("state.json.new"));
        fs::write(&draft, serde_json::to_vec_pretty(self)?)
            .and_then(|()| fs::rename(&draft, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Keeps two commands from changing the same stack at the same time. Released when it is dropped, or when the process
/// ends however that happens.
pub(crate) fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(50));
            }
            Err(TryLockError::WouldBlock) => {
                bail!("another local-stack command is running on {}", directory.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("state.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signal;

    fn dead(name: &str) -> ProcessRecord {
        ProcessRecord {
            name: name.to_owned(),
            pid: u32::MAX / 4,
            started: "1".to_owned(),
            log: PathBuf::new(),
            stop_signal: Signal::Term,
        }
    }

    fn state(processes: Vec<ProcessRecord>) -> State {
        State { ports: Ports::default(), data: PathBuf::from("/data"), processes, complete: true }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(State::load(directory.path()).unwrap(), None);
        let state = state(vec![dead("nginx")]);
        state.save(directory.path()).unwrap();
        assert_eq!(State::load(directory.path()).unwrap(), Some(state));
    }

    #[test]
    fn a_dead_process_is_named() {
        let state = state(vec![dead("postgres"), dead("nginx")]);
        assert_eq!(state.condition(), Condition::Broken(vec!["postgres".to_owned(), "nginx".to_owned()]));
    }

    #[test]
    fn without_processes_it_is_stopped() {
        assert_eq!(state(Vec::new()).condition(), Condition::Stopped);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("state.json"), "{").unwrap();
        assert!(State::load(directory.path()).unwrap_err().to_string().contains("state.json"));
    }

    #[test]
    fn a_second_command_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let held = lock(directory.path()).unwrap();
        assert!(lock(directory.path()).is_err());
        drop(held);
        lock(directory.path()).unwrap();
    }
}
