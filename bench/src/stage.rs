//! Everything that is measured, running in a temporary directory.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use shortlink_local_stack::{
    Durability, Host, Nginx, Ports, Postgres, Redis, RedisKind, Secrets, Site, batch, batch_environment,
    host, nginx, redis_url, spin_variables, stack::DATABASE,
};

use crate::fixed;
use crate::manifest;
use crate::options::Options;
use crate::tools::Tools;

/// The list that holds the pool of codes.
pub const POOL: &str = "shortlink:codes";

const BATCH_LIMIT: Duration = Duration::from_mins(3);
/// Far longer than a create takes that is not stuck.
const PAUSE: Duration = Duration::from_millis(200);

/// The running pieces. Dropped, all of them stop, in this order.
pub struct Stage {
    nginx: Nginx,
    /// The nginx without a cache.
    pub fixed: Nginx,
    host: Host,
    cache: Redis,
    codes: Redis,
    postgres: Postgres,
    batch: PathBuf,
    host_title: &'static str,
    /// Where they listen.
    pub ports: Ports,
    /// Their passwords.
    pub secrets: Secrets,
    /// What makes the load.
    pub tools: Tools,
    /// Where they keep their files.
    pub site: Site,
}

impl Stage {
    /// Starts all of it: a new Postgres as durable as in production, two new Redis, the host and nginx without limits.
    ///
    /// # Errors
    /// Whatever is missing or does not start.
    pub fn start(options: &Options) -> Result<Self> {
        let (program, batch) = (host::Program::find()?, batch::find()?);
        let (site, ports, secrets) = (Site::temporary()?, Ports::free()?, Secrets::generate()?);
        let manifest = manifest::write(&site, options.components.as_deref())?;
        let postgres = Postgres::start(&site, ports.postgres, &secrets, Durability::Safe)?;
        let directory = postgres.sql("postgres", "select setting from pg_config where name = 'BINDIR'")?;
        let tools = Tools::find(directory.as_ref())?;
        postgres.create_roles(&secrets)?;
        postgres.create_database(DATABASE)?;
        let cache = Redis::start(&site, RedisKind::Cache, ports.cache, &secrets)?;
        let codes = Redis::start(&site, RedisKind::Codes, ports.codes, &secrets)?;
        for arguments in [&["migrate"][..], &["partitions", "create", "--ahead", "2"]] {
            run_batch(&site, &batch, &ports, &secrets, arguments)?;
        }
        let variables = spin_variables(site.tls(), &ports, &secrets, DATABASE);
        let host = host::Options { name: "host".to_owned(), manifest, port: ports.api, variables };
        let host = Host::start(&site, &program, &host)?;
        let mut front = nginx::Options::new(ports.proxy, ports.api);
        front.limits = nginx::Limits::OFF;
        let nginx = Nginx::start(&site, &front)?;
        let fixed = fixed::start(&site)?;
        let host_title = program.title();
        Ok(Self {
            nginx,
            fixed,
            host,
            cache,
            codes,
            postgres,
            batch,
            host_title,
            ports,
            secrets,
            tools,
            site,
        })
    }

    /// `spin` or `local-host`.
    #[must_use]
    pub fn host_title(&self) -> &'static str {
        self.host_title
    }

    /// Each piece's process, by a name to show.
    pub fn processes(&mut self) -> Vec<(&'static str, u32)> {
        vec![
            ("host", self.host.process().pid()),
            ("nginx", self.nginx.process().pid()),
            ("fixed", self.fixed.process().pid()),
            ("postgres", self.postgres.process().pid()),
            ("cache", self.cache.process().pid()),
            ("codes", self.codes.process().pid()),
        ]
    }

    /// Runs SQL as the superuser.
    ///
    /// # Errors
    /// In the words of Postgres.
    pub fn sql(&self, sql: &str) -> Result<String> {
        self.postgres.sql(DATABASE, sql)
    }

    /// How many codes and aliases are in use.
    ///
    /// # Errors
    /// As [`Stage::sql`].
    pub fn count_links(&self) -> Result<u64> {
        self.sql("select count(*) from shortlink.short_code")?.parse().context("a count is a number")
    }

    /// The same, once the creates under way are through: `wrk` leaves as many as it has connections.
    ///
    /// # Errors
    /// As [`Stage::sql`].
    pub fn count_all_links(&self) -> Result<u64> {
        let mut count = self.count_links()?;
        loop {
            thread::sleep(PAUSE);
            let before = std::mem::replace(&mut count, self.count_links()?);
            if before == count {
                return Ok(count);
            }
        }
    }

    /// Lets the batch fill the pool.
    ///
    /// # Errors
    /// It failed; the message quotes its log.
    pub fn fill(&self, target: u32) -> Result<()> {
        let arguments = ["codes", "fill", "--target", &target.to_string()];
        run_batch(&self.site, &self.batch, &self.ports, &self.secrets, &arguments)
    }

    /// A connection to the pool of codes that may do everything.
    ///
    /// # Errors
    /// Redis does not answer.
    pub fn pool(&self) -> Result<redis::Connection> {
        self.redis(self.ports.codes)
    }

    /// How many instances of components there are: each of them holds one connection to the cache.
    #[must_use]
    pub fn instances(&self) -> Option<u64> {
        let clients: String =
            redis::cmd("CLIENT").arg("LIST").query(&mut self.redis(self.ports.cache).ok()?).ok()?;
        Some(clients.lines().filter(|line| line.contains(" user=shortlink_app ")).map(|_| 1).sum())
    }

    /// Empties the cache.
    ///
    /// # Errors
    /// Redis does not answer.
    pub fn forget(&self) -> Result<()> {
        Ok(redis::cmd("FLUSHALL").exec(&mut self.redis(self.ports.cache)?)?)
    }

    fn redis(&self, port: u16) -> Result<redis::Connection> {
        let url = redis_url(self.site.tls(), port, "shortlink_operator", &self.secrets.operator, 0);
        let connection = redis::Client::open(url)?.get_connection()?;
        let patience = Some(Duration::from_secs(20));
        connection.set_read_timeout(patience)?;
        connection.set_write_timeout(patience)?;
        Ok(connection)
    }
}

/// That a request to the path of the host is answered with that status, before anything is timed.
///
/// # Errors
/// It is not.
pub fn expect_status(port: u16, path: &str, status: u16) -> Result<()> {
    let answered = shortlink_local_stack::status_of(port, path);
    ensure!(answered == Some(status), "{path} answers {answered:?} in place of {status}");
    Ok(())
}

fn run_batch(
    site: &Site,
    batch: &std::path::Path,
    ports: &Ports,
    secrets: &Secrets,
    arguments: &[&str],
) -> Result<()> {
    let environment = batch_environment(site.tls(), ports, secrets, DATABASE, 0);
    site.run("batch", batch::command(batch, &environment, arguments), BATCH_LIMIT)
}
