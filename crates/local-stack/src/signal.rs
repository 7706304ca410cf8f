//! Signals to process groups.

use rustix::process::{Pid, kill_process_group};
use serde::{Deserialize, Serialize};

/// A signal that this crate sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// SIGTERM: shut down in good order.
    Term,
    /// SIGINT: for Postgres, a fast shutdown, which does not wait for its clients.
    Int,
    /// SIGKILL.
    Kill,
    /// SIGSTOP: halt, as a server that hangs.
    Stop,
    /// SIGCONT: continue after [`Signal::Stop`].
    Continue,
}

impl Signal {
    fn number(self) -> rustix::process::Signal {
        match self {
            Self::Term => rustix::process::Signal::TERM,
            Self::Int => rustix::process::Signal::INT,
            Self::Kill => rustix::process::Signal::KILL,
            Self::Stop => rustix::process::Signal::STOP,
            Self::Continue => rustix::process::Signal::CONT,
        }
    }
}

/// Sends a signal to every process of the group, if there is one.
pub(crate) fn signal_group(leader: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _gone = kill_process_group(pid, signal.number());
    }
}
