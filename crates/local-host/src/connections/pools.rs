//! The pools a component's connections come from: one for each address and certificate authority.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use super::tls::{self, RootCertificates};

/// Connections to one address, as in Spin. When all are in use, the next request waits.
const CONNECTIONS_PER_POOL: usize = 64;
/// Addresses to keep a pool for, as in Spin.
const POOLS: usize = 16;

type Key = (String, Option<RootCertificates>);

/// The pools of one component.
#[derive(Default)]
pub(crate) struct Pools(Mutex<HashMap<Key, Pool>>);

impl Pools {
    /// A connection to `address`, whose parsed form is `config`.
    pub(crate) async fn get(
        &self,
        address: String,
        config: Config,
        root_ca: Option<RootCertificates>,
    ) -> anyhow::Result<Object> {
        let pool =
            self.pool((address, root_ca), config).context("establishing PostgreSQL connection pool")?;
        Ok(pool.get().await?)
    }

    fn pool(&self, key: Key, config: Config) -> anyhow::Result<Pool> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&key) {
            return Ok(pool.clone());
        }
        let pool = build(config, key.1.as_ref())?;
        if pools.len() >= POOLS
            && let Some(other) = pools.keys().next().cloned()
        {
            pools.remove(&other);
        }
        pools.insert(key, pool.clone());
        Ok(pool)
    }
}

fn build(config: Config, root_ca: Option<&RootCertificates>) -> anyhow::Result<Pool> {
    // Not a full reset: what a component leaves in a transaction, the next one finds there. Spin does the same.
    let options = ManagerConfig { recycling_method: RecyclingMethod::Clean };
    let manager = if config.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(config, NoTls, options)
    } else {
        Manager::from_config(config, tls::connector(root_ca).map_err(anyhow::Error::msg)?, options)
    };
    Ok(Pool::builder(manager).max_size(CONNECTIONS_PER_POOL).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_connection_reads_as_in_spin() {
        // Nothing listens on port 1.
        let address = "host=127.0.0.1 port=1 user=u sslmode=disable";
        let config = address.parse().unwrap();
        let Err(error) = Pools::default().get(address.into(), config, None).await else {
            panic!("it was not refused")
        };
        let text = format!("{error:?}");
        let first = "Error occurred while creating a new object: error connecting to server";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("\n\nCaused by:\n"), "{text}");
        let wanted = std::env::var("RUST_BACKTRACE").is_ok_and(|value| value != "0");
        assert_eq!(text.contains("Stack backtrace:"), wanted, "{text}");
    }
}
