//! One client's request never changes where another one is led, and no link leads back to the service.

use serde_json::json;

use super::wire::{WAYS, Way, exchange};
use crate::{
    app::App,
    e2e::FrontDoor,
    http::{Reply, send},
};

const PATH: &str = "/v1/shortlink/Poisoned-Link";
const TARGET: &str = "https://right.example/";

/// What another server might take for the address of a request, or for a wish about its answer.
const HEADERS: [&str; 21] = [
    "x-forwarded-host: evil.example",
    "x-host: evil.example",
    "forwarded: host=evil.example;proto=https",
    "x-forwarded-proto: nothttps",
    "x-forwarded-port: 1",
    "x-forwarded-for: evil.example",
    "x-original-url: /v1/shortlink/poisoned-link",
    "x-rewrite-url: /v1/shortlink/poisoned-link",
    "x-http-method-override: POST",
    "spin-path-info: /v1/shortlink/poisoned-link",
    "spin-full-url: http://evil.example/v1/shortlink/poisoned-link",
    "spin-path-match-code: poisoned-link",
    "origin: https://evil.example",
    "range: bytes=0-0",
    "if-none-match: *",
    "if-modified-since: Fri, 31 Dec 2100 23:59:59 GMT",
    "cache-control: no-cache, max-age=0",
    "accept: text/html",
    "accept-encoding: gzip",
    "authorization: Basic eDp5",
    "cookie: location=evil.example",
];

/// Other spellings of [`PATH`], or of its neighbour's.
const PATHS: [&str; 22] = [
    "/v1/shortlink/poisoned-link",
    "/v1/shortlink/POISONED-LINK",
    "/V1/SHORTLINK/Poisoned-Link",
    "/v1/shortlink/Poisoned%2dLink",
    "/v1/shortlink/%50oisoned-Link",
    "/v1/shortlink/%50oisoned%252dLink",
    "/v1/shortlink//Poisoned-Link",
    "/v1/shortlink/./Poisoned-Link",
    "/v1/shortlink/../shortlink/Poisoned-Link",
    "/v1/shortlink/poisoned-link/../Poisoned-Link",
    "/v1/shortlink/Poisoned-Link/../poisoned-link",
    "/v1/shortlink/Poisoned-Link/%2e%2e/poisoned-link",
    "/v1/shortlink/Poisoned-Link/",
    "/v1/shortlink/Poisoned-Link;x=poisoned-link",
    "/v1/shortlink/Poisoned-Link?code=poisoned-link",
    "/v1/shortlink/Poisoned-Link?/poisoned-link",
    "/v1/shortlink/Poisoned-Link#/poisoned-link",
    "/v1/shortlink/Poisoned-Link%3f/poisoned-link",
    "/v1/shortlink/Poisoned-Link%23",
    "/v1/shortlink/Poisoned-Link%00",
    "/v1/shortlink/Poisoned-Link%20",
    "/v1/shortlink\\Poisoned-Link",
];

fn led(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.header("location"))
}

fn request(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\n{headers}\r\nconnection: close\r\n\r\n")
}

#[test]
fn whatever_one_client_sends_the_next_is_led_to_the_right_place() {
    let app = App::shared();
    app.create(&json!({ "url": TARGET, "alias": "Poisoned-Link" })).code();
    app.create(&json!({ "url": "https://lower.example", "alias": "poisoned-link" })).code();
    let request =
        |line: &str, headers: &str| format!("{line} HTTP/1.1\r\n{headers}\r\nconnection: close\r\n\r\n");
    let mut attempts = Vec::new();
    for headers in HEADERS {
        attempts.push(request(&format!("GET {PATH}"), &format!("host: localhost\r\n{headers}")));
        attempts.push(request(&format!("HEAD {PATH}"), &format!("host: localhost\r\n{headers}")));
    }
    for host in [
        "evil.example",
        "evil.example:80",
        "right.example",
        "localhost:1",
        "[::1]",
        "EVIL.example.",
        "x.spin.internal",
    ] {
        attempts.push(request(&format!("GET {PATH}"), &format!("host: {host}")));
        attempts.push(request(&format!("GET http://{host}{PATH}"), "host: localhost"));
        attempts.push(request(&format!("GET http://localhost{PATH}"), &format!("host: {host}")));
        attempts.push(request(&format!("GET {PATH}"), &format!("host: localhost\r\nhost: {host}")));
    }
    for path in PATHS {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            attempts.push(request(&format!("{method} {path}"), "host: localhost"));
        }
    }
    for way in WAYS {
        for attempt in &attempts {
            let answers = exchange(way.addr(), attempt.as_bytes());
            assert!(answers.all.len() <= 1, "{way:?} {attempt:?}: {:?}", answers.statuses());
            for reply in &answers.all {
                let location = reply.header("location");
                let is_known = matches!(location, None | Some(TARGET | "https://lower.example/"));
                assert!(is_known, "{way:?} {attempt:?}: {location:?}");
                // Another spelling of a path is another path: it is no way to another link's place in the cache.
                let is_lower = attempt.contains("/v1/shortlink/poisoned-link HTTP");
                assert!(is_lower || location != Some("https://lower.example/"), "{way:?} {attempt:?}");
            }
        }
        let reply = send(way.addr(), "GET", PATH, &[], b"");
        assert_eq!(led(&reply), (302, Some(TARGET)), "{way:?}");
    }
}

