//! `spin:postgres`: connections from a pool, statements on them.

mod address;
mod client;
mod error;
mod parameter;
mod stream;
mod value;

use std::sync::Arc;

use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use self::client::Client;
use self::error::connection_failed;
use crate::bindings::postgres::{
    Column, Error, Host, HostConnection, HostConnectionBuilder, HostConnectionBuilderWithStore,
    HostConnectionWithStore, ParameterValue, Row, RowSet,
};
use crate::connections::{PostgresBuilder, PostgresConnection, RootCertificates};
use crate::state::{ComponentContext, HostData, InstanceState};

async fn connect(builder: PostgresBuilder, context: &ComponentContext) -> Result<PostgresConnection, Error> {
    let config = address::permitted(&context.allowed_hosts, &builder.address)?;
    let connection = context.postgres.get(builder.address, config, builder.root_ca).await;
    Ok(PostgresConnection(Arc::new(connection.map_err(connection_failed)?)))
}

impl Host for InstanceState {}

impl InstanceState {
    fn add(&mut self, connection: PostgresConnection) -> Result<Resource<PostgresConnection>, Error> {
        self.table.push(connection).map_err(|_| Error::ConnectionFailed("too many connections".to_owned()))
    }

    fn client(&self, connection: &Resource<PostgresConnection>) -> Result<Client, Error> {
        self.table.get(connection).map(|connection| Client::new(connection.0.clone())).map_err(other)
    }

    fn builder(&self, builder: &Resource<PostgresBuilder>) -> Result<PostgresBuilder, Error> {
        self.table.get(builder).cloned().map_err(other)
    }
}

impl HostConnectionBuilder for InstanceState {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<PostgresBuilder>> {
        Ok(self.table.push(PostgresBuilder { address, root_ca: None })?)
    }

    async fn set_ca_root(
        &mut self,
        builder: Resource<PostgresBuilder>,
        certificate: String,
    ) -> Result<(), Error> {
        let root_ca = RootCertificates::from_pem(certificate).map_err(Error::Other)?;
        self.table.get_mut(&builder).map_err(other)?.root_ca = Some(root_ca);
        Ok(())
    }

    async fn build(
        &mut self,
        builder: Resource<PostgresBuilder>,
    ) -> Result<Resource<PostgresConnection>, Error> {
        let connection = connect(self.builder(&builder)?, &self.context).await?;
        self.add(connection)
    }

    async fn drop(&mut self, builder: Resource<PostgresBuilder>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionBuilderWithStore<T> for HostData {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        builder: Resource<PostgresBuilder>,
    ) -> Result<Resource<PostgresConnection>, Error> {
        let builder = accessor.with(|mut access| access.get().builder(&builder))?;
        open(accessor, builder).await
    }
}

impl HostConnection for InstanceState {
    async fn open(&mut self, address: String) -> Result<Resource<PostgresConnection>, Error> {
        let connection = connect(PostgresBuilder { address, root_ca: None }, &self.context).await?;
        self.add(connection)
    }

    async fn query(
        &mut self,
        connection: Resource<PostgresConnection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        self.client(&connection)?.query(&statement, parameters).await
    }

    async fn execute(
        &mut self,
        connection: Resource<PostgresConnection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        self.client(&connection)?.execute(&statement, parameters).await
    }

    async fn drop(&mut self, connection: Resource<PostgresConnection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionWithStore<T> for HostData {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> Result<Resource<PostgresConnection>, Error> {
        open(accessor, PostgresBuilder { address, root_ca: None }).await
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<PostgresConnection>,
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
        connection: Resource<PostgresConnection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let client = accessor.with(|mut access| access.get().client(&connection))?;
        client.execute(&statement, parameters).await
    }
}

async fn open<T: Send>(
    accessor: &Accessor<T, HostData>,
    builder: PostgresBuilder,
) -> Result<Resource<PostgresConnection>, Error> {
    let context = accessor.with(|mut access| access.get().context.clone());
    let connection = connect(builder, &context).await?;
    accessor.with(|mut access| access.get().add(connection))
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}
