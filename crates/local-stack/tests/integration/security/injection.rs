//! Bytes that would end a header or start a second one, and headers that are too long or too many.

use std::collections::BTreeSet;

use serde_json::json;

use super::wire::{Answers, WAYS, Way, exchange};
use crate::{app::App, http::send};

/// Every header that any answer of the service may have.
const KNOWN: [&str; 21] = [
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "location",
    "referrer-policy",
    "retry-after",
    "server",
    "transfer-encoding",
    "vary",
    "x-cache",
    "x-content-type-options",
    "x-robots-tag",
];

/// Each line of each head is a header that the service sends, in printable ASCII, and nothing of the attacker's.
fn assert_clean(answers: &Answers, what: &str) {
    for head in &answers.heads {
        let head = head.strip_suffix("\r\n\r\n").unwrap();
        for line in head.split("\r\n").skip(1) {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{what}: {line:?}"));
            assert!(KNOWN.contains(&name.to_ascii_lowercase().as_str()), "{what}: {line:?}");
            assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{what}: {line:?}");
            assert!(!value.to_ascii_lowercase().contains("injected"), "{what}: {line:?}");
        }
    }
}

/// What an attacker would put into a value to end the header that it comes back in.
const BREAKS: [&str; 12] = [
    "\r\nX-Injected: 1",
    "\nX-Injected: 1",
    "\rX-Injected: 1",
    "\0X-Injected: 1",
    "\r\n\r\n<script>injected</script>",
    "\u{b}X-Injected: 1",
    "\u{85}X-Injected: 1",
    "\u{2028}X-Injected: 1",
    "\u{560a}\u{560d}X-Injected: 1",
    "\tX-Injected: 1",
    "\u{7f}X-Injected: 1",
    " \r\n X-Injected: 1",
];

#[test]
fn no_url_or_alias_brings_a_header_along() {
    for way in WAYS {
        for text in BREAKS {
            for body in [
                json!({ "url": format!("https://example.com/{text}") }),
                json!({ "url": format!("https://example.com{text}") }),
                json!({ "url": format!("https://example.com/?q={text}") }),
                json!({ "url": format!("https://example.com/#{text}") }),
                json!({ "url": "https://example.com", "alias": format!("a{text}") }),
                json!({ "url": "https://example.com", "expires_at": format!("2030-01-01T00:00:00Z{text}") }),
            ] {
                let body = body.to_string();
                let request = format!(
                    "POST /v1/shortlink HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let answers = exchange(way.addr(), request.as_bytes());
                assert_clean(&answers, &body);
                // Some are text like any other and are percent-encoded: then nothing but ASCII is stored.
                let reply = answers.all.first().expect("an answer");
                assert!(matches!(reply.status, 201 | 400), "{body}: {}", reply.status);
                if reply.status == 201 {
                    let followed = format!(
                        "GET /v1/shortlink/{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
                        reply.code()
                    );
                    let followed = exchange(way.addr(), followed.as_bytes());
                    let location = followed.all[0].header("location").expect("a target").to_owned();
                    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location:?}");
                    assert!(followed.heads[0].matches("njected").count() <= 1, "{}", followed.heads[0]);
                }
            }
        }
        // Percent-encoded they stay what they are: text in a path.
        let url = "https://example.com/%0d%0aX-Injected:%201%00%0A";
        let reply = send(
            way.addr(),
            "POST",
            "/v1/shortlink",
            &[("content-type", "application/json")],
            json!({ "url": url }).to_string().as_bytes(),
        );
        let followed = send(way.addr(), "GET", &format!("/v1/shortlink/{}", reply.code()), &[], b"");
        assert_eq!(followed.header("location"), Some(url));
        assert!(followed.header("x-injected").is_none());
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02x}"))
}

