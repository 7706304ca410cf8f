//! Every setting of the request path, read from Spin's variables once an instance.
//!
//! A variable `x` of `spin.toml` is set by the environment variable `SPIN_VARIABLE_X` or by any other provider of Spin.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use shortlink_core::{Authority, LifetimeLimits, MAX_LIFETIME_DAYS, RedirectCaching};
use url::Url;

use crate::deadline::{Deadline, within};

/// How long a variable may take: its provider may be a server of its own.
const BUDGET: Duration = Duration::from_secs(3);
/// The longest that anything is cached, in seconds: a year. HTTP caches take more for a mistake.
const LONGEST_CACHING: u32 = 31_536_000;
/// The longest that an instance remembers a link, in milliseconds: an hour.
const LONGEST_MEMORY: u32 = 3_600_000;
/// The most codes that an instance takes from the pool at a time: those that it does not use are lost.
const LARGEST_PREFETCH: usize = 1000;

/// A variable that is missing, cannot be read now or has a value that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingError {
    variable: String,
    problem: String,
    is_transient: bool,
}

impl SettingError {
    /// A value that only the operator can mend; `problem` completes the sentence "variable `name` …".
    #[must_use]
    pub fn unusable(variable: &str, problem: impl Into<String>) -> Self {
        Self { variable: variable.into(), problem: problem.into(), is_transient: false }
    }

    /// A value that may be readable in a moment.
    #[must_use]
    pub fn transient(variable: &str, problem: impl Into<String>) -> Self {
        Self { variable: variable.into(), problem: problem.into(), is_transient: true }
    }

    /// Whether the variable may be readable in a moment.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.is_transient
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "variable `{}` {}", self.variable, self.problem)
    }
}

/// Where variables come from: Spin, or a map in tests.
pub trait Variables {
    /// The value of a variable.
    fn get(&self, name: &str) -> impl Future<Output = Result<String, SettingError>>;
}

/// The variables that Spin gives the component.
pub struct SpinVariables;

impl Variables for SpinVariables {
    async fn get(&self, name: &str) -> Result<String, SettingError> {
        use spin_sdk::variables::Error;

        let Some(value) = within(Deadline::after(BUDGET), spin_sdk::variables::get(name)).await else {
            return Err(SettingError::transient(name, "cannot be read: no answer in time"));
        };
        value.map_err(|error| match error {
            Error::Undefined(_) => SettingError::unusable(name, "is not defined for this component"),
            // The provider is a server that may be out of reach for a moment; its words may name hosts.
            Error::Provider(_) => SettingError::transient(name, "cannot be read: its provider failed"),
            Error::InvalidName(_) | Error::Other(_) => SettingError::unusable(name, "cannot be read"),
        })
    }
}

/// What a create allows.
#[derive(Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// `default_ttl_days` (14) and `max_ttl_days` (1826; 0 is no limit).
    pub limits: LifetimeLimits,
    /// `alias_quarantine_days` (30): how long the code of an expired link is not given to another one.
    pub quarantine_days: u32,
    /// `public_url` (none): where links are reached, without a slash at its end, as in `https://sho.rt`.
    pub public_url: Option<String>,
    /// `public_hosts` (none): comma-separated `host` or `host:port` that links must not lead to, and the host of
    /// `public_url`.
    pub public_hosts: Vec<Authority>,
}

/// `create_access` (`open`): who may create links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateAccess {
    /// Everybody.
    Open,
    /// Whoever has an API key with the scope `create`.
    Key,
}

impl CreateAccess {
    /// Reads the variable.
    ///
    /// # Errors
    /// [`SettingError`]
    pub async fn read(variables: &impl Variables) -> Result<Self, SettingError> {
        match text(variables, "create_access").await?.trim() {
            "open" => Ok(Self::Open),
            "key" => Ok(Self::Key),
            _ => Err(SettingError::unusable("create_access", "must be open or key")),
        }
    }
}

