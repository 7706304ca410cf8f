//! The user that the servers run as.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// The user that runs the servers: the caller, or, as root, another user, since Postgres refuses to run as root and a server
/// that listens has no need to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUser(Option<Account>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl ServiceUser {
    /// The caller itself; as root `postgres`, and `nobody` where there is no such user.
    ///
    /// # Errors
    /// The caller is root and there is neither.
    pub fn choose() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        for name in ["postgres", "nobody"] {
            if let Some(account) = Account::named(name) {
                return Ok(Self(Some(account)));
            }
        }
        bail!("Postgres cannot run as root, and there is no user `postgres` or `nobody` to run it as")
    }

    /// The name of the other user, when there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|account| account.name.as_str())
    }

    /// Makes the command run as this user.
    pub fn run(&self, command: &mut Command) {
        if let Some(account) = &self.0 {
            // The standard library clears the supplementary groups of root along with this.
            command.uid(account.uid).gid(account.gid);
        }
    }

    /// Gives a file or directory to this user.
    ///
    /// # Errors
    /// The system refuses.
    pub fn own(&self, path: &Path) -> Result<()> {
        let Some(account) = &self.0 else { return Ok(()) };
        chown(path, Some(account.uid), Some(account.gid))
            .with_context(|| format!("cannot give {} to {}", path.display(), account.name))
    }

    /// Creates a directory that only this user enters. One that is there already is kept.
    pub(crate) fn create_directory(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        self.own(path)
    }

    /// Writes a file that only this user reads.
    pub(crate) fn write(&self, path: &Path, contents: &str) -> Result<()> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
        file.and_then(|mut file| file.write_all(contents.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.own(path)
    }

    /// Whether this user can get into the directory, through all of those above it.
    #[must_use]
    pub fn can_enter(&self, directory: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd -- \"$1\"", "sh"]).arg(directory).current_dir("/");
        self.run(&mut command);
        command::output(command, "").is_ok()
    }
}

impl Account {
    fn named(name: &str) -> Option<Self> {
        Some(Self { name: name.to_owned(), uid: id("-u", name)?, gid: id("-g", name)? })
    }
}

fn id(flag: &str, name: &str) -> Option<u32> {
    let mut command = Command::new("id");
    command.args([flag, name]);
    command::output(command, "").ok()?.parse().ok().filter(|id| *id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_user_is_never_root() {
        let user = ServiceUser::choose().unwrap();
        let mut command = Command::new("id");
        user.run(command.arg("-u"));
        assert_ne!(command::output(command, "").unwrap(), "0");
        assert_eq!(user.name().is_some(), rustix::process::geteuid().is_root());
    }

    #[test]
    fn a_directory_that_is_not_there_cannot_be_entered() {
        let user = ServiceUser::choose().unwrap();
        assert!(user.can_enter(Path::new("/")));
        assert!(!user.can_enter(Path::new("/no-such-directory")));
    }
}