#[test]
fn no_path_query_or_header_comes_back_in_a_header() {
    App::shared().create(&json!({ "url": "https://example.com", "alias": "injection" })).code();
    let mut requests: BTreeSet<(&str, Vec<u8>)> = BTreeSet::new();
    let request = |line: &str, headers: &str| {
        format!("{line} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n\r\n").into_bytes()
    };
    for text in BREAKS {
        for text in [text.to_owned(), encoded(text), encoded(&encoded(text)), text.replace(' ', "")] {
            let host = "host: localhost";
            requests.insert(("path", request(&format!("GET /v1/shortlink/injection{text}"), host)));
            requests.insert(("query", request(&format!("GET /v1/shortlink/injection?q={text}"), host)));
            requests.insert(("unknown path", request(&format!("GET /{text}"), host)));
            requests.insert(("method", request(&format!("GET{text} /v1/shortlink/injection"), host)));
            requests
                .insert(("authority", request(&format!("GET http://h{text}/v1/shortlink/injection"), host)));
            requests
                .insert(("host", request("GET /v1/shortlink/injection", &format!("host: localhost{text}"))));
            for name in [
                "origin",
                "x-forwarded-host",
                "x-forwarded-for",
                "x-forwarded-proto",
                "forwarded",
                "referer",
                "range",
            ] {
                let headers = format!("{host}\r\n{name}: https://a.example{text}");
                requests.insert((name, request("GET /v1/shortlink/injection", &headers)));
                requests.insert((name, request("OPTIONS /v1/shortlink", &headers)));
            }
        }
    }
    for way in WAYS {
        for (what, request) in &requests {
            let answers = exchange(way.addr(), request);
            assert_clean(&answers, &format!("{way:?} {what} {:?}", String::from_utf8_lossy(request)));
            for reply in &answers.all {
                let location = reply.header("location");
                assert!(
                    matches!(location, None | Some("https://example.com/")),
                    "{way:?} {what}: {location:?}"
                );
                assert!(!reply.body.contains("njected"), "{way:?} {what}: {}", reply.body);
            }
        }
    }
}

#[test]
fn headers_that_are_too_many_or_too_long_are_refused_and_others_are_served() {
    App::shared().create(&json!({ "url": "https://example.com", "alias": "oversized" })).code();
    let head = "GET /v1/shortlink/oversized HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let megabyte = "x".repeat(1_000_000);
    let long_path = format!("GET /v1/shortlink/{megabyte} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let long_query = format!("GET /v1/shortlink/oversized?{megabyte} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    for (what, request) in [
        ("many headers", format!("{head}{}\r\n", "x: y\r\n".repeat(100_000))),
        ("a long header", format!("{head}x: {megabyte}\r\n\r\n")),
        ("a long name", format!("{head}{megabyte}: x\r\n\r\n")),
        ("a long cookie", format!("{head}cookie: a={megabyte}\r\n\r\n")),
        ("a long host", format!("GET / HTTP/1.1\r\nhost: {megabyte}\r\n\r\n")),
        ("a long path", long_path),
        ("a long query", long_query),
        ("a long method", format!("{megabyte} / HTTP/1.1\r\nhost: localhost\r\n\r\n")),
    ] {
        for way in WAYS {
            let answers = exchange(way.addr(), request.as_bytes());
            // A server that closes while it is being written to resets the connection, and its answer may be lost.
            let fine = answers.statuses().iter().all(|status| matches!(status, 400 | 404 | 414 | 431));
            assert!(fine && answers.all.len() <= 1, "{way:?} {what}: {:?}", answers.statuses());
            assert!(answers.closed, "{way:?} {what}: the connection stays open");
            let reply = send(way.addr(), "GET", "/v1/shortlink/oversized", &[], b"");
            assert_eq!(reply.status, 302, "{way:?} after {what}");
        }
    }
}

#[test]
fn headers_as_long_as_they_may_be_are_read() {
    App::shared().create(&json!({ "url": "https://example.com", "alias": "sizeable" })).code();
    for way in WAYS {
        let cookie = "x".repeat(8_000);
        let reply = send(way.addr(), "GET", "/v1/shortlink/sizeable", &[("cookie", &cookie)], b"");
        assert_eq!(reply.status, 302, "{way:?}");
        let path = format!("/v1/shortlink/sizeable?{}", "x".repeat(8_000));
        assert_eq!(send(way.addr(), "GET", &path, &[], b"").status, 302, "{way:?}");
    }
}

#[test]
fn the_hosts_own_pages_stay_behind_nginx() {
    for path in [
        "/.well-known/spin",
        "/.well-known/spin/info",
        "/.well-known/spin/health",
        "/.well-known/%73pin/info",
        "/%2ewell-known/spin/info",
        "/.well-known//spin/info",
        "//.well-known/spin/info",
        "/./.well-known/spin/info",
        "/x/../.well-known/spin/info",
        "/v1/shortlink/../../.well-known/spin/info",
        "/v1/shortlink/%2e%2e/%2e%2e/.well-known/spin/info",
        "/.well-known/spin/info?x",
        "http://localhost/.well-known/spin/info",
        "/.front-door/error",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answers = exchange(Way::Nginx.addr(), request.as_bytes());
        assert_eq!(answers.statuses(), [404], "{path}");
        assert_eq!(answers.all[0].json()["status"], 404, "{path}");
    }
}
