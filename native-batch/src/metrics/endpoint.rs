//! `GET /metrics` for Prometheus to scrape.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::config::ConfigError;

/// Scrapers are few; whoever opens more connections waits.
const CONNECTIONS: usize = 16;
const HEADER_LIMIT: Duration = Duration::from_secs(5);
const CONNECTION_LIMIT: Duration = Duration::from_mins(5);

type Text = Arc<Mutex<String>>;

/// What is served; empty until the first round has ended.
#[derive(Clone, Default)]
pub(crate) struct Endpoint(Text);

impl Endpoint {
    /// Begins to serve, for as long as the runtime lives.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            ConfigError::new("--metrics-listen", format!("{address} cannot be used: {error}"))
        })?;
        let endpoint = Self::default();
        tokio::spawn(endpoint.clone().accept(listener));
        Ok(endpoint)
    }

    pub fn show(&self, text: &str) {
        text.clone_into(&mut self.text());
    }

    fn text(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn accept(self, listener: TcpListener) {
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        while let Ok(place) = free.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let endpoint = self.clone();
                    tokio::spawn(async move {
                        let _ended_or_too_long =
                            tokio::time::timeout(CONNECTION_LIMIT, endpoint.serve(stream)).await;
                        drop(place);
                    });
                }
                // Out of file descriptors, say: that passes.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn serve(self, stream: TcpStream) {
        let answer = service_fn(|request| {
            let response = self.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT);
        // A client that breaks off is no concern of the batch.
        let _ = server.serve_connection(TokioIo::new(stream), answer).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, body) = match (request.uri().path(), request.method()) {
            ("/metrics", &Method::GET | &Method::HEAD) => (StatusCode::OK, self.text().clone()),
            ("/metrics", _) => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
            _ => (StatusCode::NOT_FOUND, "the metrics are at /metrics\n".to_owned()),
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(prometheus::TEXT_FORMAT));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}
