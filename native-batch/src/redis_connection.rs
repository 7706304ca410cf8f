//! The connection to a Redis: that of the pool, or that of the redirect cache.

use std::time::Duration;

use anyhow::{Result, anyhow};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, TlsCertificates};
use secrecy::ExposeSecret;

use crate::config::{ConfigError, RedisSettings, check_unambiguous};
use crate::tls;

/// Connects.
///
/// # Errors
/// When a setting is bad or Redis does not take the connection.
pub async fn connect(settings: &RedisSettings<'_>) -> Result<MultiplexedConnection> {
    let read = |file| tls::read_pem(file, settings.ca_variable);
    let root_cert = settings.ca_file.map(read).transpose()?;
    let client = client(settings.url_variable, settings.url.expose_secret(), root_cert)?;
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(5)))
        .set_response_timeout(Some(Duration::from_secs(30)));
    let connection = client.get_multiplexed_async_connection_with_config(&limits).await;
    let address = client.get_connection_info().addr();
    connection.map_err(|error| {
        let (variable, authorities) = (settings.url_variable, settings.ca_file);
        let problem = tls::certificate_problem(&error, authorities, settings.ca_variable, variable);
        let problem = problem.unwrap_or_else(|| error.to_string());
        anyhow!("cannot connect to Redis at {address} ({variable}): {problem}")
    })
}

/// Reads the URL in `variable`; with `root_cert` it must be one for TLS.
///
/// # Errors
/// When it is none. The message never holds the password.
pub fn client(variable: &'static str, url: &str, root_cert: Option<Vec<u8>>) -> Result<Client, ConfigError> {
    check_unambiguous(variable, url)?;
    let client = match root_cert {
        None => Client::open(url),
        root_cert => Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert }),
    };
    client.map_err(|error| {
        // What follows repeats the value, or a part of it.
        let text = error.to_string();
        let cause = text.split(" - ").next().unwrap_or_default();
        ConfigError::new(variable, format!("is no Redis URL: {cause}"))
    })
}

/// The error of a command, after `subject`. Says what to do where that is known; `hint` knows more of the command, by the
/// code of what Redis replied. The error's text goes in whole, not as a cause: it repeats its own causes.
pub fn explain(error: RedisError, subject: &str, hint: impl FnOnce(&str) -> Option<String>) -> anyhow::Error {
    let text = error.to_string();
    // What Redis replied; a pipeline's error is a list of replies, of which the first says enough.
    let replies = error.into_server_errors();
    let Some(reply) = replies.as_deref().and_then(|replies| Some(&replies.first()?.1)) else {
        return anyhow!("{subject} failed: {text}");
    };
    let hint = hint(reply.code()).unwrap_or_else(|| match reply.code() {
        "READONLY" => "it is a read-only replica: name the primary".to_owned(),
        "MISCONF" => "it cannot save to its disk, and refuses writes until it can".to_owned(),
        code => format!("{code} {}", reply.details().unwrap_or_default()),
    });
    anyhow!("{subject}: {}", hint.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_refused_by_name_and_not_shown() {
        for (url, problem) in [
            ("redis://me:hunter2@host/0?protocol=hunter2", "Invalid protocol version"),
            ("redis://me:hunter2@host:port/0", "Redis URL did not parse"),
            ("redis://me:hunter2@host/hunter2", "Invalid database number"),
        ] {
            let error = client("REDIS_CODES_URL", url, None).map(|_| ()).unwrap_err().to_string();
            assert_eq!(error, format!("REDIS_CODES_URL is no Redis URL: {problem}"));
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_never_taken_for_the_address() {
        for url in ["redis://u:12#hunter2@host", "redis://u:12/hunter2@host", "redis://u:12?hunter2@host"] {
            let error = client("REDIS_CACHE_URL", url, None).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with("REDIS_CACHE_URL must have @") && !error.contains("12"), "{error}");
        }
    }
}
