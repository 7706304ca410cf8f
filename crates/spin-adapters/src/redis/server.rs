//! A Redis server: Spin's, and one for tests.

use spin_sdk::redis::{self, Error, RedisParameter, RedisResult};

/// Where connections come from.
pub trait Server {
    /// A connection, which carries any number of commands at once.
    type Connection: Connection;

    /// Opens a connection to an address of the form `redis://user:password@host:port/database`.
    fn open(&self, url: &str) -> impl Future<Output = Result<Self::Connection, Error>>;
}

/// The commands that are used.
pub trait Connection {
    /// `GET`.
    fn get(&self, key: String) -> impl Future<Output = Result<Option<Vec<u8>>, Error>>;

    /// Any command.
    fn execute(
        &self,
        command: &'static str,
        arguments: Vec<RedisParameter>,
    ) -> impl Future<Output = Result<Vec<RedisResult>, Error>>;
}

/// Redis through Spin.
#[derive(Default)]
pub struct Spin;

impl Server for Spin {
    type Connection = redis::Connection;

    async fn open(&self, url: &str) -> Result<Self::Connection, Error> {
        redis::Connection::open(url).await
    }
}

impl Connection for redis::Connection {
    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        redis::Connection::get(self, key).await
    }

    async fn execute(
        &self,
        command: &'static str,
        arguments: Vec<RedisParameter>,
    ) -> Result<Vec<RedisResult>, Error> {
        redis::Connection::execute(self, command, arguments).await
    }
}
