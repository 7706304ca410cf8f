//! Rows for a component, some of them read ahead.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult};

use crate::bindings::postgres::{Column, Error, Row};

/// Rows that wait for the component, as in Spin.
const ROWS_AHEAD: usize = 4;

/// The result of a streaming query.
pub(super) struct Streamed<F> {
    pub(super) columns: Vec<Column>,
    pub(super) rows: RowProducer,
    /// Ready once the rows have ended, with or without an error, or the component has dropped the stream.
    pub(super) outcome: F,
}

/// Reads `rows` in a task of its own: the outcome must come even to a component that does not read the rows.
pub(super) fn stream(
    columns: Vec<Column>,
    rows: impl Stream<Item = Result<Row, Error>> + Send + 'static,
) -> Streamed<impl Future<Output = wasmtime::Result<Result<(), Error>>>> {
    let (row_sender, row_receiver) = mpsc::channel(ROWS_AHEAD);
    let (outcome_sender, outcome_receiver) = oneshot::channel();
    tokio::spawn(async move {
        let outcome = forward(rows, row_sender).await;
        // The component may have dropped the future.
        let _ = outcome_sender.send(outcome);
    });
    Streamed { columns, rows: RowProducer(row_receiver), outcome: async move { Ok(outcome_receiver.await?) } }
}

async fn forward(
    rows: impl Stream<Item = Result<Row, Error>>,
    sender: mpsc::Sender<Row>,
) -> Result<(), Error> {
    let mut rows = pin!(rows);
    loop {
        let next = tokio::select! {
            biased;
            () = sender.closed() => return Ok(()),
            next = rows.next() => next,
        };
        match next {
            Some(row) => {
                if sender.send(row?).await.is_err() {
                    return Ok(());
                }
            }
            None => return Ok(()),
        }
    }
}

/// Hands rows to the component as it reads.
pub(super) struct RowProducer(mpsc::Receiver<Row>);

impl<D> StreamProducer<D> for RowProducer {
    type Item = Row;
    type Buffer = Option<Row>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Row, Option<Row>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.get_mut().0.poll_recv(context) {
            Poll::Ready(Some(row)) => {
                destination.set_buffer(Some(row));
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
