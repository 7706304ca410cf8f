//! A running service to test, with a helper for each thing a test does to it.
//!
//! Postgres and the two Redis are started once for the whole binary. [`App::shared`] is one service for every test that
//! changes nothing but links of its own; [`App::own`] and [`App::with`] start one with a database (cloned from a migrated
//! template), Redis databases and a host of its own.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{
        LazyLock, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use postgres::NoTls;
use serde_json::Value;
use shortlink_local_stack::{
    Durability, Host, Ports, Postgres, Redis, RedisKind, Secrets, Site, Tls, batch, batch_environment,
    database_url, host, redis_url, spin_variables,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::http::{Reply, send};

const TEMPLATE: &str = "short_link_template";

/// How long a test waits for a fact, such as a cache write that goes on after its answer.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// Waits until `is_so`, or fails with what was waited for.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {} s: {what}", TIMEOUT.as_secs());
        thread::sleep(Duration::from_millis(5));
    }
}

/// The servers that all tests share. They end with this process: see the guard of [`Site::temporary`].
pub struct Servers {
    pub site: Site,
    pub ports: Ports,
    pub secrets: Secrets,
    postgres: Postgres,
    _cache: Redis,
    _codes: Redis,
    /// Postgres refuses to clone a template while another clone of it is in progress.
    cloning: Mutex<()>,
    next: AtomicU32,
}

pub static SERVERS: LazyLock<Servers> = LazyLock::new(Servers::start);
static SHARED: LazyLock<App> = LazyLock::new(|| {
    let app = App::with(str::to_owned, &[("hot_link_ttl_millis", "2000")]);
    app.fill(5_000);
    app
});

impl Servers {
    fn start() -> Self {
        let site = Site::temporary_as_chosen().unwrap();
        let ports = Ports::free().unwrap();
        let secrets = Secrets::generate().unwrap();
        let postgres = Postgres::start(&site, ports.postgres, &secrets, Durability::Fast).unwrap();
        postgres.create_roles(&secrets).unwrap();
        postgres.create_database(TEMPLATE).unwrap();
        let servers = Self {
            _cache: Redis::start(&site, RedisKind::Cache, ports.cache, &secrets).unwrap(),
            _codes: Redis::start(&site, RedisKind::Codes, ports.codes, &secrets).unwrap(),
            site,
            ports,
            secrets,
            postgres,
            cloning: Mutex::default(),
            next: AtomicU32::new(0),
        };
        let environment =
            batch_environment(servers.site.tls(), &servers.ports, &servers.secrets, TEMPLATE, 0);
        for arguments in [&["migrate"][..], &["partitions", "create", "--ahead", "0"]] {
            Output::of(batch::command(&batch::find().unwrap(), &environment, arguments)).success();
        }
        servers
    }

    fn clone_database(&self, name: &str) {
        let _one_at_a_time = self.cloning.lock().unwrap();
        let sql = format!("create database {name} template {TEMPLATE} owner shortlink_batch");
        self.postgres.sql("postgres", &sql).unwrap();
    }
}

/// A service under test.
pub struct App {
    options: host::Options,
    /// Started with the first request: what only concerns the batch needs none.
    host: OnceLock<Host>,
    database: String,
    redis_database: u32,
}

impl App {
    /// The service of all tests that need nothing of their own. Its pool holds codes.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// A service of its own, with an empty pool.
    pub fn own() -> Self {
        Self::with(str::to_owned, &[])
    }

    /// A service of its own with another manifest or other values of variables. Its instances remember no links unless
    /// told to: what a test does to the cache or to Postgres counts at once.
    pub fn with(change: impl FnOnce(&str) -> String, variables: &[(&str, &str)]) -> Self {
        Self::on(|database| SERVERS.clone_database(database), change, variables)
    }

    /// A service of its own whose database has no schema.
    pub fn without_schema() -> Self {
        Self::on(|database| SERVERS.postgres.create_database(database).unwrap(), str::to_owned, &[])
    }