/// How answers are cached.
#[derive(Debug, PartialEq, Eq)]
pub struct CachingSettings {
    /// `cache_ttl_seconds` (3600): the longest that Redis keeps a link.
    pub cache_ttl: Duration,
    /// `hot_link_ttl_millis` (2000): how long an instance remembers a link that it resolved; 0 is not at all.
    pub hot_link_ttl: Duration,
    /// `redirect_max_age` (0) and `edge_ttl_seconds` (10).
    pub redirect: RedirectCaching,
}

/// Reads `cache_ttl_seconds` (3600): the longest that Redis keeps a link.
///
/// # Errors
/// [`SettingError`]
pub async fn cache_ttl(variables: &impl Variables) -> Result<Duration, SettingError> {
    Ok(Duration::from_secs(u64::from(number(variables, "cache_ttl_seconds", 1..=LONGEST_CACHING).await?)))
}

/// Reads `pool_prefetch` (16): how many codes an instance takes from the pool at a time at most.
///
/// # Errors
/// [`SettingError`]
pub async fn pool_prefetch(variables: &impl Variables) -> Result<usize, SettingError> {
    number(variables, "pool_prefetch", 1..=LARGEST_PREFETCH).await
}

/// `allowed_origins` (`*`): which origins a browser lets read the answers.
#[derive(Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every origin.
    Any,
    /// These, as `scheme://host[:port]`.
    Listed(Vec<String>),
}

impl LinkSettings {
    /// Reads the variables.
    ///
    /// # Errors
    /// [`SettingError`]
    pub async fn read(variables: &impl Variables) -> Result<Self, SettingError> {
        let max_ttl_days = number(variables, "max_ttl_days", 0..=MAX_LIFETIME_DAYS).await?;
        let limits = LifetimeLimits {
            default_ttl_days: number(variables, "default_ttl_days", 1..=MAX_LIFETIME_DAYS).await?,
            max_ttl_days: (max_ttl_days > 0).then_some(max_ttl_days),
        };
        if limits.max_ttl_days.is_some_and(|most| limits.default_ttl_days > most) {
            return Err(SettingError::unusable(
                "default_ttl_days",
                "must not be greater than `max_ttl_days`",
            ));
        }
        let mut public_hosts = Vec::new();
        for host in list(&text(variables, "public_hosts").await?) {
            let authority = Authority::parse(host).filter(|_| !host.contains('*'));
            public_hosts.push(authority.ok_or_else(|| {
                SettingError::unusable(
                    "public_hosts",
                    "must be a list of host or host:port, without wildcards",
                )
            })?);
        }
        let public_url = public_url(variables).await?;
        public_hosts.extend(public_url.as_deref().and_then(authority));
        let quarantine_days = number(variables, "alias_quarantine_days", 0..=MAX_LIFETIME_DAYS).await?;
        Ok(Self { limits, quarantine_days, public_url, public_hosts })
    }
}

/// Reads `public_url` (none): `http` or `https`, a host, and nothing behind it.
async fn public_url(variables: &impl Variables) -> Result<Option<String>, SettingError> {
    let text = text(variables, "public_url").await?;
    if text.is_empty() {
        return Ok(None);
    }
    let origin = Url::parse(&text).ok().filter(|url| {
        let is_origin = text.trim_end_matches('/') == url.origin().ascii_serialization();
        matches!(url.scheme(), "http" | "https") && is_origin && authority(&text).is_some()
    });
    let url = origin.ok_or_else(|| {
        SettingError::unusable("public_url", "must be http or https and a host, such as https://sho.rt")
    })?;
    Ok(Some(url.origin().ascii_serialization()))
}

/// The host and port of a URL without a path.
fn authority(url: &str) -> Option<Authority> {
    Authority::parse(url.split_once("://")?.1.trim_end_matches('/'))
}

impl CachingSettings {
    /// Reads the variables.
    ///
    /// # Errors
    /// [`SettingError`]
    pub async fn read(variables: &impl Variables) -> Result<Self, SettingError> {
        let hot_link_ttl = number(variables, "hot_link_ttl_millis", 0..=LONGEST_MEMORY).await?;
        Ok(Self {
            cache_ttl: cache_ttl(variables).await?,
            hot_link_ttl: Duration::from_millis(u64::from(hot_link_ttl)),
            redirect: RedirectCaching {
                max_age: number(variables, "redirect_max_age", 0..=LONGEST_CACHING).await?,
                edge_ttl: number(variables, "edge_ttl_seconds", 0..=LONGEST_CACHING).await?,
            },
        })
    }
}

