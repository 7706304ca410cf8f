//! The settings: each is read once, from a flag or the environment, and refused by name when it is no good.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use thiserror::Error;

/// A setting that is missing or wrong: the operator has to change it, trying again does not help.
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

/// A text that is never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where the database and the pool are, and the key of the codes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Postgres, as the owner of the database: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=disable|prefer|require.
    /// prefer, the default, uses TLS where the server offers it; wherever TLS is used the certificate is verified
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    database_url: Option<Secret>,
    /// Certificate authorities (PEM) for Postgres, instead of the system's
    #[arg(long, env = "DATABASE_CA_FILE", value_name = "FILE", global = true)]
    database_ca_file: Option<PathBuf>,
    /// The Redis of the pool: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS
    #[arg(long, env = "REDIS_CODES_URL", hide_env_values = true, value_name = "URL", global = true)]
    redis_codes_url: Option<Secret>,
    /// Certificate authorities (PEM) for Redis, instead of the system's
    #[arg(long, env = "REDIS_CODES_CA_FILE", value_name = "FILE", global = true)]
    redis_codes_ca_file: Option<PathBuf>,
    /// The key that turns numbers into codes: 64 hexadecimal digits (`openssl rand -hex 32`). Changed only by
    /// `codes rotate-key`
    #[arg(long, env = "SHORTLINK_CODES_KEY", hide_env_values = true, value_name = "HEX", global = true)]
    codes_key: Option<Secret>,
}

impl Settings {
    /// `DATABASE_URL`.
    ///
    /// # Errors
    /// When it is not set.
    pub fn database_url(&self) -> Result<&Secret, ConfigError> {
        present(self.database_url.as_ref(), "DATABASE_URL", "--database-url")
    }

    /// `DATABASE_CA_FILE`.
    pub fn database_ca_file(&self) -> Option<&Path> {
        self.database_ca_file.as_deref()
    }

    /// `REDIS_CODES_URL`.
    ///
    /// # Errors
    /// When it is not set.
    pub fn redis_codes_url(&self) -> Result<&Secret, ConfigError> {
        present(self.redis_codes_url.as_ref(), "REDIS_CODES_URL", "--redis-codes-url")
    }

    /// `REDIS_CODES_CA_FILE`.
    pub fn redis_codes_ca_file(&self) -> Option<&Path> {
        self.redis_codes_ca_file.as_deref()
    }

    /// `SHORTLINK_CODES_KEY`.
    ///
    /// # Errors
    /// When it is not set.
    pub fn codes_key(&self) -> Result<&Secret, ConfigError> {
        present(self.codes_key.as_ref(), "SHORTLINK_CODES_KEY", "--codes-key")
    }
}

/// An empty variable, as manifests like to leave behind, counts as none.
fn present<'a>(value: Option<&'a Secret>, name: &'static str, flag: &str) -> Result<&'a Secret, ConfigError> {
    value.filter(|secret| !secret.expose().is_empty()).ok_or_else(|| ConfigError::missing(name, flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret: Secret = "hunter2".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "[secret]");
    }

    #[test]
    fn an_empty_setting_is_a_missing_one() {
        let empty: Secret = "".parse().unwrap();
        let error = present(Some(&empty), "DATABASE_URL", "--database-url").unwrap_err();
        assert_eq!(error.to_string(), "DATABASE_URL is not set (nor --database-url given)");
    }
}
