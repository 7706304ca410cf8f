//! Starting a stack that outlives the command.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::state_directory;
use super::stop::stop_processes;
use crate::connect::{batch_environment, spin_variables};
use crate::nginx::{self, Limits, Nginx};
use crate::ports::Ports;
use crate::postgres::{Durability, Postgres};
use crate::probe;
use crate::process::Running;
use crate::programs::Programs;
use crate::redis::{Redis, RedisKind};
use crate::secrets::Secrets;
use crate::signal::Signal;
use crate::site::Site;
use crate::state::{Condition, State, lock};
use crate::{batch, host, interrupt};

/// The name of the database.
pub const DATABASE: &str = "short_link";
const READY: &str = "/v1/health/ready";
const READY_LIMIT: Duration = Duration::from_secs(20);
const STEP_LIMIT: Duration = Duration::from_mins(2);

/// The options of a start.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// The root of the checkout.
    pub root: PathBuf,
    /// The ports.
    pub ports: Ports,
    /// The limits of the front door.
    pub limits: Limits,
    /// How many codes the pool is filled with.
    pub codes: u32,
}

impl StartOptions {
    /// As the environment says: [`Ports::from_env`], [`Limits::from_env`], `SHORT_LINK_CODES_TARGET` (100000).
    ///
    /// # Errors
    /// A variable with a value it cannot have.
    pub fn from_env(root: PathBuf) -> Result<Self> {
        let codes = match env::var("SHORT_LINK_CODES_TARGET").unwrap_or_default().as_str() {
            "" => 100_000,
            text => text.parse().with_context(|| format!("SHORT_LINK_CODES_TARGET is {text:?}"))?,
        };
        Ok(Self { root, ports: Ports::from_env()?, limits: Limits::from_env()?, codes })
    }
}

/// Starts the stack and reports each step. A running stack is kept; one that runs in part is stopped first. Returns the state of the running stack.
///
/// # Errors
/// Whatever kept it from starting. Everything that was started is stopped then.
pub fn start(options: &StartOptions, report: &mut dyn FnMut(&str)) -> Result<State> {
    let directory = state_directory(&options.root);
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let _lock = lock(&directory)?;
    let mut former = State::load(&directory)?;
    if let Some(state) = &former {
        match state.condition() {
            Condition::Stopped => {}
            Condition::Running if ready_within(state.ports.proxy, Duration::from_secs(3)) => {
                report("already running, with the ports and settings of its start");
                return Ok(state.clone());
            }
            Condition::Running => {
                report("every process runs, but the service is not ready: restarting");
                former = Some(stop_processes(state, &directory, report)?);
            }
            Condition::Broken(dead) => {
                report(&broken(&dead));
                former = Some(stop_processes(state, &directory, report)?);
            }
        }
    }
    Starter::new(options, &directory, former.as_ref(), report)?.start()
}

fn broken(dead: &[String]) -> String {
    if dead.is_empty() {
        "the last start was interrupted: restarting".to_owned()
    } else {
        format!("no longer running: {}; restarting", dead.join(", "))
    }
}

struct Starter<'a> {
    options: &'a StartOptions,
    site: Site,
    secrets: Secrets,
    host: host::Program,
    batch: PathBuf,
    /// Handles in the order of their start. Dropped when the start fails, which stops them.
    running: Vec<Running>,
    report: &'a mut dyn FnMut(&str),
}

impl<'a> Starter<'a> {
    /// Checks all that can be checked before anything is started.
    fn new(
        options: &'a StartOptions,
        directory: &Path,
        former: Option<&State>,
        report: &'a mut dyn FnMut(&str),
    ) -> Result<Self> {
        Programs::find()?;
        let (host, batch) = (host::Program::find()?, batch::find()?);
        let manifest = options.root.join("spin.toml");
        ensure!(manifest.is_file(), "there is no {}", manifest.display());
        options.ports.check_free()?;
        let site = Site::standing(&options.root, directory, former.map(|state| state.data.as_path()))?;
        let secrets = Secrets::load_or_create(&directory.join("secrets.env"))?;
        let starter = Self { options, site, secrets, host, batch, running: Vec::new(), report };
        starter.save(false)?;
        Ok(starter)
    }

    fn start(mut self) -> Result<State> {
        let began = Instant::now();
        match self.start_all() {
            Ok(()) => {
                let state = self.save(true)?;
                (self.report)(&format!("ready after {:.1} s", began.elapsed().as_secs_f32()));
                self.running.drain(..).for_each(|process| drop(process.detach()));
                Ok(state)
            }
            Err(error) => {
                while let Some(process) = self.running.pop() {
                    if let Err(error) = process.stop() {
                        (self.report)(&format!("{error:#}"));
                    }
                }
                self.save(false)?;
                Err(error.context("the stack did not start, and what had started was stopped"))
            }
        }
    }

