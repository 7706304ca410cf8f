//! A process as it is remembered on disk, so that a later command stops that process and no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::command;
use crate::signal::{Signal, signal_group};

const POLL: Duration = Duration::from_millis(20);

/// A process that leads its own process group. Process ids are reused, so the start
/// time is recorded as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// What it is: `postgres`, `cache`, `codes`, `host`, `batch`, `nginx`.
    pub name: String,
    /// Its number, and that of its group.
    pub pid: u32,
    /// When it began, in whatever form the system tells; only compared for equality.
    pub started: String,
    /// Where its output goes.
    pub log: PathBuf,
    /// What asks it to end.
    pub stop_signal: Signal,
}

impl ProcessRecord {
    /// Whether this very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        began(self.pid).is_some_and(|started| started == self.started)
    }

    /// Asks it to end, waits, ends it by force after `grace`, and ends what it left behind in its group: the workers
    /// of an nginx that was killed still listen.
    ///
    /// # Errors
    /// It runs on, even so.
    pub fn stop(&self, grace: Duration) -> Result<()> {
        if began(self.pid).is_some_and(|started| started != self.started) {
            return Ok(()); // The id belongs to another process now, and with it the group.
        }
        signal_group(self.pid, self.stop_signal);
        if !self.wait_gone(grace) {
            signal_group(self.pid, Signal::Kill);
            if !self.wait_gone(Duration::from_secs(5)) {
                bail!("{} (process {}) does not end", self.name, self.pid);
            }
        }
        signal_group(self.pid, Signal::Kill);
        Ok(())
    }

    fn wait_gone(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }
}

/// When the process began; nothing if there is none, or if it has ended and merely waits to be collected.
pub(crate) fn began(pid: u32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        return parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    }
    let mut ps = Command::new("ps");
    ps.args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C");
    let output = command::output(ps, "").ok()?;
    let (state, started) = output.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// The state and the start (in clock ticks since boot) out of `/proc/<pid>/stat`. The name before them is in brackets
/// and may itself hold brackets and blanks.
fn parse_stat(stat: &str) -> Option<String> {
    const STATE: usize = 0;
    const START: usize = 19;
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ended = matches!(fields.get(STATE), None | Some(&("Z" | "X")));
    if ended { None } else { fields.get(START).map(|ticks| (*ticks).to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    fn record(pid: u32) -> ProcessRecord {
        ProcessRecord {
            name: "sleep".to_owned(),
            pid,
            started: began(pid).unwrap(),
            log: PathBuf::new(),
            stop_signal: Signal::Term,
        }
    }

    #[test]
    fn the_start_is_found_behind_a_name_with_brackets() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(parse_stat(&format!("9 (a) b (c)) {rest}")).as_deref(), Some("4711"));
        assert_eq!(parse_stat(&format!("9 (a) Z{}", &rest[1..])), None);
    }

    #[test]
    fn a_recorded_process_is_stopped() {
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let record = record(child.id());
        assert!(record.is_alive());
        record.stop(Duration::from_secs(5)).unwrap();
        assert!(!record.is_alive());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn another_process_with_the_same_id_is_not_stopped() {
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let other = ProcessRecord { started: "an earlier time".to_owned(), ..record(child.id()) };
        other.stop(Duration::from_secs(1)).unwrap();
        assert!(!other.is_alive());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
