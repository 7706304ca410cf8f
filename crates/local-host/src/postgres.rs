//! `spin:postgres`: connections from a pool, statements on them.

mod address;
mod client;
mod error;
mod parameter;
mod pool;
mod stream;
mod tls;
mod value;

use std::sync::Arc;

use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use self::client::Client;
pub(crate) use self::pool::Pools;
use self::tls::RootCertificates;
use crate::bindings::postgres::{
    Column, Error, Host, HostConnection, HostConnectionBuilder, HostConnectionBuilderWithStore,
    HostConnectionWithStore, ParameterValue, Row, RowSet,
};
use crate::state::{ComponentContext, HostData, InstanceState};

/// A component's connection; it goes back to the pool when the component drops it.
pub struct Connection(Arc<Client>);

/// An address and how to trust the server there.
#[derive(Clone)]
pub struct ConnectionBuilder {
    address: String,
    root_ca: Option<RootCertificates>,
}

impl From<String> for ConnectionBuilder {
    fn from(address: String) -> Self {
        Self { address, root_ca: None }
    }
}

impl ConnectionBuilder {
    async fn connect(self, context: &ComponentContext) -> Result<Connection, Error> {
        let config = address::permitted(&context.allowed_hosts, &self.address)?;
        let client = context.postgres.get(self.address, config, self.root_ca).await?;
        Ok(Connection(Arc::new(client)))
    }
}

impl Host for InstanceState {}

impl InstanceState {
    fn add(&mut self, connection: Connection) -> Result<Resource<Connection>, Error> {
        self.table.push(connection).map_err(|_| Error::ConnectionFailed("too many connections".to_owned()))
    }

    fn client(&self, connection: &Resource<Connection>) -> Result<Arc<Client>, Error> {
        self.table.get(connection).map(|connection| connection.0.clone()).map_err(other)
    }

    fn builder(&self, builder: &Resource<ConnectionBuilder>) -> Result<ConnectionBuilder, Error> {
        self.table.get(builder).cloned().map_err(other)
    }
}

impl HostConnectionBuilder for InstanceState {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        Ok(self.table.push(address.into())?)
    }

    async fn set_ca_root(
        &mut self,
        builder: Resource<ConnectionBuilder>,
        certificate: String,
    ) -> Result<(), Error> {
        let root_ca = RootCertificates::from_pem(certificate).map_err(Error::Other)?;
        self.table.get_mut(&builder).map_err(other)?.root_ca = Some(root_ca);
        Ok(())
    }

    async fn build(&mut self, builder: Resource<ConnectionBuilder>) -> Result<Resource<Connection>, Error> {
        let connection = self.builder(&builder)?.connect(&self.context).await?;
        self.add(connection)
    }

    async fn drop(&mut self, builder: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionBuilderWithStore<T> for HostData {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        builder: Resource<ConnectionBuilder>,
    ) -> Result<Resource<Connection>, Error> {
        let builder = accessor.with(|mut access| access.get().builder(&builder))?;
        open(accessor, builder).await
    }
}

impl HostConnection for InstanceState {
    async fn open(&mut self, address: String) -> Result<Resource<Connection>, Error> {
        let connection = ConnectionBuilder::from(address).connect(&self.context).await?;
        self.add(connection)
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        self.client(&connection)?.query(&statement, parameters).await
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        self.client(&connection)?.execute(&statement, parameters).await
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionWithStore<T> for HostData {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> Result<Resource<Connection>, Error> {
        open(accessor, address.into()).await
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<(Vec<Column>, StreamReader<Row>, FutureReader<Result<(), Error>>), Error> {
        let client = accessor.with(|mut access| access.get().client(&connection))?;
        let stream::Streamed { columns, rows, outcome } = client.stream(&statement, parameters).await?;
        accessor.with(|mut access| {
            let rows = StreamReader::new(&mut access, rows).map_err(other)?;
            let outcome = FutureReader::new(&mut access, outcome).map_err(other)?;
            Ok((columns, rows, outcome))
        })
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let client = accessor.with(|mut access| access.get().client(&connection))?;
        client.execute(&statement, parameters).await
    }
}

async fn open<T: Send>(
    accessor: &Accessor<T, HostData>,
    builder: ConnectionBuilder,
) -> Result<Resource<Connection>, Error> {
    let context = accessor.with(|mut access| access.get().context.clone());
    let connection = builder.connect(&context).await?;
    accessor.with(|mut access| access.get().add(connection))
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}