    fn on(
        create_database: impl FnOnce(&str),
        change: impl FnOnce(&str) -> String,
        variables: &[(&str, &str)],
    ) -> Self {
        let servers = &*SERVERS;
        let number = servers.next.fetch_add(1, Ordering::Relaxed);
        let (name, database) = (format!("app-{number}"), format!("short_link_{number}"));
        create_database(&database);
        let mut values = spin_variables(servers.site.tls(), &servers.ports, &servers.secrets, &database);
        values.insert("hot_link_ttl_millis".into(), "0".into());
        values.insert("alias_quarantine_days".into(), "0".into());
        for redis in ["redis_cache_database", "redis_codes_database"] {
            values.insert(redis.to_owned(), number.to_string());
        }
        values.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let options = host::Options {
            manifest: write_manifest(&servers.site, &name, &change(&manifest())),
            name,
            port: shortlink_local_stack::free_port().unwrap(),
            variables: values,
        };
        Self { options, host: OnceLock::new(), database, redis_database: number }
    }

    /// Another host with the same database and the same Redis databases, and other values of variables.
    pub fn beside(other: &Self, variables: &[(&str, &str)]) -> Self {
        let number = SERVERS.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("app-{number}");
        let mut values = other.options.variables.clone();
        values.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let options = host::Options {
            manifest: write_manifest(&SERVERS.site, &name, &manifest()),
            name,
            port: shortlink_local_stack::free_port().unwrap(),
            variables: values,
        };
        let (database, redis_database) = (other.database.clone(), other.redis_database);
        Self { options, host: OnceLock::new(), database, redis_database }
    }

    pub fn addr(&self) -> SocketAddr {
        let start = || Host::start(&SERVERS.site, &host::Program::find().unwrap(), &self.options).unwrap();
        SocketAddr::from(([127, 0, 0, 1], self.host.get_or_init(start).port()))
    }

    /// Starts the host and an instance of each component, for tests that cannot wait for them later.
    pub fn warm(&self) {
        assert_eq!(self.get("/v1/health").status, 200);
        assert_eq!(self.get("/v1/shortlink/no-such-link").status, 404);
        assert_eq!(self.post("").status, 400);
    }

    pub fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        send(self.addr(), method, path, headers, body)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.exchange("GET", path, &[], b"")
    }

    pub fn post(&self, body: &str) -> Reply {
        self.exchange("POST", "/v1/shortlink", &[("content-type", "application/json")], body.as_bytes())
    }

    pub fn create(&self, body: &Value) -> Reply {
        self.post(&body.to_string())
    }

    /// Stops the host and nothing else; its address stays.
    pub fn stop_host(&mut self) {
        if let Some(host) = self.host.get_mut() {
            host.process().signal(shortlink_local_stack::Signal::Kill);
            assert!(
                host.process().wait_ready(Duration::from_secs(5), || false).is_err(),
                "the host lives on"
            );
        }
    }

    /// What the components and the host have logged.
    pub fn log(&self) -> String {
        let name = &self.options.name;
        let logs = [SERVERS.site.log(name), SERVERS.site.component_logs(name)];
        logs.iter().flat_map(|path| files(path)).filter_map(|file| fs::read_to_string(file).ok()).collect()
    }

    /// Waits until the components or the host have logged that text: a line may be written after the answer.
    pub fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} is not logged: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn app_password() -> String {
        SERVERS.secrets.app.clone()
    }
}

/// The cache.
impl App {
    pub fn cache(&self) -> redis::Connection {
        self.redis(SERVERS.ports.cache, "shortlink_operator", &SERVERS.secrets.operator)
    }

    pub fn cache_as_app(&self) -> redis::Connection {
        self.redis(SERVERS.ports.cache, "shortlink_app", &SERVERS.secrets.app)
    }

    pub fn cached(&self, code: &str) -> Option<Vec<u8>> {
        redis::cmd("GET").arg(format!("link:{code}")).query(&mut self.cache()).unwrap()
    }

