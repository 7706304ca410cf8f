//! The settings: each is read once, from a flag or the environment, and refused by name when it cannot be used.

use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// A setting that is missing or wrong: the operator has to change it, running again does not help.
#[derive(Debug, Error)]
#[error("{setting} {problem}")]
pub struct ConfigError {
    /// The environment variable that holds it.
    pub setting: &'static str,
    /// What is wrong with it, to follow the name; never the value.
    pub problem: String,
}

impl ConfigError {
    /// A setting with its problem.
    pub fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self { setting, problem: problem.into() }
    }

    fn missing(setting: &'static str, flag: &str) -> Self {
        Self::new(setting, format!("is not set (nor {flag} given)"))
    }
}

/// Where the database, the pool and the redirect cache are, and the key of the codes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Postgres, as the owner of the database: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=disable|prefer|require.
    /// prefer, the default, uses TLS where the server offers it; wherever TLS is used the certificate is verified
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    database_url: Option<SecretString>,
    /// Certificate authorities (PEM) for Postgres, instead of the system's
    #[arg(long, env = "DATABASE_CA_FILE", value_name = "FILE", global = true)]
    database_ca_file: Option<PathBuf>,
    /// The Redis of the pool: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS
    #[arg(long, env = "REDIS_CODES_URL", hide_env_values = true, value_name = "URL", global = true)]
    redis_codes_url: Option<SecretString>,
    /// Certificate authorities (PEM) for the Redis of the pool, instead of the system's
    #[arg(long, env = "REDIS_CODES_CA_FILE", value_name = "FILE", global = true)]
    redis_codes_ca_file: Option<PathBuf>,
    /// The Redis of the redirect cache: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS
    #[arg(long, env = "REDIS_CACHE_URL", hide_env_values = true, value_name = "URL", global = true)]
    redis_cache_url: Option<SecretString>,
    /// Certificate authorities (PEM) for the Redis of the redirect cache, instead of the system's
    #[arg(long, env = "REDIS_CACHE_CA_FILE", value_name = "FILE", global = true)]
    redis_cache_ca_file: Option<PathBuf>,
    /// The key that turns numbers into codes: 64 hexadecimal digits (`openssl rand -hex 32`). Changed only by
    /// `codes rotate-key`
    #[arg(long, env = "SHORTLINK_CODES_KEY", hide_env_values = true, value_name = "HEX", global = true)]
    codes_key: Option<SecretString>,
}

/// Where a Redis is, and the variables that say so.
#[derive(Debug)]
pub struct RedisSettings<'a> {
    /// Its URL.
    pub url: &'a SecretString,
    /// The variable of the URL.
    pub url_variable: &'static str,
    /// Certificate authorities (PEM), instead of the system's.
    pub ca_file: Option<&'a Path>,
    /// The variable of the file.
    pub ca_variable: &'static str,
}

impl Settings {
    /// `DATABASE_URL`.
    ///
    /// # Errors
    /// When it is not set.
    pub fn database_url(&self) -> Result<&SecretString, ConfigError> {
        present(self.database_url.as_ref(), "DATABASE_URL", "--database-url")
    }

    /// `DATABASE_CA_FILE`.
    pub fn database_ca_file(&self) -> Option<&Path> {
        self.database_ca_file.as_deref()
    }

    /// `REDIS_CODES_URL` and `REDIS_CODES_CA_FILE`.
    ///
    /// # Errors
    /// When the URL is not set.
    pub fn redis_codes(&self) -> Result<RedisSettings<'_>, ConfigError> {
        let url_variable = "REDIS_CODES_URL";
        let url = present(self.redis_codes_url.as_ref(), url_variable, "--redis-codes-url")?;
        let ca_file = self.redis_codes_ca_file.as_deref();
        Ok(RedisSettings { url, url_variable, ca_file, ca_variable: "REDIS_CODES_CA_FILE" })
    }

    /// `REDIS_CACHE_URL` and `REDIS_CACHE_CA_FILE`.
    ///
    /// # Errors
    /// When the URL is not set.
    pub fn redis_cache(&self) -> Result<RedisSettings<'_>, ConfigError> {
        let url_variable = "REDIS_CACHE_URL";
        let url = present(self.redis_cache_url.as_ref(), url_variable, "--redis-cache-url")?;
        let ca_file = self.redis_cache_ca_file.as_deref();
        Ok(RedisSettings { url, url_variable, ca_file, ca_variable: "REDIS_CACHE_CA_FILE" })
    }

    /// `SHORTLINK_CODES_KEY`.
    ///
    /// # Errors
    /// When it is not set.
    pub fn codes_key(&self) -> Result<&SecretString, ConfigError> {
        present(self.codes_key.as_ref(), "SHORTLINK_CODES_KEY", "--codes-key")
    }
}

/// Refuses a URL that can be read in two ways, so that no part of a password is taken for the address and shown: `#`, `/`,
/// `?` and, in one that has more than one, `@` end the part they stand in, unless they are percent-encoded.
///
/// # Errors
/// What has to be encoded; never the value.
pub fn check_unambiguous(setting: &'static str, url: &str) -> Result<(), ConfigError> {
    let Some((_, rest)) = url.split_once("://") else { return Ok(()) };
    let after_authority = rest.find(['/', '?', '#']).map_or("", |end| &rest[end..]);
    if after_authority.contains(['@', '#']) {
        let problem =
            "must have @ : / ? # in the user, the password and the parameters percent-encoded (@ is %40)";
        return Err(ConfigError::new(setting, problem));
    }
    Ok(())
}

/// An empty one counts as none: an empty variable is absent, and so is an empty flag.
fn present<'a>(
    value: Option<&'a SecretString>,
    name: &'static str,
    flag: &str,
) -> Result<&'a SecretString, ConfigError> {
    value.filter(|secret| !secret.expose_secret().is_empty()).ok_or_else(|| ConfigError::missing(name, flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_setting_is_a_missing_one() {
        let empty = SecretString::from("");
        let error = present(Some(&empty), "DATABASE_URL", "--database-url").unwrap_err();
        assert_eq!(error.to_string(), "DATABASE_URL is not set (nor --database-url given)");
    }

    #[test]
    fn a_url_that_can_be_read_in_two_ways_is_refused_and_not_shown() {
        for url in [
            "redis://u:12#rest@host",
            "redis://u:12/rest@host",
            "redis://u:12?rest@host",
            "postgres://host/db?password=some@secret",
            "redis://host#",
        ] {
            let error = check_unambiguous("URL", url).unwrap_err().to_string();
            assert!(error.starts_with("URL must have @ : / ? #") && !error.contains("rest"), "{error}");
        }
        for url in ["redis://u:p%23@host/0?protocol=resp3", "redis://host", "host=db password=a@b", ""] {
            check_unambiguous("URL", url).unwrap();
        }
    }
}
