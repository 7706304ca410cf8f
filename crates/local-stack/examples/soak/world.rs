//! The service that is tried: real servers, each behind a fault proxy, and a host.

use std::{
    env, fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use shortlink_local_stack::{
    Durability, Host, Ports, Postgres, Redis, RedisKind, Running, Secrets, Signal, Site, batch,
    batch_environment,
    fault_proxy::{Fault, FaultProxy},
    host, spin_variables,
};

const DATABASE: &str = "short_link";
const CODES: &str = "100000";

/// What the service needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Cache,
    Codes,
    Postgres,
}

pub struct World {
    site: Site,
    ports: Ports,
    secrets: Secrets,
    program: host::Program,
    options: host::Options,
    proxies: [(Piece, FaultProxy); 3],
    postgres: Option<Postgres>,
    cache: Option<Redis>,
    codes: Option<Redis>,
    host: Option<Host>,
}

impl World {
    pub fn start() -> Result<Self> {
        let (site, ports, secrets) = (Site::temporary()?, Ports::free()?, Secrets::generate()?);
        let proxies = [
            (Piece::Cache, FaultProxy::start(ports.cache)?),
            (Piece::Codes, FaultProxy::start(ports.codes)?),
            (Piece::Postgres, FaultProxy::start(ports.postgres)?),
        ];
        let mut behind = ports;
        behind.cache = proxies[0].1.port();
        behind.codes = proxies[1].1.port();
        behind.postgres = proxies[2].1.port();
        let mut options =
            host::Options::new(&site, ports.api, spin_variables(site.tls(), &behind, &secrets, DATABASE));
        options.manifest = manifest(&site)?;
        // Aliases are created again as soon as they have expired.
        options.variables.insert("alias_quarantine_days".to_owned(), "0".to_owned());
        let mut world = Self {
            program: host::Program::find()?,
            site,
            ports,
            secrets,
            options,
            proxies,
            postgres: None,
            cache: None,
            codes: None,
            host: None,
        };
        world.restart(Piece::Cache)?;
        world.restart(Piece::Codes)?;
        world.restart(Piece::Postgres)?;
        let postgres = world.postgres.as_ref().context("Postgres is not started")?;
        postgres.create_roles(&world.secrets)?;
        postgres.create_database(DATABASE)?;
        world.batch(&["migrate"])?;
        world.batch(&["run", "--target", CODES])?;
        world.restart_host()?;
        Ok(world)
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.api))
    }

    pub fn set(&self, piece: Piece, fault: Fault) {
        if let Some((_, proxy)) = self.proxies.iter().find(|(of, _)| *of == piece) {
            proxy.set(fault);
        }
    }

    pub fn signal(&mut self, piece: Piece, signal: Signal) {
        if let Some(process) = self.process(piece) {
            process.signal(signal);
        }
    }

    pub fn signal_host(&mut self, signal: Signal) {
        if let Some(host) = &mut self.host {
            host.process().signal(signal);
        }
    }

    fn process(&mut self, piece: Piece) -> Option<&mut Running> {
        match piece {
            Piece::Cache => self.cache.as_mut().map(Redis::process),
            Piece::Codes => self.codes.as_mut().map(Redis::process),
            Piece::Postgres => self.postgres.as_mut().map(Postgres::process),
        }
    }

    /// Starts a server again, after ending what runs of it.
    pub fn restart(&mut self, piece: Piece) -> Result<()> {
        let (site, ports, secrets) = (&self.site, &self.ports, &self.secrets);
        match piece {
            Piece::Cache => {
                drop(self.cache.take());
                self.cache = Some(Redis::start(site, RedisKind::Cache, ports.cache, secrets)?);
            }
            Piece::Codes => {
                drop(self.codes.take());
                self.codes = Some(Redis::start(site, RedisKind::Codes, ports.codes, secrets)?);
            }
            Piece::Postgres => {
                drop(self.postgres.take());
                self.postgres = Some(Postgres::start(site, ports.postgres, secrets, Durability::Safe)?);
            }
        }
        Ok(())
    }

    /// Starts the host again, after ending what runs of it.
    pub fn restart_host(&mut self) -> Result<()> {
        drop(self.host.take());
        self.host = Some(Host::start(&self.site, &self.program, &self.options)?);
        Ok(())
    }

    /// Ends the sessions that the service has in Postgres.
    pub fn end_sessions(&self) -> Result<()> {
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where usename in ('shortlink_app', 'shortlink_manage')";
        self.sql(sql).map(drop)
    }

    pub fn flush_cache(&self) -> Result<()> {
        self.command(self.ports.cache, "FLUSHALL")
    }

    /// Puts codes into the pool that were given out before, as an old snapshot would.
    pub fn reissue_codes(&self) -> Result<()> {
        let sql = "select string_agg(short_code, ' ') from
            (select short_code from shortlink.short_link where not is_custom limit 100) used";
        let used = self.sql(sql)?;
        if used.is_empty() {
            Ok(())
        } else {
            self.command(self.ports.codes, &format!("LPUSH shortlink:codes {used}"))
        }
    }

    pub fn spoil_pool(&self) -> Result<()> {
        self.command(self.ports.codes, "LPUSH shortlink:codes nonsense <script> toolong-toolong")
    }

    pub fn fill(&self) -> Result<()> {
        self.batch(&["run", "--target", CODES])
    }

    /// Ends every fault and waits until the service serves.
    pub fn heal(&mut self) -> Result<()> {
        for piece in [Piece::Cache, Piece::Codes, Piece::Postgres] {
            self.set(piece, Fault::None);
            self.signal(piece, Signal::Continue);
        }
        self.signal_host(Signal::Continue);
        let ready = || shortlink_local_stack::status_of(self.ports.api, "/v1/health/ready") == Some(200);
        for _ in 0..600 {
            if ready() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("the service does not come back by itself")
    }

    pub fn batch(&self, arguments: &[&str]) -> Result<()> {
        self.site.run("batch", self.batch_caller()?(arguments), Duration::from_mins(1))
    }

    /// Calls the batch without the world, which the schedule of faults changes meanwhile.
    pub fn batch_caller(&self) -> Result<impl Fn(&[&str]) -> Command + Sync + use<>> {
        let environment = batch_environment(self.site.tls(), &self.ports, &self.secrets, DATABASE, 0);
        let program = batch::find()?;
        Ok(move |arguments: &[&str]| batch::command(&program, &environment, arguments))
    }

    /// Creates the key of all clients.
    pub fn create_key(&self) -> Result<String> {
        let arguments = ["keys", "create", "--name", "soak", "--scope", "create", "--scope", "manage"];
        let output = self.batch_caller()?(&arguments).output()?;
        ensure!(output.status.success(), "no key: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Runs SQL as the superuser.
    pub fn sql(&self, sql: &str) -> Result<String> {
        self.postgres.as_ref().context("Postgres is not started")?.sql(DATABASE, sql)
    }

    /// Runs a Redis command as the operator.
    fn command(&self, port: u16, command: &str) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let login = format!("AUTH shortlink_operator {}", self.secrets.operator);
        stream.write_all(format!("{login}\r\n{command}\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(!answer.contains("-ERR") && !answer.contains("-NO"), "Redis refused {command:.40}: {answer}");
        Ok(())
    }
}

/// `spin.toml`, with the components where this build put them.
fn manifest(site: &Site) -> Result<std::path::PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let target = site.root().join(Path::new(&target));
    let text = fs::read_to_string(site.root().join("spin.toml"))?;
    let path = site.dir().join("spin.toml");
    fs::write(&path, text.replace("source = \"target/", &format!("source = \"{}/", target.display())))?;
    Ok(path)
}