#[test]
fn what_an_odd_request_leaves_in_the_cache_is_the_right_redirect() {
    App::shared().create(&json!({ "url": TARGET, "alias": "poisoned-first" })).code();
    for (number, header) in [
        "x-forwarded-host: evil.example",
        "range: bytes=0-0",
        "if-none-match: *",
        "host: evil.example",
        "x-http-method-override: HEAD",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/v1/shortlink/poisoned-first?fresh={number}");
        let host = if header.starts_with("host") { "x: y" } else { "host: localhost" };
        let first = request(&format!("GET {path}"), &format!("{host}\r\n{header}"));
        let first = exchange(Way::Nginx.addr(), first.as_bytes());
        assert_eq!(led(&first.all[0]), (302, Some(TARGET)), "{header}");
        let second = send(Way::Nginx.addr(), "GET", &path, &[], b"");
        assert_eq!(led(&second), (302, Some(TARGET)), "{header}");
        assert_eq!(second.header("x-cache"), Some("HIT"), "the first answer was not the one that is kept");
    }
}

#[test]
fn a_head_request_leaves_a_whole_redirect_in_the_cache() {
    App::shared().create(&json!({ "url": TARGET, "alias": "poisoned-head" })).code();
    for method in ["HEAD", "GET", "HEAD"] {
        let reply = send(Way::Nginx.addr(), method, "/v1/shortlink/poisoned-head", &[], b"");
        assert_eq!(led(&reply), (302, Some(TARGET)), "{method}");
    }
}

#[test]
fn no_error_is_kept() {
    let app = App::own();
    let door = FrontDoor::before(&app);
    for path in [
        "/v1/shortlink/not-yet",
        "/v1/shortlink/a_b",
        "/v1/shortlink/not-yet?x",
        "/elsewhere",
        "/v1/shortlink",
    ] {
        for _ in 0..3 {
            let reply = door.get(path);
            assert!(reply.status >= 400, "{path}");
            assert_ne!(reply.header("x-cache"), Some("HIT"), "{path}");
        }
    }
    app.create(&json!({ "url": TARGET, "alias": "not-yet" })).code();
    for path in ["/v1/shortlink/not-yet", "/v1/shortlink/not-yet?x"] {
        assert_eq!(led(&door.get(path)), (302, Some(TARGET)), "{path}");
    }
}

#[test]
fn the_origin_of_one_client_is_not_sent_to_another() {
    let app = App::with(str::to_owned, &[("allowed_origins", "https://a.example, https://b.example")]);
    app.create(&json!({ "url": TARGET, "alias": "by-origin" })).code();
    let door = FrontDoor::before(&app);
    let allowed = |origin: Option<&str>| {
        let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        let reply = send(door.addr(), "GET", "/v1/shortlink/by-origin", &headers, b"");
        assert_eq!(led(&reply), (302, Some(TARGET)));
        reply.header("access-control-allow-origin").map(str::to_owned)
    };
    for _ in 0..2 {
        assert_eq!(allowed(None), None);
        assert_eq!(allowed(Some("https://a.example")).as_deref(), Some("https://a.example"));
        assert_eq!(allowed(Some("https://evil.example")), None);
        assert_eq!(allowed(Some("https://b.example")).as_deref(), Some("https://b.example"));
    }
}

