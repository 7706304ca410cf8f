//! What the fuzz targets in `fuzz/` call and no command does.

pub use crate::codes::{CodeCipher, redis_client};
pub use crate::config::ConfigError;
pub use crate::database::{addresses, parse as database_config};
pub use crate::metrics::last_success;
pub use crate::partitions::Month;
pub use secrecy::{ExposeSecret, SecretString};
