//! Every setting of the request path, read from Spin's variables once an instance.
//!
//! A variable `x` of `spin.toml` is set by the environment variable `SPIN_VARIABLE_X` or by any other provider of Spin.

use std::{fmt, str::FromStr, time::Duration};

use shortlink_core::{Authority, LifetimeLimits};
use url::Url;

use crate::{answer::RedirectCaching, bounded::within};

/// How long a variable may take: its provider may be a server of its own.
const BUDGET: Duration = Duration::from_secs(3);

/// A variable that is missing or has a value that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingError {
    variable: String,
    problem: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "variable `{}` {}", self.variable, self.problem)
    }
}

/// Where variables come from: Spin, or a map in tests.
pub trait Variables {
    /// The value of a variable; the error completes the sentence "variable `name` …".
    fn get(&self, name: &str) -> impl Future<Output = Result<String, String>>;
}

/// The variables that Spin gives the component.
pub struct SpinVariables;

impl Variables for SpinVariables {
    async fn get(&self, name: &str) -> Result<String, String> {
        let value = within(BUDGET, spin_sdk::variables::get(name)).await;
        let value = value.ok_or("cannot be read: no answer in time")?;
        value.map_err(|error| match error {
            spin_sdk::variables::Error::Undefined(_) => "is not defined for this component".into(),
            other => format!("cannot be read: {other}"),
        })
    }
}

/// Text that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How links are made.
#[derive(Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// `default_ttl_days` (14) and `max_ttl_days` (1826).
    pub limits: LifetimeLimits,
    /// `public_hosts` (none): comma-separated `host` or `host:port` that links must not lead to.
    pub public_hosts: Vec<Authority>,
}

/// How answers are cached.
#[derive(Debug, PartialEq, Eq)]
pub struct CachingSettings {
    /// `cache_ttl_seconds` (3600): the longest that Redis keeps a link.
    pub cache_ttl: Duration,
    /// `hot_link_ttl_millis` (2000): how long an instance remembers a link that it followed; 0 is not at all.
    pub hot_link_ttl: Duration,
    /// `redirect_max_age` (0) and `edge_ttl_seconds` (10).
    pub redirect: RedirectCaching,
}

/// Reads `cache_ttl_seconds` (3600): the longest that Redis keeps a link.
pub async fn cache_ttl(variables: &impl Variables) -> Result<Duration, SettingError> {
    Ok(Duration::from_secs(u64::from(number::<u32>(variables, "cache_ttl_seconds", 1).await?)))
}

/// Reads `pool_prefetch` (16): how many codes an instance takes from the pool at a time at most.
pub async fn pool_prefetch(variables: &impl Variables) -> Result<usize, SettingError> {
    Ok(usize::from(number::<u16>(variables, "pool_prefetch", 1).await?))
}

/// `allowed_origins` (`*`): which origins a browser lets read the answers.
#[derive(Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every origin.
    Any,
    /// These, as `scheme://host[:port]`.
    Listed(Vec<String>),
}

/// How to reach one of the two Redis. The variables begin with the instance's name.
#[derive(Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// `redis_cache` or `redis_codes`.
    pub name: &'static str,
    url: Secret,
    hidden: Vec<Secret>,
}

/// How to reach Postgres.
#[derive(Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    connection_string: Secret,
    hidden: Vec<Secret>,
}

impl LinkSettings {
    /// Reads the variables.
    pub async fn read(variables: &impl Variables) -> Result<Self, SettingError> {
        let limits = LifetimeLimits {
            default_ttl_days: number(variables, "default_ttl_days", 1).await?,
            max_ttl_days: number(variables, "max_ttl_days", 1).await?,
        };
        if limits.default_ttl_days > limits.max_ttl_days {
            return Err(wrong("default_ttl_days", "must not be greater than `max_ttl_days`"));
        }
        let mut public_hosts = Vec::new();
        for host in list(&text(variables, "public_hosts").await?) {
            let authority = Authority::parse(host);
            public_hosts
                .push(authority.ok_or_else(|| wrong("public_hosts", "must be a list of host or host:port"))?);
        }
        Ok(Self { limits, public_hosts })
    }
}

impl CachingSettings {
    /// Reads the variables.
    pub async fn read(variables: &impl Variables) -> Result<Self, SettingError> {
        let hot_link_ttl: u32 = number(variables, "hot_link_ttl_millis", 0).await?;
        Ok(Self {
            cache_ttl: cache_ttl(variables).await?,
            hot_link_ttl: Duration::from_millis(u64::from(hot_link_ttl)),
            redirect: RedirectCaching {
                max_age: number(variables, "redirect_max_age", 0).await?,
                edge_ttl: number(variables, "edge_ttl_seconds", 0).await?,
            },
        })
    }
}

