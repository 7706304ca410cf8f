//! What the service answers while something it needs, or somebody it serves, misbehaves.
//!
//! Bounds in time are many times what is measured, for slow machines; what is measured is printed (`--nocapture`) and
//! written down in `docs/reliability-tests.md`.

mod batch;
mod cache;
mod clients;
mod codes;
mod components;
mod host;
mod own;
mod owners;
mod postgres;
mod refusals;
mod servers;

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;
use shortlink_local_stack::fault_proxy::{Fault, FaultProxy};

use crate::{
    app::{App, SERVERS, TIMEOUT},
    http::Reply,
};

/// A service with a fault proxy before each thing it needs.
pub struct Rig {
    pub app: App,
    pub cache: FaultProxy,
    pub codes: FaultProxy,
    pub postgres: FaultProxy,
}

impl Rig {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With other values of variables.
    pub fn with(others: &[(&str, &str)]) -> Self {
        Self::around(others, |variables| App::with(str::to_owned, variables))
    }

    /// A second host for the links of a service, which itself is reached without a proxy.
    pub fn beside(app: &App) -> Self {
        Self::around(&[], |variables| App::beside(app, variables))
    }

    fn around(others: &[(&str, &str)], start: impl FnOnce(&[(&str, &str)]) -> App) -> Self {
        let ports = &SERVERS.ports;
        let proxy = |port| FaultProxy::start(port).unwrap();
        let (cache, codes, postgres) = (proxy(ports.cache), proxy(ports.codes), proxy(ports.postgres));
        let variables =
            [("redis_cache_port", &cache), ("redis_codes_port", &codes), ("postgres_port", &postgres)]
                .map(|(name, proxy)| (name, proxy.port().to_string()));
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, port)| (*name, port.as_str()))
            .chain(others.iter().copied())
            .collect();
        Self { app: start(&variables), cache, codes, postgres }
    }

    pub fn link(&self, alias: &str) {
        self.app.create(&json!({ "url": format!("https://{alias}.example"), "alias": alias })).code();
    }

    pub fn resolve(&self, alias: &str) -> Reply {
        self.app.get(&format!("/v1/shortlink/{alias}"))
    }

    /// A redirect to what [`Rig::link`] stored.
    pub fn follow(&self, alias: &str) {
        let reply = self.resolve(alias);
        let target = format!("https://{alias}.example/");
        assert_eq!((reply.status, reply.header("location")), (302, Some(target.as_str())), "{}", reply.body);
    }

    pub fn create(&self) -> Reply {
        self.app.create(&json!({ "url": "https://created.example" }))
    }
}

/// Asserts that the service said, in order, that it cannot serve now.
pub fn assert_unavailable(reply: &Reply) {
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(reply.header("retry-after").is_some(), "a 503 without Retry-After");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

/// What it returns, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let value = work();
    (value, began.elapsed())
}

/// How long it takes until it is so.
pub fn recovery(mut so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < TIMEOUT, "it does not recover within {} s", TIMEOUT.as_secs());
        sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

/// Asserts that a Redis that cannot be reached is skipped for a second after each attempt: `work` opens fewer connections
/// than it does requests, but for those of another instance and of each second that has passed.
pub fn assert_skipped(proxy: &FaultProxy, what: &str, requests: u32, work: impl FnOnce()) -> Duration {
    let before = proxy.accepted();
    let ((), took) = timed(work);
    let attempts = proxy.accepted() - before;
    let most = (requests / 2) as usize + usize::try_from(took.as_secs()).unwrap_or(usize::MAX);
    assert!(attempts <= most, "{what}: {attempts} attempts for {requests} requests in {took:?}");
    took
}

/// SQL that takes a lock and keeps it, however slow this machine is, until [`RELEASE`] is run. [`LOCKS`] is needed first.
pub fn keep_locked(lock: &str) -> String {
    format!(
        "begin; {lock};
         do $$ begin
             for round in 1..1200 loop
                 exit when exists (select from public.released);
                 perform pg_sleep(0.05);
             end loop;
         end $$; rollback"
    )
}

pub const LOCKS: &str = "create table public.released (at timestamptz)";
pub const RELEASE: &str = "insert into public.released values (now())";
/// Locks the registry against everything.
pub const LOCK_REGISTRY: &str = "lock table shortlink.short_code";
/// How many sessions hold that lock.
pub const REGISTRY_LOCKS: &str =
    "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted
    and relation = 'shortlink.short_code'::regclass";

/// For the table of `docs/reliability-tests.md`.
pub fn measured(row: &str, took: Duration, recovery: Duration) {
    println!("measured: {row}: {} ms, recovery {} ms", took.as_millis(), recovery.as_millis());
}

/// Every way in which something that is reached by TCP can be out of reach.
pub const OUTAGES: [Fault; 6] = [
    Fault::Refuse,
    Fault::Reset,
    Fault::Hang,
    Fault::Delay(Duration::from_secs(8)),
    Fault::CutAfter(2),
    Fault::Trickle(Duration::from_secs(2)),
];
