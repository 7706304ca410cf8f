//! How to reach one of the two Redis.

use secrecy::{ExposeSecret, SecretString};
use shortlink_guest::settings::{SettingError, Variables, number, text};
use url::Url;

use crate::{
    host_name::{host, unbracketed},
    redact::redact,
};

/// How to reach one of the two Redis. The variables begin with the instance's name.
#[derive(Debug)]
pub struct RedisSettings {
    /// `redis_cache` or `redis_codes`.
    pub name: &'static str,
    url: SecretString,
    hidden: Vec<SecretString>,
}

impl RedisSettings {
    /// Reads `<name>_host`, `_port`, `_user`, `_password`, `_database` (0) and `_tls` (`disable` or `require`).
    ///
    /// # Errors
    /// [`SettingError`]
    pub async fn read(variables: &impl Variables, name: &'static str) -> Result<Self, SettingError> {
        let variable = |field: &str| format!("{name}_{field}");
        let scheme = match text(variables, &variable("tls")).await?.as_str() {
            "disable" => "redis",
            "require" => "rediss",
            _ => return Err(SettingError::unusable(&variable("tls"), "must be disable or require")),
        };
        let host = host(variables, &variable("host")).await?;
        let port = number(variables, &variable("port"), 1..=u16::MAX).await?;
        let database = number(variables, &variable("database"), 0..=i32::MAX).await?;
        let user = text(variables, &variable("user")).await?;
        let password = text(variables, &variable("password")).await?;
        let unusable = || SettingError::unusable(&variable("host"), "is no host");
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
        let hidden =
            [unbracketed(&host).unwrap_or(&host).to_owned(), user, password].map(SecretString::from).into();
        Ok(Self { name, url: String::from(url).into(), hidden })
    }

    /// The address for Spin's Redis.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.expose_secret()
    }

    /// An error text without host, user and password.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        redact(text, &self.hidden)
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self { name: "redis_cache", url: "redis://cache.example/0".into(), hidden: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::settings_fake::Map;

    fn read(changes: &[(&'static str, &'static str)]) -> Result<RedisSettings, SettingError> {
        block_on(RedisSettings::read(&Map::with(changes), "redis_cache"))
    }

    fn url(changes: &[(&'static str, &'static str)]) -> String {
        read(changes).unwrap().url().to_owned()
    }

    #[test]
    fn passwords_are_encoded() {
        assert_eq!(url(&[]), "rediss://shortlink_app:p%40ss%2Fword@cache.example:6379/0");
        assert_eq!(
            url(&[("redis_cache_password", "100%25")]),
            "rediss://shortlink_app:100%2525@cache.example:6379/0"
        );
    }

    #[test]
    fn an_ipv6_address_has_brackets() {
        let url = url(&[("redis_cache_host", "[::1]"), ("redis_cache_password", "")]);
        assert_eq!(url, "rediss://shortlink_app@[::1]:6379/0");
    }

    #[test]
    fn nothing_secret_is_printed_or_logged() {
        let redis = read(&[]).unwrap();
        assert!(!format!("{redis:?}").contains("example"));
        assert_eq!(redis.redact("cannot reach cache.example as shortlink_app"), "cannot reach *** as ***");
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_its_variable() {
        for (name, value) in [
            ("redis_cache_tls", "yes"),
            ("redis_cache_port", "70000"),
            ("redis_cache_database", "-1"),
            ("redis_cache_host", "a b"),
            ("redis_cache_host", "::1"),
            ("redis_cache_host", "cache/example"),
            ("redis_cache_host", "a@cache.example"),
            ("redis_cache_host", "cache?example"),
            ("redis_cache_host", "cac\the"),
            ("redis_cache_host", "caché.example"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("variable `{name}` ")), "{error}");
        }
    }
}