impl AllowedOrigins {
    /// Reads the variable.
    pub async fn read(variables: &impl Variables) -> Result<Self, SettingError> {
        let text = text(variables, "allowed_origins").await?;
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let origins: Vec<String> = list(&text).map(str::to_owned).collect();
        let well_formed = |origin: &String| {
            Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin)
        };
        if !origins.iter().all(well_formed) {
            return Err(wrong(
                "allowed_origins",
                "must be * or a list of origins such as https://example.com",
            ));
        }
        Ok(Self::Listed(origins))
    }
}

impl RedisSettings {
    /// Reads `<name>_host`, `_port`, `_user`, `_password`, `_database` (0) and `_tls` (`disable` or `require`).
    pub async fn read(variables: &impl Variables, name: &'static str) -> Result<Self, SettingError> {
        let variable = |field: &str| format!("{name}_{field}");
        let scheme = match text(variables, &variable("tls")).await?.as_str() {
            "disable" => "redis",
            "require" => "rediss",
            _ => return Err(wrong(&variable("tls"), "must be disable or require")),
        };
        let host = required(variables, &variable("host")).await?;
        let port: u16 = number(variables, &variable("port"), 1).await?;
        let database: u32 = number(variables, &variable("database"), 0).await?;
        let user = text(variables, &variable("user")).await?;
        let password = text(variables, &variable("password")).await?;
        let unusable = || wrong(&variable("host"), "is no host");
        // Any of these would end the host in the URL, be left out of it or be encoded, and another one be reached.
        if host.contains(|c: char| !c.is_ascii_graphic() || "/?#@\\%".contains(c)) {
            return Err(unusable());
        }
        let mut url = Url::parse(&format!("{scheme}://{host}:{port}/{database}")).map_err(|_| unusable())?;
        // What `url` writes into credentials is decoded again by who reads them, but it leaves `%` alone.
        let encoded = |text: &str| text.replace('%', "%25");
        url.set_username(&encoded(&user)).map_err(|()| unusable())?;
        url.set_password(Some(encoded(&password)).filter(|password| !password.is_empty()).as_deref())
            .map_err(|()| unusable())?;
        Ok(Self { name, url: Secret(url.into()), hidden: vec![Secret(host), Secret(user), Secret(password)] })
    }

    /// The address for Spin's Redis.
    pub fn url(&self) -> &str {
        &self.url.0
    }

    /// An error text without host, user and password.
    pub fn redact(&self, text: &str) -> String {
        redact(text, &self.hidden)
    }
}

impl PostgresSettings {
    /// Reads `postgres_host`, `_port`, `_user`, `_password`, `_database` and `_sslmode` (`disable`, `prefer` or `require`).
    pub async fn read(variables: &impl Variables) -> Result<Self, SettingError> {
        let sslmode = text(variables, "postgres_sslmode").await?;
        if !matches!(sslmode.as_str(), "disable" | "prefer" | "require") {
            return Err(wrong("postgres_sslmode", "must be disable, prefer or require"));
        }
        let host = required(variables, "postgres_host").await?;
        if host.contains(',') {
            return Err(wrong("postgres_host", "must be one host"));
        }
        let port: u16 = number(variables, "postgres_port", 1).await?;
        let user = required(variables, "postgres_user").await?;
        let database = required(variables, "postgres_database").await?;
        let password = text(variables, "postgres_password").await?;
        let connection_string = format!(
            "host={} port={port} user={} password={} dbname={} sslmode={sslmode} application_name=short-link",
            quoted(&host),
            quoted(&user),
            quoted(&password),
            quoted(&database),
        );
        let hidden = vec![Secret(host), Secret(user), Secret(password), Secret(database)];
        Ok(Self { connection_string: Secret(connection_string), hidden })
    }

    /// The address for Spin's Postgres.
    pub fn connection_string(&self) -> &str {
        &self.connection_string.0
    }

    /// An error text without host, user, password and database.
    pub fn redact(&self, text: &str) -> String {
        redact(text, &self.hidden)
    }
}

fn wrong(variable: &str, problem: &str) -> SettingError {
    SettingError { variable: variable.into(), problem: problem.into() }
}

async fn text(variables: &impl Variables, name: &str) -> Result<String, SettingError> {
    variables.get(name).await.map_err(|problem| SettingError { variable: name.into(), problem })
}

async fn required(variables: &impl Variables, name: &str) -> Result<String, SettingError> {
    let text = text(variables, name).await?;
    if text.is_empty() { Err(wrong(name, "must not be empty")) } else { Ok(text) }
}

