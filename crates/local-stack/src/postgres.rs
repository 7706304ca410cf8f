//! One Postgres server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command;
use crate::process::Running;
use crate::programs::Programs;
use crate::secrets::Secrets;
use crate::signal::Signal;
use crate::site::Site;
use crate::tls::Tls;

/// What the names of variables start with that would set up another Postgres of the caller.
const CALLER_VARIABLES: &str = "PG";
const INIT_LIMIT: Duration = Duration::from_mins(2);
const READY_LIMIT: Duration = Duration::from_mins(1);

/// What a crash of the machine may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing.
    Safe,
    /// Everything, in exchange for speed: for tests.
    Fast,
}

impl Durability {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Safe => &[],
            Self::Fast => &["fsync=off", "full_page_writes=off", "synchronous_commit=off"],
        }
    }
}

/// A running Postgres that listens on 127.0.0.1 and nowhere else.
#[derive(Debug)]
pub struct Postgres {
    process: Running,
    port: u16,
    psql: Psql,
}

impl Postgres {
    /// Starts it, with the data of a former start in this site or with a new cluster, and waits until it serves.
    ///
    /// # Errors
    /// It is not installed or does not start; the message quotes its log.
    pub fn start(site: &Site, port: u16, secrets: &Secrets, durability: Durability) -> Result<Self> {
        let programs = Programs::find()?;
        let directory = site.server_directory("postgres")?;
        let cluster = directory.join("cluster");
        if !cluster.is_dir() {
            initialise(site, &programs, &directory, secrets, durability)?;
        }
        let mut command = Command::new(programs.postgres.join("postgres"));
        command.arg("-D").arg(&cluster).current_dir(&directory);
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "timezone=UTC",
            "log_timezone=UTC",
            "cluster_name=short-link",
        ];
        command.arg("-c").arg(format!("port={port}"));
        for setting in settings.iter().chain(durability.settings()) {
            command.args(["-c", setting]);
        }
        if let Some(tls) = site.tls() {
            for setting in tls_settings(site, &directory, tls)? {
                command.args(["-c", &setting]);
            }
        }
        command::remove_variables(&mut command, CALLER_VARIABLES);
        site.user().run(&mut command);
        // SIGINT is the fast shutdown; SIGTERM would wait until every client has gone.
        let mut process = site.spawn("postgres", command, Signal::Int)?;
        let psql = Psql {
            program: programs.postgres.join("psql"),
            port,
            password: secrets.postgres.clone(),
            authority: site.tls().map(Tls::authority),
        };
        process.wait_ready(READY_LIMIT, || psql.query("postgres", "select 1").is_ok())?;
        Ok(Self { process, port, psql })
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

    /// Runs SQL as the superuser and returns what it prints: a line a row, columns parted by `|`.
    ///
    /// # Errors
    /// The first statement that fails, in the words of Postgres. What came before it stays done.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        self.psql.query(database, sql)
    }

    /// Creates the three roles, or resets their passwords and limits.
    ///
    /// # Errors
    /// As [`Postgres::sql`].
    pub fn create_roles(&self, secrets: &Secrets) -> Result<()> {
        let sql = format!(
            "select 'create role ' || name || ' login'
               from unnest(array['shortlink_batch', 'shortlink_app', 'shortlink_manage']) name
               where not exists (select from pg_roles where rolname = name) \\gexec
             alter role shortlink_batch password '{}';
             alter role shortlink_app password '{}';
             alter role shortlink_app set statement_timeout = '2s';
             alter role shortlink_app set idle_in_transaction_session_timeout = '5s';
             alter role shortlink_manage password '{}';
             alter role shortlink_manage set statement_timeout = '2s';
             alter role shortlink_manage set idle_in_transaction_session_timeout = '5s';",
            secrets.batch, secrets.app, secrets.manage
        );
        self.sql("postgres", &sql).map(drop).context("cannot create the roles")
    }

    /// Creates the database, owned by `shortlink_batch`, unless it is there.
    ///
    /// # Errors
    /// As [`Postgres::sql`].
    pub fn create_database(&self, name: &str) -> Result<()> {
        let sql = format!(
            "select 'create database {name} owner shortlink_batch'
               where not exists (select from pg_database where datname = '{name}') \\gexec"
        );
        self.sql("postgres", &sql).map(drop).with_context(|| format!("cannot create the database {name}"))
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

/// Creates the cluster beside its final path and renames it, so that an interrupted `initdb` is never used.
fn initialise(
    site: &Site,
    programs: &Programs,
    directory: &Path,
    secrets: &Secrets,
    durability: Durability,
) -> Result<()> {
    let (draft, password_file) = (directory.join("cluster.new"), directory.join("superuser-password"));
    if draft.is_dir() {
        fs::remove_dir_all(&draft).with_context(|| format!("cannot remove {}", draft.display()))?;
    }
    site.write(&password_file, &secrets.postgres)?;
    let mut command = Command::new(programs.postgres.join("initdb"));
    command.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
    command.arg("--pgdata").arg(&draft).arg("--pwfile").arg(&password_file).current_dir(directory);
    if durability == Durability::Fast {
        command.arg("--no-sync");
    }
    command::remove_variables(&mut command, CALLER_VARIABLES);
    site.user().run(&mut command);
    site.run("initdb", command, INIT_LIMIT)?;
    fs::remove_file(&password_file)?;
    fs::rename(&draft, directory.join("cluster")).context("cannot put the new cluster in its place")
}

/// Allows connections with TLS only.
fn tls_settings(site: &Site, directory: &Path, tls: &Tls) -> Result<[String; 4]> {
    let access = directory.join("pg_hba.conf");
    let rules =
        "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl replication all 127.0.0.1/32 scram-sha-256\n";
    site.write(&access, rules)?;
    Ok([
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", tls.certificate().display()),
        format!("ssl_key_file={}", tls.key().display()),
        format!("hba_file={}", access.display()),
    ])
}

/// How to talk to the server as its superuser.
#[derive(Debug)]
struct Psql {
    program: PathBuf,
    port: u16,
    password: String,
    authority: Option<PathBuf>,
}

impl Psql {
    fn query(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h", "127.0.0.1"]);
        command.args(["-p", &self.port.to_string(), "-d", database]).current_dir("/");
        command::remove_variables(&mut command, CALLER_VARIABLES);
        // By the environment and standard input: arguments can be read by every user of the machine.
        command.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "5");
        if let Some(authority) = &self.authority {
            command.env("PGSSLMODE", "verify-ca").env("PGSSLROOTCERT", authority);
        }
        command::output(command, sql)
    }
}
