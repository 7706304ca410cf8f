//! Where the servers are installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::command;

/// Homebrew's directories, on both kinds of Mac, and those that an ordinary user's PATH lacks on Debian.
const USUAL: [&str; 5] =
    ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin", "/home/linuxbrew/.linuxbrew/bin"];

/// The oldest versions that do.
const POSTGRES: u32 = 15;
const REDIS: u32 = 7;

/// The servers of a stack.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The directory of `initdb`, `postgres` and `psql`.
    pub(crate) postgres: PathBuf,
    pub(crate) redis: PathBuf,
    pub(crate) nginx: PathBuf,
}

impl Programs {
    /// Finds all of them, or tells which are missing and how to install them.
    pub(crate) fn find() -> Result<Self> {
        let redis = everywhere("redis-server").find(|path| is_recent(path, REDIS));
        let (postgres, nginx) = (postgres_directory(), find("nginx"));
        let missing: Vec<&str> = [
            ("postgres (15 or newer)", postgres.is_none()),
            ("redis-server (7 or newer)", redis.is_none()),
            ("nginx", nginx.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, missing)| missing.then_some(name))
        .collect();
        match (postgres, redis, nginx) {
            (Some(postgres), Some(redis), Some(nginx)) => Ok(Self { postgres, redis, nginx }),
            _ => bail!(
                "not installed: {}\n  Debian, Ubuntu:  make setup, or: apt-get install postgresql redis-server nginx\n  \
                 Homebrew:        brew install postgresql@17 redis nginx",
                missing.join(", ")
            ),
        }
    }
}

/// The program of that name on the PATH, or where it usually is.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    everywhere(name).next()
}

/// The program of that name on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    all_on_path(name).next()
}

/// All programs of that name, those on the PATH first.
fn everywhere(name: &str) -> impl Iterator<Item = PathBuf> {
    let usual = USUAL.iter().map(move |directory| Path::new(directory).join(name));
    all_on_path(name).chain(usual.filter(|path| runs(path)))
}

fn all_on_path(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> =
        env::split_paths(&path).filter(|directory| directory.is_absolute()).collect();
    directories.into_iter().map(move |directory| directory.join(name)).filter(|path| runs(path))
}

/// A binary of this workspace, from the directory of the running one or the one above it (tests run in `deps/`).
pub(crate) fn sibling(name: &str) -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    own.ancestors().skip(1).take(2).map(|directory| directory.join(name)).find(|path| runs(path))
}

pub(crate) fn runs(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Whether a server is of that major version or a newer one.
fn is_recent(path: &Path, oldest: u32) -> bool {
    version(path).and_then(|version| major(&version)).is_some_and(|major| major >= oldest)
}

/// What a program prints for `--version`.
pub(crate) fn version(path: &Path) -> Option<String> {
    let mut command = Command::new(path);
    command.arg("--version");
    command::output(command, "").ok()
}

/// The first number of what `--version` says.
fn major(version: &str) -> Option<u32> {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Debian keeps the binaries of Postgres off the PATH, one directory a version; the newest is taken.
fn postgres_directory() -> Option<PathBuf> {
    let complete = |directory: &PathBuf| {
        ["initdb", "postgres", "psql"].iter().all(|name| runs(&directory.join(name)))
            && is_recent(&directory.join("postgres"), POSTGRES)
    };
    let beside_path =
        on_path("postgres").and_then(|path| path.canonicalize().ok()?.parent().map(Path::to_owned));
    beside_path.filter(complete).or_else(from_pg_config).filter(complete).or_else(|| {
        let roots =
            ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"];
        let mut found: Vec<(u32, PathBuf)> = roots
            .iter()
            .filter_map(|root| fs::read_dir(root).ok())
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                let version = name.strip_prefix("postgresql@").unwrap_or(&name).parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .filter(|(_, directory)| complete(directory))
            .collect();
        found.sort();
        found.pop().map(|(_, directory)| directory)
    })
}

fn from_pg_config() -> Option<PathBuf> {
    let mut command = Command::new(find("pg_config")?);
    command.arg("--bindir");
    command::output(command, "").ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_major_version_is_the_first_number() {
        assert_eq!(major("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"), Some(15));
        assert_eq!(major("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0"), Some(7));
        assert_eq!(major("unknown"), None);
    }

    #[test]
    fn a_program_on_the_path_is_found_and_another_is_not() {
        assert!(on_path("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
