//! How to reach Postgres.

use secrecy::{ExposeSecret, SecretString};
use shortlink_guest::settings::{SettingError, Variables, number, required, text};

use crate::{
    host_name::{host, unbracketed},
    redact::redact,
};

/// How to reach Postgres.
#[derive(Debug)]
pub struct PostgresSettings {
    connection_string: SecretString,
    hidden: Vec<SecretString>,
}

impl PostgresSettings {
    /// Reads `postgres_host`, `_port`, `_user`, `_password`, `_database` and `_sslmode` (`disable`, `prefer` or `require`).
    ///
    /// # Errors
    /// [`SettingError`]
    pub async fn read(variables: &impl Variables) -> Result<Self, SettingError> {
        let sslmode = text(variables, "postgres_sslmode").await?;
        if !matches!(sslmode.as_str(), "disable" | "prefer" | "require") {
            return Err(SettingError::unusable("postgres_sslmode", "must be disable, prefer or require"));
        }
        let host = host(variables, "postgres_host").await?;
        if host.contains(',') {
            return Err(SettingError::unusable("postgres_host", "must be one host"));
        }
        // The host checks `host` as the text of a URL, and the client connects to `hostaddr` where there is one.
        let hostaddr = unbracketed(&host).map(|ip| format!(" hostaddr={}", quoted(ip))).unwrap_or_default();
        let port = number(variables, "postgres_port", 1..=u16::MAX).await?;
        let user = required(variables, "postgres_user").await?;
        let database = required(variables, "postgres_database").await?;
        let password = text(variables, "postgres_password").await?;
        let connection_string = format!(
            "host={}{hostaddr} port={port} user={} password={} dbname={} sslmode={sslmode} application_name=short-link",
            quoted(&host),
            quoted(&user),
            quoted(&password),
            quoted(&database),
        );
        let hidden = [host, user, password, database].map(SecretString::from).into();
        Ok(Self { connection_string: connection_string.into(), hidden })
    }

    /// The address for Spin's Postgres.
    #[must_use]
    pub fn connection_string(&self) -> &str {
        self.connection_string.expose_secret()
    }

    /// An error text without host, user, password and database.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        redact(text, &self.hidden)
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self { connection_string: "host=db.example".into(), hidden: Vec::new() }
    }
}

/// A value of a `key=value` connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::settings_fake::Map;

    fn read(changes: &[(&'static str, &'static str)]) -> Result<PostgresSettings, SettingError> {
        block_on(PostgresSettings::read(&Map::with(changes)))
    }

    #[test]
    fn passwords_are_quoted() {
        assert!(read(&[]).unwrap().connection_string().contains(r"password='it\'s \\ secret' "));
    }

    #[test]
    fn an_ipv6_address_is_also_the_address_to_connect_to() {
        let settings = read(&[("postgres_host", "[::1]")]).unwrap();
        assert!(settings.connection_string().starts_with("host='[::1]' hostaddr='::1' "));
        assert!(!read(&[]).unwrap().connection_string().contains("hostaddr"));
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_its_variable() {
        for (name, value) in [
            ("postgres_port", "0"),
            ("postgres_port", "70000"),
            ("postgres_host", ""),
            ("postgres_host", "::1"),
            ("postgres_host", "one.example,two.example"),
            ("postgres_user", ""),
            ("postgres_sslmode", "verify-full"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("variable `{name}` ")), "{error}");
        }
    }
}
