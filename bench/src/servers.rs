//! Everything that is measured, running in a temporary directory.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use shortlink_local_stack::{
    Durability, Host, Nginx, Ports, Postgres, Redis, RedisKind, Secrets, Site, batch, batch_environment,
    escape, find_program, free_port, get, host, nginx, redis_url, render, spin_variables, stack::DATABASE,
    status_of,
};

use crate::links::{HOT, URL};

/// A redirect that the host answers out of its manifest, without a component.
pub const STATIC: &str = "/bench/static";
/// A redirect of the component `bare-redirect`.
pub const BARE: &str = "/bench/redirect";
/// The list that holds the pool of codes.
pub const POOL: &str = "shortlink:codes";
/// The pieces whose CPU time is measured.
pub const PIECES: [&str; 6] = ["host", "nginx", "fixed", "postgres", "cache", "codes"];

const BATCH_LIMIT: Duration = Duration::from_mins(3);
/// Far longer than a create takes that is not stuck.
const PAUSE: Duration = Duration::from_millis(200);

/// The running servers. Dropped, they stop in the order of the fields.
pub struct Servers {
    _others: (Nginx, Host, Redis, Redis),
    /// The nginx with one answer.
    pub fixed: Nginx,
    postgres: Postgres,
    batch: PathBuf,
    runs: AtomicU32,
    /// `spin` or `local-host`.
    pub host: &'static str,
    /// The process of each of [`PIECES`].
    pub pids: [u32; 6],
    pub ports: Ports,
    pub secrets: Secrets,
    pub site: Site,
    /// Where Postgres is installed.
    postgres_programs: PathBuf,
}

impl Servers {
    /// Starts a new Postgres as durable as in production, two new Redis, the host and nginx without limits.
    pub fn start() -> Result<Self> {
        let (program, batch) = (host::Program::find()?, batch::find()?);
        let (site, ports, secrets) = (Site::temporary()?, Ports::free()?, Secrets::generate()?);
        let manifest = write_manifest(&site)?;
        let mut postgres = Postgres::start(&site, ports.postgres, &secrets, Durability::Safe)?;
        postgres.create_roles(&secrets)?;
        postgres.create_database(DATABASE)?;
        let mut cache = Redis::start(&site, RedisKind::Cache, ports.cache, &secrets)?;
        let mut codes = Redis::start(&site, RedisKind::Codes, ports.codes, &secrets)?;
        run_batch(&site, &batch, &ports, &secrets, &["migrate"])?;
        run_batch(&site, &batch, &ports, &secrets, &["partitions", "create", "--ahead", "2"])?;
        let variables = spin_variables(site.tls(), &ports, &secrets, DATABASE);
        let options = host::Options { name: "host".to_owned(), manifest, port: ports.api, variables };
        let mut host = Host::start(&site, &program, &options)?;
        let limits = nginx::Limits::OFF;
        let options = nginx::Options { limits, ..nginx::Options::new(ports.proxy, ports.api) };
        let (mut nginx, mut fixed) = (Nginx::start(&site, &options)?, start_fixed(&site)?);
        let servers = Self {
            pids: [
                host.process().pid(),
                nginx.process().pid(),
                fixed.process().pid(),
                postgres.process().pid(),
                cache.process().pid(),
                codes.process().pid(),
            ],
            _others: (nginx, host, cache, codes),
            fixed,
            postgres_programs: postgres
                .sql("postgres", "select setting from pg_config where name = 'BINDIR'")?
                .into(),
            postgres,
            batch,
            runs: AtomicU32::new(0),
            host: program.title(),
            ports,
            secrets,
            site,
        };
        for tool in ["wrk", "redis-cli", "pgbench"] {
            servers.tool(tool)?;
        }
        Ok(servers)
    }

    /// A load generator: beside Postgres, or on the PATH.
    pub fn tool(&self, name: &str) -> Result<PathBuf> {
        let beside = self.postgres_programs.join(name);
        let found = if beside.is_file() { Some(beside) } else { find_program(name) };
        found.with_context(|| format!("{name} is not installed; bench/README.md says how to install it"))
    }

