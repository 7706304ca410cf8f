//! The programs that make the load.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// Where they are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The load generator for HTTP.
    pub wrk: PathBuf,
    /// For the pool of codes.
    pub redis_cli: PathBuf,
    /// Postgres' own load generator.
    pub pgbench: PathBuf,
}

impl Tools {
    /// Finds all of them; `postgres` is the directory of the running server's programs.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn find(postgres: &Path) -> Result<Self> {
        let beside = postgres.join("pgbench");
        let pgbench = if beside.is_file() { Some(beside) } else { on_path("pgbench") };
        let (wrk, redis_cli) = (on_path("wrk"), on_path("redis-cli"));
        let found = [("wrk", &wrk), ("redis-cli", &redis_cli), ("pgbench", &pgbench)];
        let missing: Vec<&str> =
            found.iter().filter(|(_, path)| path.is_none()).map(|(name, _)| *name).collect();
        ensure!(
            missing.is_empty(),
            "not installed: {}\n  Debian, Ubuntu:  apt-get install wrk redis-tools postgresql-contrib\n  \
             Homebrew:        brew install wrk redis postgresql@17",
            missing.join(", ")
        );
        Ok(Self {
            wrk: wrk.unwrap_or_default(),
            redis_cli: redis_cli.unwrap_or_default(),
            pgbench: pgbench.unwrap_or_default(),
        })
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}
