//! One Redis server: the cache, or the pool of codes.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::probe;
use crate::process::Running;
use crate::programs::Programs;
use crate::secrets::Secrets;
use crate::signal::Signal;
use crate::site::Site;
use crate::template::{escape, render};
use crate::tls::Tls;

const READY_LIMIT: Duration = Duration::from_secs(30);

/// The user that may do everything, for a person with `redis-cli` and for tests.
pub(crate) const OPERATOR: &str = "shortlink_operator";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisKind {
    /// `infra/local/redis-cache.conf`: forgets what is used least, keeps nothing on disk.
    Cache,
    /// `infra/local/redis-codes.conf`: keeps everything, on disk too.
    Codes,
}

impl RedisKind {
    fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Codes => "codes",
        }
    }
}

/// A running Redis that listens on 127.0.0.1 and nowhere else.
#[derive(Debug)]
pub struct Redis {
    process: Running,
    port: u16,
}

impl Redis {
    /// Starts it, with the data of a former start in this site if there is any, and waits until it serves.
    ///
    /// # Errors
    /// It is not installed or does not start; the message quotes its log.
    pub fn start(site: &Site, kind: RedisKind, port: u16, secrets: &Secrets) -> Result<Self> {
        let (programs, name) = (Programs::find()?, kind.name());
        let directory = site.server_directory(name)?;
        let users = [
            ("app_password", secrets.app.as_str()),
            ("manage_password", &secrets.manage),
            ("batch_password", &secrets.batch),
            ("operator_password", &secrets.operator),
        ];
        let users = render(&site.template(&format!("redis-{name}.acl"))?, &users)?;
        site.write(&directory.join("users.acl"), &users)?;
        let configuration =
            render(&site.template(&format!("redis-{name}.conf"))?, &[("port", &port.to_string())])?;
        let configuration = configuration + &site.tls().map(|tls| with_tls(tls, port)).unwrap_or_default();
        site.write(&directory.join("redis.conf"), &configuration)?;

        let mut command = Command::new(&programs.redis);
        command.arg("redis.conf").current_dir(&directory);
        site.user().run(&mut command);
        let mut process = site.spawn(name, command, Signal::Term)?;
        process.wait_ready(READY_LIMIT, || {
            probe::redis_answers(site.tls(), port, OPERATOR, &secrets.operator)
        })?;
        Ok(Self { process, port })
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

/// Later lines override earlier ones: the port speaks TLS, and none is without.
fn with_tls(tls: &Tls, port: u16) -> String {
    let quoted = |path: PathBuf| format!("\"{}\"", escape(&path.to_string_lossy()));
    let (authority, certificate, key) =
        (quoted(tls.authority()), quoted(tls.certificate()), quoted(tls.key()));
    format!(
        "
port 0
tls-port {port}
tls-auth-clients no
tls-ca-cert-file {authority}
tls-cert-file {certificate}
tls-key-file {key}
"
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_are_quoted() {
        let data = tempfile::tempdir().unwrap();
        let data = data.path().join("a \"b\"");
        fs::create_dir_all(data.join("tls")).unwrap();
        fs::write(data.join("tls/ca.pem"), "").unwrap();
        let configuration = with_tls(&Tls::load(&data).unwrap(), 6379);
        assert!(configuration.contains(r#"/a \"b\"/tls/server.key""#), "{configuration}");
    }
}
