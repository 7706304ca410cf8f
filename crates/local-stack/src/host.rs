//! The host that runs the components: `spin`, or `local-host` where there is none.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::command;
use crate::probe;
use crate::process::Running;
use crate::programs;
use crate::signal::Signal;
use crate::site::Site;

/// Compiling the components is most of it.
const READY_LIMIT: Duration = Duration::from_mins(2);

/// The variable that names the host to use.
pub const CHOICE: &str = "SHORT_LINK_HOST";

/// What begins the name of an environment variable that is a variable of `spin.toml`.
pub(crate) const VARIABLE_PREFIX: &str = "SPIN_VARIABLE_";

/// A program that runs a `spin.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The `spin` command.
    Spin(PathBuf),
    /// This workspace's own host.
    LocalHost(PathBuf),
}

impl Program {
    /// What `SHORT_LINK_HOST` names: `spin`, `local-host` or the path of a `local-host`. Without it `spin` if one that can
    /// run the components is on the PATH, else `local-host`, which is looked for beside the running binary.
    ///
    /// # Errors
    /// It is not there.
    pub fn find() -> Result<Self> {
        let on_path = || programs::on_path("spin");
        let local_host = || programs::sibling("local-host").map(Self::LocalHost);
        let not_built = "local-host is not built: cargo build -p shortlink-local-host";
        match env::var(CHOICE).unwrap_or_default().as_str() {
            "" => {
                on_path().filter(|path| is_spin(path)).map(Self::Spin).or_else(local_host).context(not_built)
            }
            "spin" => on_path()
                .map(Self::Spin)
                .with_context(|| format!("{CHOICE} is spin, but there is no spin on the PATH")),
            "local-host" => local_host().context(not_built),
            path if programs::runs(Path::new(path)) => Ok(Self::LocalHost(PathBuf::from(path))),
            other => bail!("{CHOICE} is {other:?}: it can be spin, local-host or the path of a local-host"),
        }
    }

    /// Its name, for messages.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::Spin(_) => "spin",
            Self::LocalHost(_) => "local-host",
        }
    }

    fn command(&self, site: &Site, options: &Options) -> Command {
        let (Self::Spin(path) | Self::LocalHost(path)) = self;
        let mut command = Command::new(path);
        command.arg("up").arg("--from").arg(&options.manifest);
        command.arg("--listen").arg(format!("127.0.0.1:{}", options.port));
        command.arg("--max-instance-reuse-count").arg(INSTANCE_REUSE);
        if matches!(self, Self::Spin(_)) {
            command.arg("--log-dir").arg(site.component_logs(&options.name));
            command.arg("--state-dir").arg(site.dir().join("spin"));
        }
        command
    }
}

/// Whether a program of that name is the one that is meant, and new enough: others are called `spin` too.
fn is_spin(path: &Path) -> bool {
    programs::version(path).is_some_and(|version| is_recent(&version))
}

/// Whether `spin --version` has said this for a version that runs the components, 4.1 or newer.
fn is_recent(version: &str) -> bool {
    let numbers = version.strip_prefix("spin ").and_then(|rest| {
        let mut numbers = rest.split('.').map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    numbers.is_some_and(|numbers| numbers >= (4, 1))
}

/// How many requests an instance serves. Each has its own connections and its own memory of hot links; with the host's
/// default of 128 a good part of the work is to start new ones. Those of `create` end by themselves before that.
const INSTANCE_REUSE: &str = "2048";

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names the process and its log.
    pub name: String,
    /// The `spin.toml`.
    pub manifest: PathBuf,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Values of the manifest's variables, by their lower-case names.
    pub variables: BTreeMap<String, String>,
}

impl Options {
    /// The checkout's own `spin.toml`.
    #[must_use]
    pub fn new(site: &Site, port: u16, variables: BTreeMap<String, String>) -> Self {
        Self { name: "host".to_owned(), manifest: site.root().join("spin.toml"), port, variables }
    }
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    process: Running,
    port: u16,
}

impl Host {
    /// Starts it and waits until it answers HTTP, with whatever status.
    ///
    /// # Errors
    /// It does not start; the message quotes its log.
    pub fn start(site: &Site, program: &Program, options: &Options) -> Result<Self> {
        ensure!(options.manifest.is_file(), "there is no {}", options.manifest.display());
        let mut command = program.command(site, options);
        // Paths in a manifest are relative to it, whichever host reads them.
        command.current_dir(options.manifest.parent().unwrap_or(site.root()));
        // A variable the caller has set for another host must not leak into this one.
        command::remove_variables(&mut command, VARIABLE_PREFIX);
        for (name, value) in &options.variables {
            command.env(format!("{VARIABLE_PREFIX}{}", name.to_uppercase()), value);
        }
        // Where both hosts look for the authorities that they trust.
        if let Some(tls) = site.tls() {
            command.env("SSL_CERT_FILE", tls.authority());
        }
        // Usual in containers. Spin puts a backtrace into the errors that components get then.
        if site.is_temporary() {
            command.env("RUST_BACKTRACE", "1");
        }
        let mut process = site.spawn(&options.name, command, Signal::Term)?;
        process.wait_ready(READY_LIMIT, || probe::status_of(options.port, "/v1/health").is_some())?;
        Ok(Self { process, port: options.port })
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// Stops it.
    ///
    /// # Errors
    /// It runs on, even so.
    pub fn stop(self) -> Result<()> {
        self.process.stop()
    }

    pub(crate) fn into_process(self) -> Running {
        self.process
    }
}

#[cfg(test)]
mod tests {
    use super::is_recent;

    #[test]
    fn only_a_spin_that_runs_the_components_is_chosen_by_itself() {
        for version in ["spin 4.1.0 (94a8fc8 2026-08-21)\n", "spin 4.1.0-pre0", "spin 4.10.2", "spin 5.0.0"] {
            assert!(is_recent(version), "{version}");
        }
        for version in
            ["spin 4.0.3 (abc)", "spin 3.9.0", "Spin Version 6.5.2 -- 6 December 2019", "spin 4", ""]
        {
            assert!(!is_recent(version), "{version}");
        }
    }
}
