//! The components' settings, and what Postgres says.

use std::{
    collections::BTreeMap,
    pin::pin,
    task::{Context, Poll, Waker},
};

use redis::{ConnectionAddr, IntoConnectionInfo};
use shortlink_core::{Code, Link, Lookup, RedirectCaching, ports::StoreError};
use shortlink_guest::settings::{
    AllowedOrigins, CachingSettings, CreateAccess, LinkSettings, SettingError, Variables, pool_prefetch,
};
use shortlink_spin_adapters::{
    postgres::{DbValue, PostgresSettings, lookups},
    redis::RedisSettings,
};
use tokio_postgres::config::Host;

use crate::{
    domain::{NOW, assert_safe_location},
    sentence::{assert_own, assert_plain},
};

/// The variables as the local stack sets them.
const DEFAULTS: [(&str, &str); 25] = [
    ("allowed_origins", "*"),
    ("cache_ttl_seconds", "3600"),
    ("create_access", "open"),
    ("default_ttl_days", "14"),
    ("edge_ttl_seconds", "10"),
    ("hot_link_ttl_millis", "2000"),
    ("max_ttl_days", "1826"),
    ("alias_quarantine_days", "30"),
    ("public_url", ""),
    ("pool_prefetch", "16"),
    ("postgres_database", "short_link"),
    ("postgres_host", "127.0.0.1"),
    ("postgres_password", "hunter2"),
    ("postgres_port", "5432"),
    ("postgres_sslmode", "disable"),
    ("postgres_user", "shortlink_app"),
    ("public_hosts", ""),
    ("redirect_max_age", "0"),
    ("redis_cache_database", "0"),
    ("redis_cache_host", "127.0.0.1"),
    ("redis_cache_password", "hunter2"),
    ("redis_cache_port", "6379"),
    ("redis_cache_tls", "disable"),
    ("redis_cache_user", "shortlink_app"),
    ("unused", ""),
];

struct Given<'a>(BTreeMap<&'a str, &'a str>);

impl Given<'_> {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).copied().unwrap_or_default()
    }
}

impl Variables for Given<'_> {
    async fn get(&self, name: &str) -> Result<String, SettingError> {
        let value = self.0.get(name).map(ToString::to_string);
        value.ok_or_else(|| SettingError::unusable(name, "is not defined"))
    }
}

/// What needs no waiting.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("reading settings waits for something"),
    }
}

/// Passes over a setting that is refused in words that name it and hold nothing of it.
fn accepted<T>(read: Result<T, SettingError>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(error) => {
            let error = error.to_string();
            assert_own(&error);
            let named = |(name, _): &(&str, &str)| error.starts_with(&format!("variable `{name}` "));
            assert!(DEFAULTS.iter().any(named), "{error}");
            None
        }
    }
}

/// Lines of `name=value` over the defaults. The client libraries must read in an address just what the variables say.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut given = Given(BTreeMap::from(DEFAULTS));
    given.0.extend(text.lines().filter_map(|line| line.split_once('=')));
    if let Some(links) = accepted(at_once(LinkSettings::read(&given))) {
        let most = links.limits.max_ttl_days.unwrap_or(u32::MAX);
        assert!((1..=most).contains(&links.limits.default_ttl_days));
    }
    accepted(at_once(CachingSettings::read(&given)));
    let access = accepted(at_once(CreateAccess::read(&given)));
    let word = given.text("create_access").trim();
    assert_eq!(access.is_some(), matches!(word, "open" | "key"), "nobody means {word:?} by {access:?}");
    assert!(accepted(at_once(pool_prefetch(&given))).is_none_or(|prefetch| prefetch > 0));
    if let Some(AllowedOrigins::Listed(origins)) = accepted(at_once(AllowedOrigins::read(&given))) {
        let is_safe = |origin: &String| origin.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(origins.iter().all(is_safe), "{origins:?} cannot stand in a header");
    }
    if let Some(settings) = accepted(at_once(RedisSettings::read(&given, "redis_cache"))) {
        assert!(!format!("{settings:?}").contains("hunter2"));
        redis(&given, settings.url());
    }
    if let Some(settings) = accepted(at_once(PostgresSettings::read(&given))) {
        assert!(!format!("{settings:?}").contains("hunter2"));
        postgres(&given, settings.connection_string());
    }
}

