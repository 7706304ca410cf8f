//! A manifest that needs no component, served: what the host answers by itself, and how it stops.

use std::net::SocketAddr;
use std::time::Duration;

use shortlink_local_host::{App, InstanceReuse, Manifest, VariableSources, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const MANIFEST: &str = r#"
    spin_manifest_version = 2
    [application]
    name = "static"
    [[trigger.http]]
    route = "/made"
    static_response = { status_code = 201, headers = { x-made = "here" }, body = "made" }
    [[trigger.http]]
    route = "/under/..."
    static_response = {}
"#;

struct Host {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn host() -> Host {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spin.toml");
    std::fs::write(&path, MANIFEST).unwrap();
    let manifest = Manifest::load(&path).unwrap();
    let app = App::prepare(&manifest, &VariableSources::default(), InstanceReuse::default()).unwrap();
    assert_eq!(app.routes().len(), 2);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(async move { serve(app, listener, async { stopped.await.unwrap() }).await });
    Host { address, stop, served }
}

impl Host {
    /// Sends `request` as it is and reads until the host closes.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
    }
}

#[tokio::test]
async fn static_responses_are_what_the_manifest_says() {
    let host = host().await;
    let answer = host.get("/made?query").await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-made: here\r\n") && answer.ends_with("\r\n\r\nmade"), "{answer}");
    assert!(host.get("/under/any/thing").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn the_host_answers_for_itself() {
    let host = host().await;
    assert!(host.get("/.well-known/spin/health").await.ends_with("\r\n\r\nOK"));
    for path in ["/.well-known/spin/info", "/nothing", "/made/more"] {
        let answer = host.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {answer}");
        assert!(answer.contains("\r\ncontent-length: 0\r\n"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_request_that_names_no_clear_host_ends_its_connection_as_in_spin() {
    let host = host().await;
    for request in [
        "GET /made HTTP/1.0\r\n\r\n",
        "GET /made HTTP/1.1\r\n\r\n",
        "GET http://a.example/made HTTP/1.1\r\nhost: b.example\r\n\r\n",
        "GET /made HTTP/1.1\r\nhost: a b\r\n\r\n",
    ] {
        assert_eq!(host.exchange(request).await, "", "{request}");
    }
    assert!(host.exchange("?\r\n\r\n").await.contains(" 400 Bad Request\r\n"));
    assert!(host.get("/made").await.starts_with("HTTP/1.1 201"));
}

#[tokio::test]
async fn what_no_component_answers_needs_no_host() {
    let host = host().await;
    let health = host.exchange("GET /.well-known/spin/health HTTP/1.0\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.0 200 OK\r\n"), "{health}");
    assert!(host.exchange("GET /nothing HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 404"));
}

#[tokio::test]
async fn a_target_in_absolute_form_names_the_host() {
    let host = host().await;
    for request in [
        "GET http://a.example/made HTTP/1.0\r\n\r\n",
        "GET http://a.example/made HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET http://A.example/made?x HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n",
        "GET https://a.example/made HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n",
    ] {
        let answer = host.exchange(request).await;
        assert!(answer.contains(" 201 Created\r\n"), "{request}: {answer}");
    }
}

#[tokio::test]
async fn two_host_headers_are_refused() {
    let host = host().await;
    for (path, second) in
        [("/made", "b.example"), ("/made", "a.example"), ("/.well-known/spin/health", "b.example")]
    {
        let answer = host
            .exchange(&format!(
                "GET {path} HTTP/1.1\r\nhost: a.example\r\nhost: {second}\r\nconnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_refuses_new_ones() {
    let Host { address, stop, served } = host().await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /made HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 201");
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), served)
        .await
        .expect("the idle connection is closed")
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
