//! The directories of a stack, and the user that its servers run as.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::guard::Guard;
use crate::process::Running;
use crate::signal::Signal;
use crate::state::State;
use crate::tls::{self, Tls};
use crate::user::ServiceUser;

/// The directories of one stack.
#[derive(Clone, Debug)]
pub struct Site {
    root: PathBuf,
    dir: PathBuf,
    data: PathBuf,
    user: ServiceUser,
    /// Stops the processes of a test; those of a stack are recorded in its state.
    guard: Option<Arc<Guard>>,
    tls: Option<Tls>,
}

/// The root of the checkout: the nearest directory, from the current one upwards, with `spin.toml` and `infra/local`.
///
/// # Errors
/// There is none.
pub fn checkout() -> Result<PathBuf> {
    let current = env::current_dir().context("the current directory is gone")?;
    let found = current.ancestors().find(|path| path.join("infra/local/nginx.conf").is_file());
    found.map(Path::to_owned).context("no short-link checkout here: run this inside one, or give --root")
}

impl Site {
    /// For a test: a directory of its own, which goes away with the last handle that came from it. What was started
    /// in it is stopped even when the test process is killed.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn temporary() -> Result<Self> {
        let user = ServiceUser::choose()?;
        let dir = new_directory(&env::temp_dir(), "short-link-test-", &user)?;
        let guard = Guard::new(&dir).context("cannot start the guard")?;
        fs::create_dir(dir.join("logs"))?;
        Ok(Self { root: checkout()?, data: dir.clone(), dir, user, guard: Some(Arc::new(guard)), tls: None })
    }

    /// As [`Site::temporary`], with TLS where `SHORT_LINK_TLS` asks for it.
    ///
    /// # Errors
    /// Those of [`Site::temporary`], or the variable has a value it cannot have.
    pub fn temporary_as_chosen() -> Result<Self> {
        if tls::chosen()? { Self::temporary_with_tls(&[]) } else { Self::temporary() }
    }

    /// As [`Site::temporary`], with servers that speak TLS and show a certificate for those names, or, without any, for
    /// this machine.
    ///
    /// # Errors
    /// Those of [`Site::temporary`], or the certificates cannot be generated.
    pub fn temporary_with_tls(names: &[&str]) -> Result<Self> {
        let mut site = Self::temporary()?;
        site.tls = Some(Tls::create(&site.user, &site.data, names)?);
        Ok(site)
    }

    /// For a stack that outlives this process: state and logs in `dir`; the servers' data in `data` when a former
    /// start chose that, else below `dir` if their user can get there, else in a directory of its own.
    pub(crate) fn standing(root: &Path, dir: &Path, data: Option<&Path>) -> Result<Self> {
        let user = ServiceUser::choose()?;
        fs::create_dir_all(dir.join("logs")).with_context(|| format!("cannot create {}", dir.display()))?;
        let data = match data.filter(|path| path.is_dir()) {
            Some(path) => path.to_owned(),
            None if user.can_enter(dir) => dir.join("data"),
            None => new_directory(Path::new("/var/tmp"), "short-link-", &user)?,
        };
        fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        user.own(&data)?;
        let mut site =
            Self { root: root.to_owned(), dir: dir.to_owned(), data, user, guard: None, tls: None };
        if tls::chosen()? {
            site.tls = Some(Tls::create(&site.user, &site.data, &[])?);
        } else {
            Tls::remove(&site.data)?;
        }
        Ok(site)
    }

    /// Whether it belongs to a test.
    pub(crate) fn is_temporary(&self) -> bool {
        self.guard.is_some()
    }

    /// The root of the checkout.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the state and the logs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory of the servers' data. It belongs to [`Site::user`].
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What the servers and their clients need for TLS, if they use it.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The user that runs the servers.
    #[must_use]
    pub fn user(&self) -> &ServiceUser {
        &self.user
    }

    /// Where the output of the process of that name goes.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    /// Where Spin puts what the components of the host of that name print; `local-host` has it in its own output.
    #[must_use]
    pub fn component_logs(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join("components").join(name)
    }

    /// Starts a child whose output goes to [`Site::log`] and which is stopped when its handle is dropped. Should this
    /// process be killed, a guard stops it, or `local-stack stop` finds it.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn spawn(&self, name: &str, command: Command, stop_signal: Signal) -> Result<Running> {
        let running = Running::spawn(name, command, self.log(name), stop_signal, self.guard.clone())?;
        if self.guard.is_none() {
            State::remember(&self.dir, running.record())?;
        }
        Ok(running)
    }

    /// Runs a command to its end, its output in the log of that name.
    ///
    /// # Errors
    /// It failed or took longer than `limit`; the message quotes the log.
    pub fn run(&self, name: &str, command: Command, limit: Duration) -> Result<()> {
        self.spawn(name, command, Signal::Term)?.wait_success(limit)
    }

    /// A file of `infra/local`.
    pub(crate) fn template(&self, name: &str) -> Result<String> {
        let path = self.root.join("infra/local").join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// A directory for one server below [`Site::data`], which it owns. One that is there already is kept.
    pub(crate) fn server_directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.data.join(name);
        self.user.create_directory(&path)?;
        Ok(path)
    }

    /// Writes a file that only the servers' user reads.
    pub(crate) fn write(&self, path: &Path, contents: &str) -> Result<()> {
        self.user.write(path, contents)
    }
}

fn new_directory(parent: &Path, prefix: &str, user: &ServiceUser) -> Result<PathBuf> {
    let created = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
    let directory =
        created.with_context(|| format!("cannot create a directory in {}", parent.display()))?.keep();
    user.own(&directory)?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Ports;

    #[test]
    fn a_process_of_a_stack_is_recorded_before_it_is_ready() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        let state =
            State { ports: Ports::default(), data: data.clone(), processes: Vec::new(), complete: false };
        state.save(directory.path()).unwrap();
        let site = Site::standing(directory.path(), directory.path(), Some(&data)).unwrap();
        let mut command = Command::new("sleep");
        command.arg("60");
        let running = site.spawn("sleeper", command, Signal::Term).unwrap();
        let written = State::load(directory.path()).unwrap().unwrap();
        assert_eq!(written.processes, [running.record().clone()]);
    }
}