impl AllowedOrigins {
    /// Reads the variable.
    ///
    /// # Errors
    /// [`SettingError`]
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
            return Err(SettingError::unusable(
                "allowed_origins",
                "must be * or a list of origins such as https://example.com",
            ));
        }
        Ok(Self::Listed(origins))
    }
}

/// The text of a variable.
///
/// # Errors
/// [`SettingError`] when it cannot be read.
pub async fn text(variables: &impl Variables, name: &str) -> Result<String, SettingError> {
    variables.get(name).await
}

/// The text of a variable that must not be empty.
///
/// # Errors
/// [`SettingError`] when it is, or cannot be read.
pub async fn required(variables: &impl Variables, name: &str) -> Result<String, SettingError> {
    let text = text(variables, name).await?;
    if text.is_empty() { Err(SettingError::unusable(name, "must not be empty")) } else { Ok(text) }
}

/// The whole number of a variable.
///
/// # Errors
/// [`SettingError`] when it is none, not in `range`, or cannot be read.
pub async fn number<T: FromStr + PartialOrd + fmt::Display>(
    variables: &impl Variables,
    name: &str,
    range: RangeInclusive<T>,
) -> Result<T, SettingError> {
    let number = text(variables, name).await?.trim().parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let problem = format!("must be a whole number from {} to {}", range.start(), range.end());
        SettingError::unusable(name, problem)
    })
}

/// The items of a comma-separated list.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::executor::block_on;

    use super::*;

    struct Map(BTreeMap<&'static str, &'static str>);

    impl Variables for Map {
        async fn get(&self, name: &str) -> Result<String, SettingError> {
            let value = self.0.get(name).map(ToString::to_string);
            value.ok_or_else(|| SettingError::unusable(name, "is not defined for this component"))
        }
    }

    fn variables(changes: &[(&'static str, &'static str)]) -> Map {
        let mut map = BTreeMap::from([
            ("default_ttl_days", "14"),
            ("max_ttl_days", "1826"),
            ("alias_quarantine_days", "30"),
            ("create_access", "open"),
            ("public_url", ""),
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
                CreateAccess::read(&variables).await?;
                AllowedOrigins::read(&variables).await.map(|_| ())
            })
            .map_err(|error| error.to_string())
        };
        assert_eq!(read("max_ttl_days", "1826"), Ok(()));
        for (name, value) in [
            ("create_access", ""),
            ("create_access", "keys"),
            ("hot_link_ttl_millis", "-1"),
            ("hot_link_ttl_millis", "3600001"),
            ("pool_prefetch", "0"),
            ("pool_prefetch", "1001"),
            ("default_ttl_days", "9999"),
            ("max_ttl_days", "-1"),
            ("max_ttl_days", "999999999"),
            ("cache_ttl_seconds", "1h"),
            ("cache_ttl_seconds", "31536001"),
            ("redirect_max_age", "4294967295"),
            ("edge_ttl_seconds", ""),
            ("edge_ttl_seconds", "31536001"),
            ("public_hosts", "a/b"),
            ("public_hosts", "*.sho.rt"),
            ("public_url", "sho.rt"),
            ("public_url", "ftp://sho.rt"),
            ("public_url", "https://sho.rt/x"),
            ("public_url", "https://u@sho.rt"),
            ("alias_quarantine_days", "-1"),
            ("allowed_origins", "example.com"),
        ] {
            let error = read(name, value).unwrap_err();
            assert!(error.starts_with(&format!("variable `{name}` ")), "{error}");
        }
    }

    #[test]
    fn a_lifetime_that_postgres_cannot_store_is_refused_with_the_limit() {
        let variables = variables(&[("default_ttl_days", "999999999")]);
        let error = block_on(LinkSettings::read(&variables)).unwrap_err();
        let limit =
            format!("variable `default_ttl_days` must be a whole number from 1 to {MAX_LIFETIME_DAYS}");
        assert_eq!(error.to_string(), limit);
    }
}
