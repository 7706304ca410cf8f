//! The stack that a person starts with `make startlocal`: it outlives the command that started it.

mod start;
mod stop;

use std::path::{Path, PathBuf};

pub use start::{DATABASE, StartOptions, start};
pub use stop::stop;

pub use crate::state::{Condition, State};

/// Where the state of a checkout's stack is kept.
#[must_use]
pub fn state_directory(root: &Path) -> PathBuf {
    root.join(".local")
}