async fn number<T: FromStr + PartialOrd + fmt::Display>(
    variables: &impl Variables,
    name: &str,
    least: T,
) -> Result<T, SettingError> {
    let number = text(variables, name).await?.trim().parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| wrong(name, &format!("must be a whole number, at least {least}")))
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// A value of a `key=value` connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn redact(text: &str, hidden: &[Secret]) -> String {
    let secrets = hidden.iter().filter(|secret| !secret.0.is_empty());
    secrets.fold(text.to_owned(), |text, secret| text.replace(&secret.0, "***"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::executor::block_on;

    use super::*;

    struct Map(BTreeMap<&'static str, &'static str>);

    impl Variables for Map {
        async fn get(&self, name: &str) -> Result<String, String> {
            self.0.get(name).map(ToString::to_string).ok_or_else(|| "is not defined".into())
        }
    }

    fn variables(changes: &[(&'static str, &'static str)]) -> Map {
        let mut map = BTreeMap::from([
            ("postgres_host", "db.example"),
            ("postgres_port", "5432"),
            ("postgres_user", "shortlink_app"),
            ("postgres_password", "it's \\ secret"),
            ("postgres_database", "short_link"),
            ("postgres_sslmode", "require"),
            ("redis_cache_host", "cache.example"),
            ("redis_cache_port", "6379"),
            ("redis_cache_user", "shortlink_app"),
            ("redis_cache_password", "p@ss/word"),
            ("redis_cache_database", "0"),
            ("redis_cache_tls", "require"),
            ("default_ttl_days", "14"),
            ("max_ttl_days", "1826"),
            ("public_hosts", "sho.rt, www.sho.rt:8443"),
            ("allowed_origins", "*"),
            ("cache_ttl_seconds", "3600"),
            ("hot_link_ttl_millis", "2000"),
            ("pool_prefetch", "16"),
            ("redirect_max_age", "0"),
            ("edge_ttl_seconds", "10"),
        ]);
        map.extend(changes.iter().copied());
        Map(map)
    }

    #[test]
    fn passwords_are_quoted_for_each_kind_of_address() {
        let postgres = block_on(PostgresSettings::read(&variables(&[]))).unwrap();
        assert!(postgres.connection_string().contains(r"password='it\'s \\ secret' "));
        let redis = block_on(RedisSettings::read(&variables(&[]), "redis_cache")).unwrap();
        assert_eq!(redis.url(), "rediss://shortlink_app:p%40ss%2Fword@cache.example:6379/0");
    }

    #[test]
    fn a_percent_sign_in_a_password_stands_for_itself() {
        let variables = variables(&[("redis_cache_password", "100%25")]);
        let redis = block_on(RedisSettings::read(&variables, "redis_cache")).unwrap();
        assert_eq!(redis.url(), "rediss://shortlink_app:100%2525@cache.example:6379/0");
    }

    #[test]
    fn nothing_secret_is_printed_or_logged() {
        let redis = block_on(RedisSettings::read(&variables(&[]), "redis_cache")).unwrap();
        assert!(!format!("{redis:?}").contains("example"));
        assert_eq!(redis.redact("cannot reach cache.example as shortlink_app"), "cannot reach *** as ***");
    }

    #[test]
    fn lists_are_split_and_trimmed() {
        let links = block_on(LinkSettings::read(&variables(&[]))).unwrap();
        assert_eq!(
            links.public_hosts,
            ["sho.rt", "www.sho.rt:8443"].map(|host| Authority::parse(host).unwrap())
        );
        let origins = "https://a.example, http://b.example:81";
        let origins = block_on(AllowedOrigins::read(&variables(&[("allowed_origins", origins)]))).unwrap();
        assert_eq!(
            origins,
            AllowedOrigins::Listed(vec!["https://a.example".into(), "http://b.example:81".into()])
        );
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_its_variable() {
        let read = |name, value| {
            let variables = variables(&[(name, value)]);
            block_on(async {
                LinkSettings::read(&variables).await?;
                CachingSettings::read(&variables).await?;
                pool_prefetch(&variables).await?;
                AllowedOrigins::read(&variables).await?;
                RedisSettings::read(&variables, "redis_cache").await?;
                PostgresSettings::read(&variables).await.map(|_| ())
            })
            .map_err(|error| error.to_string())
        };
        assert_eq!(read("postgres_port", "5432"), Ok(()));
        for (name, value) in [
            ("postgres_port", "0"),
            ("postgres_port", "70000"),
            ("postgres_host", ""),
            ("postgres_host", "one.example,two.example"),
            ("postgres_sslmode", "verify-full"),
            ("redis_cache_tls", "yes"),
            ("hot_link_ttl_millis", "-1"),
            ("pool_prefetch", "0"),
            ("redis_cache_host", "a b"),
            ("redis_cache_host", "cache/example"),
            ("redis_cache_host", "a@cache.example"),
            ("redis_cache_host", "cache?example"),
            ("redis_cache_host", "cac\the"),
            ("redis_cache_host", "caché.example"),
            ("default_ttl_days", "9999"),
            ("max_ttl_days", "-1"),
            ("cache_ttl_seconds", "1h"),
            ("edge_ttl_seconds", ""),
            ("public_hosts", "a/b"),
            ("allowed_origins", "example.com"),
        ] {
            let error = read(name, value).unwrap_err();
            assert!(error.starts_with(&format!("variable `{name}` ")), "{error}");
        }
    }
}
