//! Statements on one connection. Each is prepared again, as in Spin.

use std::sync::Arc;

use deadpool_postgres::Object;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio_postgres::RowStream;

use super::error::{query_failed, too_large};
use super::parameter::{self, Parameters};
use super::stream::{Streamed, stream};
use super::value;
use crate::bindings::postgres::{Error, ParameterValue, Row, RowSet};

/// What a result may take in this host's memory, as in Spin.
const MAX_RESULT_BYTES: usize = 128 << 20;

/// A connection from a pool.
pub(super) struct Client(Arc<Object>);

impl Client {
    pub(super) fn new(connection: Arc<Object>) -> Self {
        Self(connection)
    }

    pub(super) async fn execute(
        &self,
        statement: &str,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let parameters = parameter::to_sql(parameters)?;
        self.0.execute_raw(statement, parameters).await.map_err(query_failed)
    }

    pub(super) async fn query(
        &self,
        statement: &str,
        parameters: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let mut rows = std::pin::pin!(self.start(statement, parameter::to_sql(parameters)?).await?);
        let mut set = RowSet { columns: Vec::new(), rows: Vec::new() };
        let mut size = 0;
        while let Some(row) = rows.try_next().await.map_err(query_failed)? {
            if set.rows.is_empty() {
                set.columns = value::columns(&row);
            }
            size += row.raw_size_bytes();
            if size > MAX_RESULT_BYTES {
                return Err(too_large(MAX_RESULT_BYTES));
            }
            set.rows.push(value::row(&row)?);
        }
        Ok(set)
    }

    /// Returns with the columns once the first row is there, or once it is known that there is none.
    pub(super) async fn stream(
        &self,
        statement: &str,
        parameters: Vec<ParameterValue>,
    ) -> Result<Streamed<impl Future<Output = wasmtime::Result<Result<(), Error>>> + use<>>, Error> {
        // tokio-postgres reports a lost connection to a reader that polls after the end; a fused stream is not polled then.
        let mut rows = Box::pin(self.start(statement, parameter::to_sql(parameters)?).await?).fuse();
        let first = rows.next().await;
        let columns = match &first {
            Some(Ok(row)) => value::columns(row),
            _ => Vec::new(),
        };
        let rows = futures::stream::iter(first).chain(rows);
        Ok(stream(columns, converted(rows)))
    }

    async fn start(&self, statement: &str, parameters: Parameters) -> Result<RowStream, Error> {
        self.0.query_raw(statement, parameters).await.map_err(query_failed)
    }
}

fn converted(
    rows: impl Stream<Item = Result<tokio_postgres::Row, tokio_postgres::Error>>,
) -> impl Stream<Item = Result<Row, Error>> {
    rows.map(|row| {
        let row = row.map_err(query_failed)?;
        if row.raw_size_bytes() > MAX_RESULT_BYTES {
            return Err(too_large(MAX_RESULT_BYTES));
        }
        value::row(&row)
    })
}
