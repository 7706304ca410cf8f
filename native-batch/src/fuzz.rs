//! What the fuzz targets in `fuzz/` call and no command does.

pub use crate::codes::CodeCipher;
pub use crate::config::ConfigError;
pub use crate::database::{addresses, parse as database_config};
pub use crate::metrics::last_success;
pub use crate::partitions::Month;
pub use secrecy::{ExposeSecret, SecretString};

/// Reads the URL of a Redis.
///
/// # Errors
/// When it is none.
pub fn redis_client(url: &str, root_cert: Option<Vec<u8>>) -> Result<redis::Client, ConfigError> {
    crate::redis_connection::client("REDIS_CODES_URL", url, root_cert)
}