    /// Waits for an entry: what a look-up found is cached after its answer.
    pub fn wait_until_cached(&self, code: &str, is_it: impl Fn(&[u8]) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        // The key may hold something that is no text until then.
        let entry = || -> Option<Vec<u8>> {
            redis::cmd("GET").arg(format!("link:{code}")).query(&mut self.cache()).ok().flatten()
        };
        while !entry().is_some_and(|entry| is_it(&entry)) {
            assert!(Instant::now() < deadline, "{code} is cached as {:?}", entry());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Resolves a link and waits until the cache holds it. One write may be lost to its deadline on a busy machine, so
    /// the link is resolved again when none comes; what is written late then stands before the caller goes on.
    pub fn resolve_until_cached(&self, code: &str) {
        wait_until(&format!("{code} is cached after it was resolved"), || {
            assert_eq!(self.get(&format!("/v1/shortlink/{code}")).status, 302, "{code}");
            let asked_again = Instant::now() + Duration::from_secs(2);
            while self.cached(code).is_none() && Instant::now() < asked_again {
                thread::sleep(Duration::from_millis(5));
            }
            self.cached(code).is_some()
        });
    }

    pub fn set_cached(&self, code: &str, value: &str) {
        let () = redis::cmd("SET").arg(format!("link:{code}")).arg(value).query(&mut self.cache()).unwrap();
    }

    pub fn uncache(&self, code: &str) {
        let () = redis::cmd("DEL").arg(format!("link:{code}")).query(&mut self.cache()).unwrap();
    }

    pub fn cached_for_millis(&self, code: &str) -> i64 {
        redis::cmd("PTTL").arg(format!("link:{code}")).query(&mut self.cache()).unwrap()
    }

    fn redis(&self, port: u16, user: &str, password: &str) -> redis::Connection {
        redis_connection(SERVERS.site.tls(), port, user, password, self.redis_database)
    }
}

/// A connection to a Redis of a test.
pub fn redis_connection(
    tls: Option<&Tls>,
    port: u16,
    user: &str,
    password: &str,
    database: u32,
) -> redis::Connection {
    let url = redis_url(tls, port, user, password, database);
    let root_cert = tls.map(|tls| fs::read(tls.authority()).unwrap());
    // The second and later calls find what the first one has installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = match root_cert {
        None => redis::Client::open(url),
        Some(_) => redis::Client::build_with_tls(url, redis::TlsCertificates { client_tls: None, root_cert }),
    };
    client.unwrap().get_connection().unwrap()
}

/// The pool of codes.
impl App {
    pub fn codes(&self) -> redis::Connection {
        self.redis(SERVERS.ports.codes, "shortlink_operator", &SERVERS.secrets.operator)
    }

    pub fn codes_as_app(&self) -> redis::Connection {
        self.redis(SERVERS.ports.codes, "shortlink_app", &SERVERS.secrets.app)
    }

    pub fn codes_as_batch(&self) -> redis::Connection {
        self.redis(SERVERS.ports.codes, "shortlink_batch", &SERVERS.secrets.batch)
    }

    pub fn push_codes(&self, codes: &[&str]) {
        let () = redis::cmd("RPUSH").arg("shortlink:codes").arg(codes).query(&mut self.codes()).unwrap();
    }

    pub fn pool_length(&self) -> u64 {
        redis::cmd("LLEN").arg("shortlink:codes").query(&mut self.codes()).unwrap()
    }

    pub fn empty_pool(&self) {
        let () = redis::cmd("DEL").arg("shortlink:codes").query(&mut self.codes()).unwrap();
    }

    /// Lets the batch fill the pool.
    pub fn fill(&self, target: u32) {
        self.batch(&["codes", "fill", "--target", &target.to_string()]).success();
    }
}

/// The database.
impl App {
    /// Runs SQL as the superuser.
    pub fn sql(&self, sql: &str) -> String {
        SERVERS.postgres.sql(&self.database, sql).unwrap()
    }

    /// Stores a link to `https://<code>.example/` in Postgres alone: no cache write of a create can be in flight.
    pub fn store(&self, code: &str) {
        let url = format!("https://{code}.example/");
        let sql = format!(
            "select count(*) from shortlink.create_short_link('{code}', '{url}', now() + interval '1 day', true, 0, 0)"
        );
        assert_eq!(self.count(&sql), 1, "{code} is stored");
    }

    /// Stores an API key with these scopes, and returns its text.
    pub fn key(&self, name: &str, scopes: &[&str]) -> String {
        let key = format!("slk_{:0>43}", name.replace('-', "x"));
        self.sql(&format!(
            "insert into shortlink.api_key (key_name, key_hash, scopes)
             values ('{name}', sha256('{key}'), '{{{}}}')",
            scopes.join(",")
        ));
        key
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.sql(sql).parse().unwrap()
    }

    pub fn postgres_as_app(&self) -> postgres::Client {
        self.postgres_as("shortlink_app", &SERVERS.secrets.app)
    }

