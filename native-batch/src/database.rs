//! The connection to Postgres, and the advisory locks that keep two batches from doing the same thing at once.

use std::time::Duration;

use anyhow::Result;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{ConfigError, Settings, check_unambiguous};
use crate::report::Report;
use crate::tls;

const SETTING: &str = "DATABASE_URL";
/// The first half of every advisory lock's key, so that they meet nobody else's. The SQL functions use it too.
const LOCK_CLASS: i32 = 7391;
/// How often work is tried that waits for a lock.
const LOCK_ATTEMPTS: u32 = 30;
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// What only one batch does at a time. A lock belongs to the connection, and is released with it however that ends.
#[derive(Clone, Copy, Debug)]
pub enum Lock {
    /// Filling the pool of codes.
    FillCodes = 1,
    /// Running migrations.
    Migrate = 2,
    /// Dropping partitions.
    DropPartitions = 3,
    /// Adding a partition; `create_short_link_partition` takes it itself.
    CreatePartition = 4,
    /// Writing changed links to the redirect cache.
    ApplyChanges = 5,
}

impl Lock {
    /// Waits for the lock, without a statement that waits: an index that is built concurrently waits for each of those.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn acquire(self, client: &Client) -> Result<()> {
        let key: [&(dyn ToSql + Sync); 2] = [&LOCK_CLASS, &(self as i32)];
        while !client.query_one("select pg_try_advisory_lock($1, $2)", &key).await?.get::<_, bool>(0) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Waits for the lock, which is released with the transaction.
    ///
    /// # Errors
    /// When the connection fails, or the wait takes longer than `lock_timeout`.
    pub async fn acquire_in(self, transaction: &Transaction<'_>) -> Result<()> {
        transaction.execute("select pg_advisory_xact_lock($1, $2)", &[&LOCK_CLASS, &(self as i32)]).await?;
        Ok(())
    }

    /// Does the work unless another session holds the lock; then it returns `None`.
    ///
    /// # Errors
    /// Those of the work, or when the connection fails.
    pub async fn unless_held<T>(
        self,
        client: &Client,
        work: impl Future<Output = Result<T>>,
    ) -> Result<Option<T>> {
        let key: [&(dyn ToSql + Sync); 2] = [&LOCK_CLASS, &(self as i32)];
        if !client.query_one("select pg_try_advisory_lock($1, $2)", &key).await?.get::<_, bool>(0) {
            return Ok(None);
        }
        let outcome = work.await;
        // Released at once: Postgres notices the end of a connection a little after the process has ended, and the next
        // batch would find the lock held. An error means that the connection is gone, and the lock with it.
        let _ = client.execute("select pg_advisory_unlock($1, $2)", &key).await;
        outcome.map(Some)
    }
}

/// Connects as the owner of the database.
///
/// # Errors
/// When the setting is bad or Postgres does not take the connection.
pub async fn connect(settings: &Settings) -> Result<Client> {
    let config = parse(settings.database_url()?.expose_secret())?;
    let tls = tls::client_config(settings.database_ca_file(), "DATABASE_CA_FILE")?;
    let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await.map_err(|error| {
        let authorities = settings.database_ca_file();
        let problem = tls::certificate_problem(&error, authorities, "DATABASE_CA_FILE", SETTING);
        let error = problem.map_or_else(|| error.into(), anyhow::Error::msg);
        error.context(format!(
            "cannot connect to Postgres at {} ({SETTING}, {})",
            addresses(&config),
            mode(&config)
        ))
    })?;
    // Its error is not lost: every call on the client fails with it.
    tokio::spawn(connection);
    Ok(client)
}

/// Makes this session's commits survive a crash of Postgres even where the server is set up to risk the last ones.
///
/// # Errors
/// When the connection fails.
pub async fn keep_commits(client: &Client) -> Result<()> {
    client
        .execute(
            "select set_config('synchronous_commit', 'on', false)
             where current_setting('synchronous_commit') = 'off'",
            &[],
        )
        .await?;
    Ok(())
}