    fn start_all(&mut self) -> Result<()> {
        let Ports { proxy, api, postgres: postgres_port, cache, codes } = self.options.ports;
        let environment = batch_environment(self.site.tls(), &self.options.ports, &self.secrets, DATABASE, 0);
        let target = self.options.codes.to_string();

        self.say("postgres", &format!("starting on 127.0.0.1:{postgres_port}"));
        let postgres = Postgres::start(&self.site, postgres_port, &self.secrets, Durability::Safe)?;
        let prepared = postgres.create_roles(&self.secrets).and_then(|()| postgres.create_database(DATABASE));
        self.keep(postgres.into_process())?;
        prepared?;

        for (kind, name, port) in [(RedisKind::Cache, "cache", cache), (RedisKind::Codes, "codes", codes)] {
            self.say(name, &format!("starting on 127.0.0.1:{port}"));
            let redis = Redis::start(&self.site, kind, port, &self.secrets)?;
            self.keep(redis.into_process())?;
        }

        for (arguments, what) in [
            (vec!["migrate"], "migrating the database".to_owned()),
            (vec!["partitions", "create", "--ahead", "2"], "creating the partitions".to_owned()),
            (vec!["codes", "fill", "--target", &target], format!("filling the pool with {target} codes")),
        ] {
            self.say("batch", &what);
            let command = batch::command(&self.batch, &environment, &arguments);
            self.site.run("batch", command, STEP_LIMIT)?;
        }

        self.say("host", &format!("starting {} on 127.0.0.1:{api}", self.host.title()));
        let variables = self.variables(proxy, api);
        let options = host::Options::new(&self.site, api, variables);
        let host = host::Host::start(&self.site, &self.host, &options)?;
        self.keep(host.into_process())?;

        self.say("batch", "starting, every 30 s");
        let command = self.batch_rounds(environment, &target);
        let batch = self.site.spawn("batch", command, Signal::Term)?;
        self.keep(batch)?;

        self.say("nginx", &format!("starting on 127.0.0.1:{proxy}"));
        let mut options = nginx::Options::new(proxy, api);
        options.limits = self.options.limits;
        let nginx = Nginx::start(&self.site, &options)?;
        self.keep(nginx.into_process())?;

        self.say("stack", &format!("waiting for {READY}"));
        self.wait_ready(proxy)
    }

    /// The settings of the components: `SPIN_VARIABLE_*` as the caller has them, but for where the servers are.
    fn variables(&self, proxy: u16, api: u16) -> BTreeMap<String, String> {
        let mut variables = spin_variables(self.site.tls(), &self.options.ports, &self.secrets, DATABASE);
        for (name, value) in env::vars_os() {
            let name = name.to_str().and_then(|name| name.strip_prefix(host::VARIABLE_PREFIX));
            if let Some((name, value)) = name.zip(value.to_str()) {
                variables.entry(name.to_lowercase()).or_insert_with(|| value.to_owned());
            }
        }
        // Whoever tries the service takes an alias again at once.
        variables.entry("alias_quarantine_days".to_owned()).or_insert_with(|| "0".to_owned());
        let own = |port| format!("localhost:{port},127.0.0.1:{port}");
        variables.entry("public_hosts".to_owned()).or_insert_with(|| format!("{},{}", own(proxy), own(api)));
        variables
    }

    fn batch_rounds(&self, mut environment: BTreeMap<String, String>, target: &str) -> Command {
        environment.insert("SHORTLINK_CODES_TARGET".to_owned(), target.to_owned());
        batch::command(&self.batch, &environment, &["run", "--every", "30s"])
    }

    /// The service is ready, and every process has survived until then.
    fn wait_ready(&mut self, port: u16) -> Result<()> {
        ensure_uninterrupted()?;
        if !ready_within(port, READY_LIMIT) {
            ensure_uninterrupted()?;
            let answer = probe::get(port, READY).unwrap_or_else(|error| error.to_string());
            let logs = self.site.dir().join("logs");
            bail!(
                "the service is not ready after {} s: {answer}\nlogs: {}",
                READY_LIMIT.as_secs(),
                logs.display()
            );
        }
        for process in &mut self.running {
            process.wait_ready(Duration::ZERO, || true)?;
        }
        Ok(())
    }

    fn say(&mut self, name: &str, what: &str) {
        (self.report)(&format!("{name:<9} {what}"));
    }

    fn keep(&mut self, process: Running) -> Result<()> {
        self.running.push(process);
        self.save(false).map(drop)
    }

    fn save(&self, complete: bool) -> Result<State> {
        let state = State {
            ports: self.options.ports,
            data: self.site.data().to_owned(),
            processes: self.running.iter().map(|process| process.record().clone()).collect(),
            complete,
        };
        state.save(self.site.dir())?;
        Ok(state)
    }
}

fn ensure_uninterrupted() -> Result<()> {
    ensure!(!interrupt::requested(), "interrupted");
    Ok(())
}

fn ready_within(port: u16, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if probe::status_of(port, READY) == Some(200) {
            return true;
        }
        if Instant::now() > deadline || interrupt::requested() {
            return false;
        }
        thread::sleep(Duration::from_millis(100));
    }
}