fn redis(given: &Given, url: &str) {
    let info = url.into_connection_info().unwrap_or_else(|error| panic!("{url:?}: {error}"));
    let (host, port) = match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host, *port),
        other => panic!("{url:?} leads to {other:?}"),
    };
    let settings = info.redis_settings();
    assert_same_host(host, given.text("redis_cache_host"));
    assert_eq!(Ok(port), given.text("redis_cache_port").trim().parse());
    assert_eq!(Ok(settings.db()), given.text("redis_cache_database").trim().parse());
    assert_eq!(settings.username().unwrap_or_default(), given.text("redis_cache_user"), "{url}");
    assert_eq!(settings.password().unwrap_or_default(), given.text("redis_cache_password"), "{url}");
}

fn postgres(given: &Given, address: &str) {
    let config: tokio_postgres::Config =
        address.parse().unwrap_or_else(|error| panic!("{address:?}: {error}"));
    match config.get_hosts() {
        [Host::Tcp(host)] => assert_same_host(host, given.text("postgres_host")),
        [Host::Unix(path)] => assert_eq!(path.to_str(), Some(given.text("postgres_host"))),
        hosts => panic!("{address:?} leads to {hosts:?}"),
    }
    for addr in config.get_hostaddrs() {
        assert_same_host(&addr.to_string(), given.text("postgres_host"));
    }
    assert_eq!(config.get_ports(), [given.text("postgres_port").trim().parse::<u16>().unwrap_or_default()]);
    assert_eq!(config.get_user(), Some(given.text("postgres_user")));
    assert_eq!(config.get_password().unwrap_or_default(), given.text("postgres_password").as_bytes());
    assert_eq!(config.get_dbname(), Some(given.text("postgres_database")));
    assert_eq!(config.get_application_name(), Some("short-link"));
}

fn assert_same_host(reached: &str, given: &str) {
    let plain = |host: &str| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        url::Host::parse(host)
            .or_else(|_| url::Host::parse(&format!("[{host}]")))
            .map(|host| host.to_string())
    };
    let same = reached == given || matches!((plain(reached), plain(given)), (Ok(a), Ok(b)) if a == b);
    assert!(same, "{given:?} was given, and {reached:?} is reached");
}

/// The first byte says how many codes were asked for, the rest is what Postgres answers, one line each; `\N` is null.
pub fn rows(data: &[u8]) {
    let Some((count, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let count = usize::from(*count) % 18;
    let answers: Vec<Option<&str>> = text.split('\n').map(|line| (line != "\\N").then_some(line)).collect();
    found(count, &answers);
}

fn found(count: usize, answers: &[Option<&str>]) {
    let codes: Vec<Code> = (0..count as u64).map(Code::from_number).collect();
    let value = DbValue::ArrayStr(answers.iter().map(|answer| answer.map(str::to_owned)).collect());
    let lookups = lookups(&codes, Some(value));
    assert_eq!(lookups.len(), count, "one answer for each code");
    for (lookup, answer) in lookups.iter().zip(answers) {
        match lookup {
            _ if answers.len() != count => assert!(lookup.is_err()),
            Ok(Lookup::Unknown) => assert_eq!(*answer, None),
            Ok(Lookup::Expired) => assert_eq!(*answer, Some("")),
            Ok(Lookup::Live(link)) => {
                assert_safe_location(&link.target);
                assert!(answer.is_some_and(|answer| answer.ends_with(&format!(" {}", link.target))));
                redirect(link);
            }
            Err(StoreError::Unusable(problem)) => assert_plain(problem),
            Err(error) => panic!("{error}"),
        }
    }
}

/// No cache keeps a redirect past the link's end.
fn redirect(link: &Link) {
    let caching = RedirectCaching { max_age: 60, edge_ttl: u32::MAX }.within(link.expiry, NOW);
    let longest = u64::from(caching.max_age.max(caching.edge_ttl));
    assert!(longest * 1000 <= link.expiry.millis_left(NOW));
}
