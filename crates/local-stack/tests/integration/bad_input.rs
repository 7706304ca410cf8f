//! Whatever a client sends, the process is as healthy after as before.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{
    app::App,
    http::{parse, raw},
};

fn assert_healthy(app: &App) {
    assert_eq!(app.get("/v1/health").status, 200);
    assert_eq!(app.get("/v1/health/ready").status, 200);
}

#[test]
fn bytes_that_are_no_request_harm_nobody() {
    let app = App::shared();
    for bytes in [
        &b"\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /v1/shortlink/x HTTP/1.1\r\n\r\n",
        b"GET /v1/shortlink/x HTTP/9.9\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/shortlink HTTP/1.1\r\nhost: x\r\ncontent-length: nonsense\r\n\r\n",
        b"GET /v1/shortlink/\xff\xfe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /v1/shortlink/x HTTP/1.1\r\nhost: x\r\nx-bytes: \xff\xfe\r\nconnection: close\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(app.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let _ = stream.write_all(bytes);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        if let Some(reply) = parse(&reply, false) {
            assert_ne!(reply.status, 200, "{bytes:?}");
        }
    }
    assert_healthy(app);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_disturbs_nobody() {
    let app = App::shared();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(app.addr()).unwrap();
        let head = "POST /v1/shortlink HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{";
        stream.write_all(head.as_bytes()).unwrap();
    }
    assert_healthy(app);
}

#[test]
fn a_slow_body_is_waited_for_and_others_are_served_meanwhile() {
    let app = App::shared();
    let body = br#"{"url":"https://example.com"}"#;
    let mut stream = TcpStream::connect(app.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST /v1/shortlink HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    for part in body.chunks(10) {
        stream.write_all(part).unwrap();
        stream.flush().unwrap();
        assert_healthy(app);
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    assert_eq!(parse(&reply, false).unwrap().status, 201);
}

#[test]
fn requests_in_one_go_are_answered_one_by_one() {
    let app = App::shared();
    let request = "GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let reply = raw(app.addr(), format!("{request}{request}{last}").as_bytes());
    let text = String::from_utf8(reply).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 3, "{text}");
}