/// Tries work again while it fails because of `lock_timeout`. Such waits are short: behind a statement that waits for a lock
/// on a table, everybody else who uses the table waits too.
///
/// # Errors
/// Those of the work.
pub async fn retry_locked<T>(report: &Report, mut work: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    for attempt in 1..LOCK_ATTEMPTS {
        match work().await {
            Err(error) if is_lock_timeout(&error) => {
                if attempt == 1 {
                    let human = format!("another session holds a lock; trying up to {LOCK_ATTEMPTS} times");
                    report.say("locked", &json!({"attempts": LOCK_ATTEMPTS}), &human);
                }
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
    work().await
}

fn is_lock_timeout(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<tokio_postgres::Error>());
    causes.any(|cause| cause.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
}

/// Reads the URL.
///
/// # Errors
/// When it is none, or names no host. The message never holds the password.
pub fn parse(url: &str) -> Result<Config, ConfigError> {
    check_unambiguous(SETTING, url)?;
    let mut config: Config = url.parse().map_err(|error| {
        let cause =
            std::error::Error::source(&error).map(ToString::to_string).filter(|cause| is_showable(cause));
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        ConfigError::new(SETTING, format!("is no Postgres URL{cause}"))
    })?;
    if config.get_hosts().is_empty() {
        return Err(ConfigError::new(SETTING, "names no host"));
    }
    if !config.get_hosts().iter().all(is_host) {
        return Err(ConfigError::new(
            SETTING,
            "names a host that none can be (in a password, @ must be written as %40)",
        ));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_application_name().is_none() {
        config.application_name("shortlink-batch");
    }
    config.keepalives_idle(Duration::from_secs(30));
    config.tcp_user_timeout(Duration::from_mins(1));
    Ok(config)
}

/// Whether it can be shown as a host: where a password is not encoded as it has to be, its end is taken for one.
fn is_host(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte)),
        Host::Unix(_) => true,
    }
}

/// Whether a cause tells nothing of the value. What it quotes may be a part of the password, where that is not encoded as
/// it has to be; only after these words it is the name of an option that tokio-postgres knows, and not the user's text.
fn is_showable(cause: &str) -> bool {
    cause.starts_with("invalid value for option `") || !cause.contains('`')
}

/// For the message: a certificate that does not verify is a question of this setting too.
fn mode(config: &Config) -> &'static str {
    match config.get_ssl_mode() {
        SslMode::Disable => "sslmode=disable",
        SslMode::Prefer => "sslmode=prefer",
        _ => "sslmode=require",
    }
}

/// Where it connects to, for messages.
pub fn addresses(config: &Config) -> String {
    let port =
        |index: usize| config.get_ports().get(index).or(config.get_ports().first()).copied().unwrap_or(5432);
    let show = |(index, host): (usize, &Host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(index)),
        Host::Unix(path) => path.display().to_string(),
    };
    config.get_hosts().iter().enumerate().map(show).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_refused_by_name_and_not_shown() {
        for url in
            ["postgres://me:hunter2@host:port/db", "mysql://me:hunter2@host", "postgres://me:hunter2@/db"]
        {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.starts_with("DATABASE_URL ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_unless_that_could_be_part_of_the_password() {
        let error = |url| parse(url).unwrap_err().to_string();
        assert_eq!(
            error("postgres://me:hunter2@host:port/db"),
            "DATABASE_URL is no Postgres URL: invalid value for option `port`"
        );
        assert_eq!(error("host=db password=not quoted=hunter2"), "DATABASE_URL is no Postgres URL");
        assert_eq!(error("host=db user=me hunter2"), "DATABASE_URL is no Postgres URL: unexpected EOF");
        // The name of an option at the beginning of what is quoted does not make the rest showable.
        assert_eq!(error("host=db hostaddr`hunter2=1"), "DATABASE_URL is no Postgres URL");
    }

    #[test]
    fn the_end_of_a_password_is_never_taken_for_the_host() {
        for url in [
            "postgres://u:Sup3r@hunter2@host/db",
            "postgres://host/db?password=Sup3r@hunter2",
            "postgres://u:Sup3r#hunter2@host/db",
            "postgres://u:5432/hunter2@host/db",
            "postgres://u:5432?hunter2@host/db",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains("%40") && !error.contains("hunter2"), "{url}: {error}");
        }
        for url in ["postgres://u:Sup3r%40tail@host/db", "postgres://u@[::1]:5432/db", "host=/run/postgresql"]
        {
            parse(url).unwrap();
        }
    }

    #[test]
    fn every_address_is_named() {
        let config = parse("postgres://me@one:1,two:2/db").unwrap();
        assert_eq!(addresses(&config), "one:1, two:2");
        assert_eq!(addresses(&parse("postgres://me@one/db").unwrap()), "one:5432");
    }
}