    /// Checks, before anything is timed, that the redirects are redirects, and that `nginx-fixed` sends the headers of one
    /// that the front door has cached: only then can their rates be compared.
    pub fn check_answers(&self) -> Result<()> {
        for path in [STATIC, BARE, HOT] {
            let status = status_of(self.ports.api, path);
            ensure!(status == Some(302), "{path} answers {status:?} in place of 302");
        }
        get(self.ports.proxy, HOT)?;
        let cached = headers(&get(self.ports.proxy, HOT)?);
        let fixed = headers(&get(self.fixed.port(), HOT)?);
        ensure!(cached == fixed, "nginx-fixed answers {fixed:?}, and the front door {cached:?}");
        Ok(())
    }

    /// A number that no other run of this process has.
    pub fn next_run(&self) -> u32 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }

    /// Runs SQL as the superuser.
    pub fn sql(&self, sql: &str) -> Result<String> {
        self.postgres.sql(DATABASE, sql)
    }

    /// How many codes and aliases are in use, once no create is in flight: `wrk` leaves as many as it has connections.
    pub fn count_links(&self) -> Result<u32> {
        let count = || self.sql("select count(*) from shortlink.short_code");
        let mut links = count()?;
        loop {
            thread::sleep(PAUSE);
            let before = std::mem::replace(&mut links, count()?);
            if before == links {
                return links.parse().context("a count is a number");
            }
        }
    }

    /// Fills the pool to that many codes.
    pub fn fill_pool(&self, target: u32) -> Result<()> {
        let arguments = ["codes", "fill", "--target", &target.to_string()];
        run_batch(&self.site, &self.batch, &self.ports, &self.secrets, &arguments)
    }

    /// A connection to the pool of codes.
    pub fn pool(&self) -> Result<redis::Connection> {
        self.redis(self.ports.codes)
    }

    /// How many instances of components there are: each of them holds one connection to the cache.
    pub fn instances(&self) -> Result<u32> {
        let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut self.redis(self.ports.cache)?)?;
        Ok(clients.lines().filter(|line| line.contains(" user=shortlink_app ")).map(|_| 1).sum())
    }

    pub fn empty_cache(&self) -> Result<()> {
        Ok(redis::cmd("FLUSHALL").exec(&mut self.redis(self.ports.cache)?)?)
    }

    fn redis(&self, port: u16) -> Result<redis::Connection> {
        let url = redis_url(self.site.tls(), port, "shortlink_operator", &self.secrets.operator, 0);
        let connection = redis::Client::open(url)?.get_connection()?;
        connection.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(connection)
    }
}

fn run_batch(site: &Site, batch: &Path, ports: &Ports, secrets: &Secrets, arguments: &[&str]) -> Result<()> {
    let environment = batch_environment(site.tls(), ports, secrets, DATABASE, 0);
    site.run("batch", batch::command(batch, &environment, arguments), BATCH_LIMIT)
}

/// The project's own manifest with two more routes, and with absolute paths, since it lies elsewhere.
fn write_manifest(site: &Site) -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").filter(|directory| !directory.is_empty());
    let target = site.root().join(target.map_or_else(|| "target".into(), PathBuf::from));
    let own = site.root().join("spin.toml");
    let own = fs::read_to_string(&own).with_context(|| format!("cannot read {}", own.display()))?;
    let routes = render(include_str!("../routes.toml"), &[("static", STATIC), ("bare", BARE)])?;
    let target = escape(&target.to_string_lossy());
    let manifest = (own + &routes).replace("\"target/", &format!("\"{target}/"));
    let path = site.dir().join("spin.toml");
    fs::write(&path, manifest)?;
    Ok(path)
}

fn start_fixed(site: &Site) -> Result<Nginx> {
    let (user, port, url) = (nginx::user_directive(site), free_port()?, format!("{URL}-0"));
    let values = [("user", &*user), ("port", &port.to_string()), ("target", &url)];
    Nginx::start_with(site, "nginx-fixed", port, &render(include_str!("../nginx/fixed.conf"), &values)?)
}

/// The headers of an answer but for the date, their names in small letters.
fn headers(answer: &str) -> BTreeSet<String> {
    let lines = answer.lines().skip(1).take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| format!("{}:{value}", name.to_ascii_lowercase()))
        .filter(|header| !header.starts_with("date:"))
        .collect()
}
