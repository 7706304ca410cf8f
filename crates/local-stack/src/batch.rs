//! The batch binary, `shortlink-batch`.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::programs;

/// The variable that gives the path of the binary.
pub const CHOICE: &str = "SHORT_LINK_BATCH";

/// The path in `SHORT_LINK_BATCH`, or `shortlink-batch` beside the running binary.
///
/// # Errors
/// It is not there.
pub fn find() -> Result<PathBuf> {
    match env::var_os(CHOICE).filter(|path| !path.is_empty()).map(PathBuf::from) {
        Some(path) => {
            ensure!(programs::runs(&path), "{CHOICE} is {}, which is no program", path.display());
            Ok(path)
        }
        None => programs::sibling("shortlink-batch")
            .context("shortlink-batch is not built: cargo build -p shortlink-batch"),
    }
}

/// A call of the binary with those arguments, in the environment that
/// [`batch_environment`](crate::batch_environment) gives.
#[must_use]
pub fn command(binary: &Path, environment: &BTreeMap<String, String>, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments).envs(environment);
    command
}
