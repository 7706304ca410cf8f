//! A connection or a statement that failed, as the component sees it.

use tokio_postgres::error::{DbError, Error as ClientError};

use crate::bindings::postgres::{DbError as Report, Error, QueryError};

/// Spin's text: the debug form of the chain of causes, with a stack backtrace where `RUST_BACKTRACE` asks for one.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn connection_failed(error: anyhow::Error) -> Error {
    Error::ConnectionFailed(format!("{error:?}"))
}

/// The server's report with its SQLSTATE, if there is one; otherwise the error as text.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn query_failed(error: ClientError) -> Error {
    let as_text = format!("{error:?}");
    Error::QueryFailed(match error.as_db_error() {
        Some(report) => QueryError::DbError(Report {
            as_text,
            severity: report.severity().to_owned(),
            code: report.code().code().to_owned(),
            message: report.message().to_owned(),
            detail: report.detail().map(str::to_owned),
            extras: extras(report),
        }),
        None => QueryError::Text(as_text),
    })
}

/// A statement that gave more than this host buffers.
pub(super) fn too_large(limit: usize) -> Error {
    Error::QueryFailed(QueryError::Text(format!("query result exceeds limit of {limit} bytes")))
}

fn extras(report: &DbError) -> Vec<(String, String)> {
    let line = report.line().map(|line| line.to_string());
    [
        ("column", report.column()),
        ("constraint", report.constraint()),
        ("routine", report.routine()),
        ("hint", report.hint()),
        ("table", report.table()),
        ("datatype", report.datatype()),
        ("schema", report.schema()),
        ("file", report.file()),
        ("line", line.as_deref()),
        ("where_", report.where_()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
    .collect()
}
