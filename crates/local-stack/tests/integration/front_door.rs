//! What nginx must leave as it is, and what it answers itself.

use std::{fmt::Write as _, fs};

use serde_json::json;
use shortlink_local_stack::nginx::{Limit, Limits};

use crate::{
    app::{App, root},
    e2e::FrontDoor,
    http::{Reply, parse, raw, send},
};

/// The names of the upstreams in `infra/local/nginx.conf`.
fn upstreams() -> Vec<String> {
    let template = fs::read_to_string(root().join("infra/local/nginx.conf")).unwrap();
    let names = template.lines().filter_map(|line| line.trim().strip_prefix("upstream ")?.strip_suffix(" {"));
    names.map(str::to_owned).collect()
}

#[test]
fn a_target_with_the_name_of_an_upstream_is_not_rewritten() {
    let app = App::shared();
    let door = FrontDoor::before(app);
    let names = upstreams();
    assert!(names.len() >= 3, "{names:?}");
    for name in &names {
        for (place, expected) in [
            (format!("http://{name}/wiki/Home?x=1#y"), format!("http://{name}/wiki/Home?x=1#y")),
            (format!("HTTP://{}/A", name.to_uppercase()), format!("http://{name}/A")),
            (format!("http://{name}:80/"), format!("http://{name}/")),
            (format!("http://{name}:8080/x"), format!("http://{name}:8080/x")),
            (format!("https://{name}/"), format!("https://{name}/")),
        ] {
            let code = app.create(&json!({ "url": place })).code();
            for expected_cache in ["MISS", "HIT"] {
                let reply = door.get(&format!("/v1/shortlink/{code}"));
                assert_eq!(reply.header("location"), Some(expected.as_str()), "{place}");
                assert_eq!(reply.header("x-cache"), Some(expected_cache));
            }
        }
    }
}

#[test]
fn a_link_to_its_own_path_at_an_upstreams_name_is_no_loop() {
    let app = App::shared();
    let url = "http://resolve/v1/shortlink/door-loop";
    app.create(&json!({ "url": url, "alias": "door-loop" })).code();
    assert_eq!(FrontDoor::before(app).get("/v1/shortlink/door-loop").header("location"), Some(url));
}

/// An error in the envelope that a page of any origin can read.
fn assert_readable(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{}", reply.body);
    let values = |name: &str| -> Vec<&str> {
        reply.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(values("access-control-allow-origin"), ["*"], "{}", reply.shown());
    assert_eq!(values("access-control-expose-headers"), ["Retry-After, Location"], "{}", reply.shown());
    assert_eq!(values("content-type"), ["application/json"]);
    assert_eq!(reply.json()["status"], status);
    assert!(!reply.error().is_empty());
}

/// Sends a head and reads the reply.
fn reply_to(door: &FrontDoor, line: &str, headers: &str) -> Reply {
    let request =
        format!("{line} HTTP/1.1\r\nconnection: close\r\norigin: https://a.example\r\n{headers}\r\n");
    let reply = raw(door.addr(), request.as_bytes());
    parse(&reply, false).unwrap_or_else(|| panic!("{line} {headers:?}: {reply:?}"))
}

#[test]
fn a_page_of_another_origin_can_read_that_it_must_wait() {
    let app = App::shared();
    let one = Limit { rate: Some(1), burst: 0 };
    let door = FrontDoor::limited(app, Limits { create: one, miss: one });
    let refused = |method: &str, path: &str| {
        let reply = |_| send(door.addr(), method, path, &[("origin", "https://a.example")], b"");
        (0..20).map(reply).find(|reply| reply.status == 429).expect("one is refused")
    };
    for (method, path) in
        [("POST", "/v1/shortlink"), ("GET", "/v1/shortlink/none"), ("GET", "/v1/health/ready")]
    {
        let reply = refused(method, path);
        assert_readable(&reply, 429);
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
}

#[test]
fn a_page_of_another_origin_can_read_what_nginx_refuses() {
    let mut app = App::own();
    let door = FrontDoor::before(&app);
    let long = "x".repeat(40_000);
    assert_readable(&reply_to(&door, "POST /v1/shortlink", "host: x\r\ncontent-length: 1100000\r\n"), 413);
    assert_readable(&reply_to(&door, &format!("GET /{long}"), "host: x\r\n"), 414);
    assert_readable(&reply_to(&door, "GET /v1/health", &format!("host: x\r\nx-long: {long}\r\n")), 431);
    assert_readable(&reply_to(&door, "POST /v1/shortlink", "host: x\r\ntransfer-encoding: gzip\r\n"), 501);
    assert_readable(&reply_to(&door, "GET /.well-known/spin/health", "host: x\r\n"), 404);
    assert_eq!(door.get("/v1/health").status, 200);
    app.stop_host();
    for path in ["/v1/health", "/v1/shortlink/none", "/v1/health/ready"] {
        assert_readable(&reply_to(&door, &format!("GET {path}"), "host: x\r\n"), 503);
    }
}

#[test]
fn a_host_that_cannot_be_one_is_refused_in_the_envelope() {
    let door = FrontDoor::before(App::shared());
    for host in [
        "a@b",
        "a b",
        "a%41",
        "a:b",
        "a:1:2",
        "[::1",
        "::1",
        "\u{fc}",
        "x.spin.internal",
        "X.SPIN.internal:80",
        "a,b",
    ] {
        for path in ["/", "/v1/shortlink", "/v1/shortlink/none", "/v1/health", "/v1/health/ready"] {
            let reply = reply_to(&door, &format!("GET {path}"), &format!("host: {host}\r\n"));
            assert_readable(&reply, 400);
        }
    }
    for host in ["localhost", "sho.rt:8080", "[2001:db8::1]:80", "127.0.0.1", "a_b.example.", "x:99999", "x:"]
    {
        let reply = reply_to(&door, "GET /v1/shortlink/none", &format!("host: {host}\r\n"));
        assert_eq!(reply.status, 404, "{host}: {}", reply.shown());
        assert!(!reply.error().is_empty());
    }
}

#[test]
fn a_request_of_many_headers_is_answered_by_the_components() {
    let door = FrontDoor::before(App::shared());
    let mut headers = "host: localhost\r\n".to_owned();
    for number in 0..200 {
        write!(headers, "x-{number}: {number}\r\n").unwrap();
    }
    let created = reply_to(&door, "POST /v1/shortlink", &format!("{headers}content-length: 0\r\n"));
    assert_eq!((created.status, created.error().is_empty()), (415, false), "{}", created.shown());
    let unknown = reply_to(&door, "GET /v1/shortlink/none", &headers);
    assert_eq!((unknown.status, unknown.error().is_empty()), (404, false), "{}", unknown.shown());
}