/// Ways to write `https://sho.rt` and nobody else.
const SHO_RT: [&str; 22] = [
    "https://sho.rt",
    "http://sho.rt/v1/shortlink/x",
    "HTTPS://SHO.RT/",
    "https://Sho.Rt./",
    "https://sho.rt:443/",
    "http://sho.rt:80/",
    "http://sho.rt:00080/",
    "http://sho.rt:/",
    "https://sho%2Ert/",
    "https://%73%68%6F.%72%74/",
    "https://sho.rt?x",
    "https://sho.rt#x",
    "https:sho.rt/x",
    "https:/sho.rt/x",
    "https:///sho.rt/x",
    "https:\\\\sho.rt\\x",
    "https://@sho.rt/",
    "https://\u{ff53}\u{ff48}\u{ff4f}.\u{ff52}\u{ff54}/",
    "https://sho\u{3002}rt/",
    "https://sho\u{ff0e}rt/",
    "https://sh\u{ad}o.rt/",
    "https://\u{1d4c8}\u{1d4bd}\u{2134}.rt/",
];

#[test]
fn no_spelling_of_the_services_own_address_is_taken() {
    let app = App::with(
        str::to_owned,
        &[("public_hosts", "sho.rt, b\u{fc}cher.example, links.example:8443, [2001:db8::1], 192.0.2.7:8080")],
    );
    let door = FrontDoor::before(&app);
    let own = app.addr();
    let mut urls: Vec<String> = SHO_RT.map(str::to_owned).to_vec();
    urls.extend(
        [
            "https://b\u{fc}cher.example/",
            "https://B\u{dc}CHER.example/",
            "https://bu\u{308}cher.example/",
            "https://b%C3%BCcher.example/",
            "https://xn--bcher-kva.example/",
            "https://XN--BCHER-KVA.example./",
            "http://links.example:8443/",
            "https://LINKS.example.:8443/x",
            "https://[2001:db8::1]/",
            "https://[2001:0DB8:0:0:0:0:0:1]/",
            "https://[2001:db8::0.0.0.1]:443/",
            "http://192.0.2.7:8080/",
            "http://3221225991:8080/",
            "http://0xC0000207:8080/",
            "http://0300.0.2.7:8080/",
            "http://192.0.519:8080/",
            "http://192.0.2.7.:8080/",
            "http://\u{2460}92.0.2.7:8080/",
        ]
        .map(str::to_owned),
    );
    for url in urls {
        for addr in [own, door.addr()] {
            let body = json!({ "url": url }).to_string();
            let reply =
                send(addr, "POST", "/v1/shortlink", &[("content-type", "application/json")], body.as_bytes());
            assert_eq!(
                (reply.status, reply.json()["data"]["error"].as_str()),
                (400, Some("`url` must not lead back to this service")),
                "{url}"
            );
        }
    }
    for url in [
        "https://sho.rt.evil.example/",
        "https://xsho.rt/",
        "https://a.sho.rt/",
        "https://sho.rt:8443/",
        "https://links.example/",
        "https://example.com/?u=https://sho.rt/",
    ] {
        assert_eq!(app.create(&json!({ "url": url })).status, 201, "{url}");
    }
}

#[test]
fn the_address_that_a_client_used_is_the_services_own_too() {
    for way in WAYS {
        let port = way.addr().port();
        for (host, url) in [
            (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}/v1/shortlink/x")),
            (format!("127.0.0.1:{port}"), format!("http://127.1:{port}/")),
            (format!("127.0.0.1:{port}"), format!("http://0x7f000001:{port}/")),
            (format!("LocalHost:{port}"), format!("http://localhost:{port}/")),
            (format!("localhost.:{port}"), format!("http://LOCALHOST:{port}/")),
            ("sho.rt".to_owned(), "https://SHO.rt./".to_owned()),
            ("sho.rt:443".to_owned(), "https://sho.rt/".to_owned()),
            ("[::1]:80".to_owned(), "http://[0:0:0:0:0:0:0:1]/".to_owned()),
            ("xn--bcher-kva.example".to_owned(), "https://b\u{fc}cher.example/".to_owned()),
        ] {
            let body = json!({ "url": url }).to_string();
            let request = format!(
                "POST /v1/shortlink HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answers = exchange(way.addr(), request.as_bytes());
            assert_eq!(answers.statuses(), [400], "{way:?} {host} {url}");
            assert!(answers.all[0].body.contains("must not lead back"), "{}", answers.all[0].body);
        }
    }
}
