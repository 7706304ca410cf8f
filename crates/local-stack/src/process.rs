//! A child process: its log, the wait until it serves, its end.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::guard::Guard;
use crate::interrupt;
use crate::record::{ProcessRecord, began};
use crate::signal::{Signal, signal_group};

const POLL: Duration = Duration::from_millis(20);
const GRACE: Duration = Duration::from_secs(12);
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 4096;

/// A child that runs in a process group of its own, so that Ctrl-C on the terminal does not reach it. Dropped, it is
/// stopped.
#[derive(Debug)]
pub struct Running {
    record: ProcessRecord,
    child: Child,
    /// How long the log was when this child began to write to it.
    log_start: u64,
    guard: Option<Arc<Guard>>,
    ended: bool,
}

impl Running {
    pub(crate) fn spawn(
        name: &str,
        mut command: Command,
        log: PathBuf,
        stop_signal: Signal,
        guard: Option<Arc<Guard>>,
    ) -> Result<Self> {
        let output = fs::OpenOptions::new().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot open {}", log.display()))?;
        let log_start = output.metadata()?.len();
        command.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let program = command.get_program().to_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", Path::new(&program).display()))?;
        let pid = child.id();
        if let Some(guard) = &guard {
            guard.watch(pid);
        }
        let started = began(pid).unwrap_or_default();
        let record = ProcessRecord { name: name.to_owned(), pid, started, log, stop_signal };
        Ok(Self { record, child, log_start, guard, ended: false })
    }

    /// Its number, which is also that of its group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.record.pid
    }

    /// The file that takes its output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.record.log
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends the signal to it and to what it started.
    pub fn signal(&self, signal: Signal) {
        signal_group(self.record.pid, signal);
    }

    /// Waits until `ready` says yes.
    ///
    /// # Errors
    /// It ended, it exceeded the limit, or the user pressed Ctrl-C. The first two quote the end of its log.
    pub fn wait_ready(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(self.failure(&format!("ended while it was starting ({status})")));
            }
            if ready() {
                return Ok(());
            }
            check_interrupt()?;
            if Instant::now() > deadline {
                return Err(self.failure(&format!("was not ready after {} s", limit.as_secs())));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until it ends by itself, successfully.
    ///
    /// # Errors
    /// It failed, it exceeded the limit, or the user pressed Ctrl-C.
    pub(crate) fn wait_success(mut self, limit: Duration) -> Result<()> {
        match self.wait_end(limit)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.failure(&format!("failed ({status})"))),
            None => Err(self.failure(&format!("did not end within {} s", limit.as_secs()))),
        }
    }

    /// Stops it in good order, by force after some seconds.
    ///
    /// # Errors
    /// It runs on, even so.
    pub fn stop(mut self) -> Result<()> {
        self.end(self.record.stop_signal)
    }

    /// Ends it at once, as a crash would.
    ///
    /// # Errors
    /// It runs on, even so.
    pub fn kill(mut self) -> Result<()> {
        self.end(Signal::Kill)
    }

    pub(crate) fn record(&self) -> &ProcessRecord {
        &self.record
    }

    /// Leaves it running when this handle, and the whole of this process, are gone.
    pub(crate) fn detach(mut self) -> ProcessRecord {
        self.ended = true;
        self.record.clone()
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        if self.is_running() {
            // One that was halted with SIGSTOP would not see the request to end.
            self.signal(Signal::Continue);
            self.signal(signal);
            self.reap(GRACE)?;
        }
        self.signal(Signal::Kill);
        let gone = self.reap(Duration::from_secs(5))?;
        if let Some(guard) = &self.guard {
            guard.forget(self.record.pid);
        }
        if !gone {
            bail!("{} (process {}) does not end", self.record.name, self.record.pid);
        }
        Ok(())
    }

    fn reap(&mut self, limit: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + limit;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
        Ok(true)
    }

    fn wait_end(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            check_interrupt()?;
            if Instant::now() > deadline {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    fn failure(&self, what: &str) -> anyhow::Error {
        let name = &self.record.name;
        match tail(&self.record.log, self.log_start) {
            Ok(tail) if !tail.is_empty() => {
                anyhow!("{name} {what}; the end of {}:\n{tail}", self.record.log.display())
            }
            _ => anyhow!("{name} {what} and wrote nothing to {}", self.record.log.display()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _best_effort = self.end(self.record.stop_signal);
    }
}

fn check_interrupt() -> Result<()> {
    if interrupt::requested() {
        bail!("interrupted");
    }
    Ok(())
}

/// The last lines that were written to the file behind `start`.
fn tail(path: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(end.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    Ok(lines.iter().skip(first).map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(directory: &Path, script: &str) -> Running {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Running::spawn("shell", command, directory.join("shell.log"), Signal::Term, None).unwrap()
    }

    #[test]
    fn a_start_that_fails_quotes_only_its_own_part_of_the_log() {
        let directory = tempfile::tempdir().unwrap();
        shell(directory.path(), "echo earlier").wait_success(Duration::from_secs(5)).unwrap();
        let mut running = shell(directory.path(), "echo the cause; exit 3");
        let error = running.wait_ready(Duration::from_secs(5), || false).unwrap_err().to_string();
        assert!(error.contains("the cause") && error.contains("exit status: 3"), "{error}");
        assert!(!error.contains("earlier"), "{error}");
    }

    #[test]
    fn a_start_that_exceeds_its_limit_fails() {
        let directory = tempfile::tempdir().unwrap();
        let mut running = shell(directory.path(), "exec sleep 60");
        let error = running.wait_ready(Duration::from_millis(50), || false).unwrap_err().to_string();
        assert!(error.contains("was not ready"), "{error}");
    }

    #[test]
    fn a_dropped_process_takes_its_own_children_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("shell.log");
        let mut running = shell(directory.path(), "sleep 60 & echo $!; wait");
        let child = || fs::read_to_string(&log).unwrap().trim().parse::<u32>().ok();
        running.wait_ready(Duration::from_secs(5), || child().is_some()).unwrap();
        drop(running);
        let deadline = Instant::now() + Duration::from_secs(5);
        while began(child().unwrap()).is_some() {
            assert!(Instant::now() < deadline, "the child of the child runs on");
            thread::sleep(POLL);
        }
    }

    #[test]
    fn a_halted_process_is_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let halted = shell(directory.path(), "exec sleep 60");
        halted.signal(Signal::Stop);
        halted.stop().unwrap();
    }
}
