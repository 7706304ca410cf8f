//! `spin:redis`: one TCP connection for each `open`, no timeouts, as with Spin.

mod value;

use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, RedisError,
};
use redis::{IntoConnectionInfo, cmd};
use wasmtime::component::{Accessor, Resource};

use crate::allowed_hosts::AllowedHosts;
use crate::bindings::redis::{
    Error, Host, HostConnection, HostConnectionWithStore, Payload, RedisParameter, RedisResult,
};
use crate::connections::RedisConnection;
use crate::state::{HostData, InstanceState};

impl Host for InstanceState {}

impl HostConnection for InstanceState {
    async fn drop(&mut self, connection: Resource<RedisConnection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionWithStore<T> for HostData {
    async fn open(accessor: &Accessor<T, Self>, address: String) -> Result<Resource<RedisConnection>, Error> {
        let context = accessor.with(|mut access| access.get().context.clone());
        let info = permitted(&context.allowed_hosts, &address)?;
        // The client's own timeouts would hide that a component needs some of its own: Spin has none.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = Client::open(info)
            .map_err(|_| Error::InvalidAddress)?
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(other)?;
        accessor
            .with(|mut access| access.get().table.push(RedisConnection(connection)))
            .map_err(|_| Error::TooManyConnections)
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        connection: Resource<RedisConnection>,
        channel: String,
        payload: Payload,
    ) -> Result<(), Error> {
        run(accessor, &connection, cmd("PUBLISH").arg(channel).arg(payload)).await
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        connection: Resource<RedisConnection>,
        key: String,
    ) -> Result<Option<Payload>, Error> {
        run(accessor, &connection, cmd("GET").arg(key)).await
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        connection: Resource<RedisConnection>,
        key: String,
        value: Payload,
    ) -> Result<(), Error> {
        run(accessor, &connection, cmd("SET").arg(key).arg(value)).await
    }

    async fn incr(
        accessor: &Accessor<T, Self>,
        connection: Resource<RedisConnection>,
        key: String,
    ) -> Result<i64, Error> {
        run(accessor, &connection, cmd("INCRBY").arg(key).arg(1)).await
    }

    async fn del(
        accessor: &Accessor<T, Self>,
        connection: Resource<RedisConnection>,
        keys: Vec<String>,
    ) -> Result<u32, Error> {
        run(accessor, &connection, cmd("DEL").arg(keys)).await
    }

    async fn sadd(
        accessor: &Accessor<T, Self>,
        connection: Resource<RedisConnection>,
        key: String,
        values: Vec<String>,
    ) -> Result<u32, Error> {
        run(accessor, &connection, cmd("SADD").arg(key).arg(values)).await
    }

    async fn smembers(
        accessor: &Accessor<T, Self>,
        connection: Resource<RedisConnection>,
        key: String,
    ) -> Result<Vec<String>, Error> {
        run(accessor, &connection, cmd("SMEMBERS").arg(key)).await
    }

    async fn srem(
        accessor: &Accessor<T, Self>,
        connection: Resource<RedisConnection>,
        key: String,
        values: Vec<String>,
    ) -> Result<u32, Error> {
        run(accessor, &connection, cmd("SREM").arg(key).arg(values)).await
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        connection: Resource<RedisConnection>,
        command: String,
        arguments: Vec<RedisParameter>,
    ) -> Result<Vec<RedisResult>, Error> {
        let mut command = cmd(&command);
        for argument in arguments {
            match argument {
                RedisParameter::Int64(number) => command.arg(number),
                RedisParameter::Binary(bytes) => command.arg(bytes),
            };
        }
        value::flatten(run(accessor, &connection, &command).await?).map_err(Error::Other)
    }
}

async fn run<T: Send, V: FromRedisValue>(
    accessor: &Accessor<T, HostData>,
    connection: &Resource<RedisConnection>,
    command: &Cmd,
) -> Result<V, Error> {
    let mut connection = accessor
        .with(|mut access| access.get().table.get(connection).map(|connection| connection.0.clone()))
        .map_err(|error| Error::Other(error.to_string()))?;
    command.query_async(&mut connection).await.map_err(|error| match error.kind() {
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => Error::TypeError,
        _ => other(error),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn other(error: RedisError) -> Error {
    Error::Other(error.to_string())
}

/// The server that `address` means, if the component may reach it.
///
/// The check is done twice: on the address as Spin reads it, and on the host that the client will connect to. The two
/// can differ where a host and an `@` are hidden in a query or a fragment.
fn permitted(allowed: &AllowedHosts, address: &str) -> Result<ConnectionInfo, Error> {
    if !allowed.allows_url(address, "redis") {
        return Err(Error::InvalidAddress);
    }
    let info = address.into_connection_info().map_err(|_| Error::InvalidAddress)?;
    let (host, port) = match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, insecure: false, .. } => {
            (host, *port)
        }
        _ => return Err(Error::InvalidAddress),
    };
    let scheme = address.split_once("://").map_or("redis", |(scheme, _)| scheme);
    if !allowed.allows_host(scheme, host, Some(port)) {
        return Err(Error::InvalidAddress);
    }
    Ok(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::variables::{AppVariables, VariableSources};

    fn is_permitted(address: &str) -> bool {
        let variables = AppVariables::resolve(&BTreeMap::new(), &VariableSources::default()).unwrap();
        let entries = ["redis://cache:6379", "rediss://cache:6379"].map(str::to_owned);
        permitted(&AllowedHosts::parse("web", &entries, &variables).unwrap(), address).is_ok()
    }

    #[test]
    fn only_allowed_servers_are_permitted() {
        for (address, expected) in [
            ("redis://cache", true),
            ("redis://user:p%40ss@cache:6379/1", true),
            ("rediss://cache:6379", true),
            ("rediss://cache:6379/#insecure", false),
            ("redis://cache:6380", false),
            ("redis://other", false),
            ("redis://other:6379?x@cache:6379", false),
            ("redis://other:6379#@cache:6379", false),
            ("unix:///tmp/redis.sock", false),
            ("redis+unix:///tmp/redis.sock", false),
            ("", false),
        ] {
            assert_eq!(is_permitted(address), expected, "{address}");
        }
    }
}
