//! Requests and responses through Spin's `wasi:http` bindings. This module copies only the headers it is asked for and
//! sends a body with its length, where the SDK's wrapper copies all of them and streams every body: a bare redirect is 1.4
//! to 1.7 times as fast.

use std::time::Duration;

use spin_sdk::wasip3::{
    http::types::{ErrorCode, Fields, HeaderError, Method, Request, Response},
    wit_bindgen::{StreamReader, StreamResult, spawn},
    wit_future, wit_stream,
};

use crate::{
    answer::{Answer, Header},
    deadline::{Deadline, within},
    settings::AllowedOrigins,
};

/// How long a client may take to send a body that is only read to be refused.
const DRAIN_BUDGET: Duration = Duration::from_secs(10);
/// How much of a body is read at a time, in bytes.
const CHUNK: usize = 8 * 1024;
/// How much of an unwanted body is still read, in bytes: a front door passes on no more.
const DRAIN_LIMIT: usize = 1024 * 1024;

/// A request as it arrived.
pub struct Incoming(Request);

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than the limit.
    TooLong,
    /// It did not arrive in time, or not whole.
    Incomplete,
}

/// Why a header has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderProblem {
    /// It is there more than once.
    Repeated,
    /// It is not UTF-8.
    NotText,
}

/// The methods this service tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `GET` and `HEAD`: the server leaves the body of the latter's answer out.
    Get,
    /// `POST`.
    Post,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
    /// Any other.
    Other,
}

impl Incoming {
    /// Wraps a request of the bindings.
    pub fn new(request: Request) -> Self {
        Self(request)
    }

    /// The method.
    pub fn verb(&self) -> Verb {
        match self.0.get_method() {
            Method::Get | Method::Head => Verb::Get,
            Method::Post => Verb::Post,
            Method::Patch => Verb::Patch,
            Method::Delete => Verb::Delete,
            Method::Options => Verb::Options,
            _ => Verb::Other,
        }
    }

    /// The path, percent-encoded as it was sent, without the query.
    pub fn path(&self) -> String {
        let mut path = self.0.get_path_with_query().unwrap_or_default();
        if let Some(end) = path.find('?') {
            path.truncate(end);
        }
        path
    }

    /// The query as it was sent, without the question mark; empty when there is none.
    pub fn query(&self) -> String {
        let path = self.0.get_path_with_query().unwrap_or_default();
        path.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default()
    }

    /// The host and port that the client meant to reach.
    pub fn authority(&self) -> Option<String> {
        self.0.get_authority()
    }

    /// The first value of a header; `None` when it is absent or not text.
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.0.get_headers().get(name).into_iter().next()?;
        String::from_utf8(value).ok()
    }

    /// The value of a header that may be there once; `None` when it is absent.
    ///
    /// # Errors
    /// [`HeaderProblem`]
    pub fn single_header(&self, name: &'static str) -> Result<Option<String>, HeaderProblem> {
        let mut values = self.0.get_headers().get(name).into_iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => String::from_utf8(value).map(Some).map_err(|_| HeaderProblem::NotText),
            (Some(_), Some(_)) => Err(HeaderProblem::Repeated),
        }
    }

    /// The origin of the page that asks, where the answer depends on it.
    pub fn origin(&self, allowed: &AllowedOrigins) -> Option<String> {
        match allowed {
            AllowedOrigins::Any => None,
            AllowedOrigins::Listed(_) => self.header("origin"),
        }
    }

    /// How long the client says the body is, in bytes.
    pub fn content_length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }

    /// Reads the body and keeps at most `limit` bytes of it. What is longer is read to its end all the same, within
    /// bounds: a server that answers and closes while the other side still sends resets the connection, and the answer
    /// may be lost with it.
    ///
    /// # Errors
    /// [`BodyError`]
    pub async fn body(self, limit: usize, deadline: Deadline) -> Result<Vec<u8>, BodyError> {
        let (handled, handled_reader) = wit_future::new(|| Ok(()));
        let (mut stream, received) = Request::consume_body(self.0, handled_reader);
        drop(handled);
        let read = async {
            let mut body = Vec::new();
            let mut skipped: usize = 0;
            loop {
                let (result, chunk) = stream.read(Vec::with_capacity(CHUNK)).await;
                if skipped == 0 && body.len().saturating_add(chunk.len()) <= limit {
                    body.extend_from_slice(&chunk);
                } else {
                    skipped = skipped.saturating_add(chunk.len());
                }
                let ended = !matches!(result, StreamResult::Complete(_));
                if skipped > 0 && (ended || skipped > DRAIN_LIMIT) {
                    return Err(BodyError::TooLong);
                }
                if ended {
                    break;
                }
            }
            received.await.map(|_| body).map_err(|_| BodyError::Incomplete)
        };
        within(deadline, read).await.unwrap_or(Err(BodyError::Incomplete))
    }

    /// The answer to a request that is refused without a look at its body, which is read to its end first; see
    /// [`Self::body`]. A body that says it is longer than [`DRAIN_LIMIT`] is not read at all.
    pub async fn refuse(self, refusal: Answer) -> Answer {
        if self.content_length().is_none_or(|length| length <= DRAIN_LIMIT) {
            // Whether all of it came makes no difference to the refusal.
            let _ = self.body(0, Deadline::after(DRAIN_BUDGET)).await;
        }
        refusal
    }
}

/// The head of an answer without a body, stored by the host: sending it again passes no header to it anew. A hot redirect
/// went from 0.80 to 0.88 of a bare one with 8 clients, and from 0.82 to 0.95 with 64.
pub struct Prepared {
    status: u16,
    headers: Fields,
}

impl Prepared {
    /// Passes the headers of an answer to the host.
    ///
    /// # Errors
    /// [`ErrorCode`] when a header is refused, which no header of [`Answer`] is.
    pub fn new(answer: Answer) -> Result<Self, ErrorCode> {
        Ok(Self { status: answer.status, headers: fields(answer.headers)? })
    }

    /// A response with this head.
    ///
    /// # Errors
    /// [`ErrorCode`] when the status is none.
    pub fn response(&self) -> Result<Response, ErrorCode> {
        assemble(self.status, self.headers.clone(), None)
    }
}

/// Turns an answer into a response of the bindings.
///
/// # Errors
/// [`ErrorCode`] when a header is refused, which no header of [`Answer`] is.
pub fn response(answer: Answer) -> Result<Response, ErrorCode> {
    let headers = fields(answer.headers)?;
    let body = answer.body.map(|body| {
        let (mut writer, reader) = wit_stream::new();
        spawn(async move {
            writer.write_all(body.into_bytes()).await;
        });
        reader
    });
    assemble(answer.status, headers, body)
}

fn fields(headers: Vec<Header>) -> Result<Fields, ErrorCode> {
    let headers: Vec<_> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned().into_bytes())).collect();
    Fields::from_list(&headers).map_err(refused)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn refused(error: HeaderError) -> ErrorCode {
    ErrorCode::InternalError(Some(error.to_string()))
}

fn assemble(status: u16, headers: Fields, body: Option<StreamReader<u8>>) -> Result<Response, ErrorCode> {
    let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (response, _sent) = Response::new(headers, body, trailers_reader);
    response.set_status_code(status).map_err(|()| ErrorCode::InternalError(None))?;
    Ok(response)
}
