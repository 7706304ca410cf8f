//! The stack that a person starts with `make startlocal`: it outlives the command that started it.

mod start;
mod state;
mod stop;

use std::path::{Path, PathBuf};

pub use start::{DATABASE, StartOptions, start};
pub use state::{Condition, State};
pub use stop::stop;

/// Where the state of a checkout's stack is kept.
#[must_use]
pub fn state_directory(root: &Path) -> PathBuf {
    root.join(".local")
}
