//! Connections: accepted until shutdown, then let finish.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};

use crate::app::App;
use crate::headers::ClientAddress;
use crate::service;

/// How long requests in flight may take once the server is to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// How long to wait when the system has no file descriptor for a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Serves `app` on `listener` until `shutdown` is ready, then finishes the requests in flight, for at most ten seconds.
///
/// A connection that fails ends itself; nothing that a client or a component does ends the server.
pub async fn serve(app: App, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let app = Arc::new(app);
    let connections = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener) => accepted,
        };
        if let Some((stream, client)) = accepted {
            tokio::spawn(connection(app.clone(), stream, client, connections.watcher()));
        }
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_GRACE, connections.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests in flight after {} s", SHUTDOWN_GRACE.as_secs());
    }
}

/// The next connection, or `None` after an error, some of which take a while to go away.
async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    let error = match listener.accept().await {
        Ok(accepted) => return Some(accepted),
        Err(error) => error,
    };
    let of_the_client = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
    if !of_the_client.contains(&error.kind()) {
        tracing::error!("cannot accept connections: {error}");
        tokio::time::sleep(ACCEPT_RETRY).await;
    }
    None
}

async fn connection(app: Arc<App>, stream: TcpStream, client: SocketAddr, watcher: Watcher) {
    // Without it an answer's body waits for the client to acknowledge the head, 40 ms on a connection kept alive.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}");
    }
    let client = ClientAddress::new(client);
    let service = service_fn(move |request| {
        let (app, client) = (app.clone(), client.clone());
        async move { service::answer(&app, request, &client).await }
    });
    let builder = Builder::new(TokioExecutor::new());
    if let Err(error) = watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await {
        tracing::debug!("a connection failed: {error}");
    }
}