    pub fn postgres_as_batch(&self) -> postgres::Client {
        self.postgres_as("shortlink_batch", &SERVERS.secrets.batch)
    }

    pub fn postgres_as_superuser(&self) -> postgres::Client {
        self.postgres_as("postgres", &SERVERS.secrets.postgres)
    }

    fn postgres_as(&self, user: &str, password: &str) -> postgres::Client {
        let tls = SERVERS.site.tls();
        let url = database_url(tls, SERVERS.ports.postgres, user, password, &self.database);
        match tls {
            None => postgres::Client::connect(&url, NoTls).unwrap(),
            Some(tls) => {
                let config = (*tls.client_config().unwrap()).clone();
                postgres::Client::connect(&url, MakeRustlsConnect::new(config)).unwrap()
            }
        }
    }
}

/// The batch.
impl App {
    pub fn batch(&self, arguments: &[&str]) -> Output {
        self.batch_with(&[], arguments)
    }

    pub fn batch_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = self.batch_command(arguments);
        command.envs(variables.iter().copied());
        Output::of(command)
    }

    pub fn batch_command(&self, arguments: &[&str]) -> Command {
        let servers = &*SERVERS;
        let environment = batch_environment(
            servers.site.tls(),
            &servers.ports,
            &servers.secrets,
            &self.database,
            self.redis_database,
        );
        batch::command(&batch::find().unwrap(), &environment, arguments)
    }
}

/// What a program did.
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    pub fn of(mut command: Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn success(self) -> Self {
        assert!(self.status.success(), "{}: {}{}", self.status, self.stdout, self.stderr);
        self
    }

    /// The last line of what it printed.
    pub fn success_json(self) -> Value {
        let stdout = self.success().stdout;
        let line = stdout.trim().lines().next_back().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {stdout:?}"))
    }
}

/// Whether the host is Spin itself, which differs from `local-host` where a test says so.
pub fn on_spin() -> bool {
    matches!(host::Program::find(), Ok(host::Program::Spin(_)))
}

/// Tells a process to end, as a service manager does.
pub fn terminate(child: &Child) {
    let told = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(told.success());
}

/// The root of the checkout.
pub fn root() -> &'static Path {
    SERVERS.site.root()
}

/// The text of `spin.toml`.
pub fn manifest() -> String {
    fs::read_to_string(root().join("spin.toml")).unwrap()
}

/// The built component of that name.
pub fn component(name: &str) -> PathBuf {
    target().join(format!("wasm32-wasip2/component/shortlink_{name}.wasm"))
}

fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(target)
}

/// A manifest beside the logs, with the components where this build put them.
fn write_manifest(site: &Site, name: &str, manifest: &str) -> PathBuf {
    let directory = site.dir().join(name);
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("spin.toml");
    fs::write(&path, manifest_for(manifest)).unwrap();
    path
}

/// A manifest that finds the components of this build from anywhere.
pub fn manifest_for(manifest: &str) -> String {
    manifest.replace("source = \"target/", &format!("source = \"{}/", target().display()))
}

pub fn files(path: &Path) -> Vec<PathBuf> {
    match fs::read_dir(path) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(_) => vec![path.to_owned()],
    }
}

/// Milliseconds since the Unix epoch.
pub fn unix_millis() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Waits until that many milliseconds since the Unix epoch.
pub fn sleep_until(unix_millis_then: i64) {
    let left = u64::try_from(unix_millis_then - unix_millis()).unwrap_or(0);
    thread::sleep(Duration::from_millis(left));
}

/// A time that far ahead, cut to whole seconds, as RFC 3339 and as milliseconds since the Unix epoch.
pub fn rfc3339_in(duration: Duration) -> (String, i64) {
    let seconds = (unix_millis() + i64::try_from(duration.as_millis()).unwrap()) / 1000;
    let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
    (time.to_rfc3339(), seconds * 1000)
}

/// The environment under which `local-stack` finds free ports.
pub fn port_variables(ports: &Ports) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("SHORT_LINK_PROXY_PORT", ports.proxy.to_string()),
        ("SHORT_LINK_API_PORT", ports.api.to_string()),
        ("SHORT_LINK_POSTGRES_PORT", ports.postgres.to_string()),
        ("SHORT_LINK_CACHE_PORT", ports.cache.to_string()),
        ("SHORT_LINK_CODES_PORT", ports.codes.to_string()),
    ])
}
