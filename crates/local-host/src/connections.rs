//! The connections of components: the types behind the resources that `bindings.rs` generates, without the interfaces.

mod pools;
mod tls;

use std::sync::Arc;

use deadpool_postgres::Object;
use redis::aio::MultiplexedConnection;

pub(crate) use self::pools::Pools;
pub(crate) use self::tls::RootCertificates;

/// A connection to Postgres; it goes back to its pool when the component drops it.
pub struct PostgresConnection(pub(crate) Arc<Object>);

/// The address of a Postgres and the certificates that its own must be signed by.
#[derive(Clone)]
pub struct PostgresBuilder {
    pub(crate) address: String,
    pub(crate) root_ca: Option<RootCertificates>,
}

/// A connection to Redis.
pub struct RedisConnection(pub(crate) MultiplexedConnection);
