//! The headers that protect whoever gets an answer: on every kind of answer, and to every origin.

use serde_json::json;

use super::wire::{WAYS, Way};
use crate::{
    app::App,
    e2e::FrontDoor,
    faults::Rig,
    http::{Reply, send},
};

const JSON: (&str, &str) = ("content-type", "application/json");
const LINKS: &str = "/v1/shortlink";

/// The status it is to have; method, path, headers, body.
type Request<'a> = (u16, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8]);

/// What every answer has, whoever gives it, and what none has.
fn assert_guarded(reply: &Reply, what: &str) {
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{what}");
    for name in ["set-cookie", "x-powered-by", "via", "access-control-allow-credentials"] {
        assert_eq!(reply.header(name), None, "{what}");
    }
    // nginx says its name, without a version; the host says nothing.
    assert!(matches!(reply.header("server"), None | Some("nginx")), "{what}: {:?}", reply.header("server"));
    let cache_control = reply.header("cache-control").unwrap_or_default();
    if reply.status == 302 {
        assert!(cache_control.starts_with("public, max-age=0, s-maxage="), "{what}: {cache_control}");
        assert_eq!(reply.header("referrer-policy"), Some("strict-origin-when-cross-origin"), "{what}");
        assert_eq!(reply.header("x-robots-tag"), Some("noindex"), "{what}");
    } else {
        assert_eq!(cache_control, "no-store", "{what}");
    }
    if !reply.body.is_empty() {
        assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
    }
    let mut names: Vec<&String> = reply.headers.iter().map(|(name, _)| name).collect();
    names.dedup();
    assert_eq!(names.len(), reply.headers.len(), "{what}: a header comes twice: {:?}", reply.headers);
}

#[test]
fn every_kind_of_answer_has_its_security_headers() {
    let app = App::shared();
    app.create(&json!({ "url": "https://example.com", "alias": "guarded" })).code();
    app.sql(
        "select shortlink.create_short_link('guarded-over', 'https://example.com/', now() + interval '1 hour', true);
         update shortlink.short_code set expires_at = now() where short_code = 'guarded-over';
         update shortlink.short_link set expires_at = now() where short_code = 'guarded-over'",
    );
    let long = vec![b'x'; 40_000];
    let (key, reader) = (app.key("guarded", &["create", "manage"]), app.key("guarded-reader", &["read"]));
    let (key, reader) = (("x-api-key", key.as_str()), ("x-api-key", reader.as_str()));
    for way in WAYS {
        let own = format!("/v1/links/own-{way:?}");
        let owned = format!(r#"{{"url":"https://example.com/?<script>","alias":"own-{way:?}"}}"#);
        let new = format!(r#"{{"url":"https://example.com","alias":"guarded-{way:?}"}}"#);
        let requests: [Request; 28] = [
            (201, "POST", LINKS, &[JSON], new.as_bytes()),
            (302, "GET", "/v1/shortlink/guarded", &[], b""),
            (302, "HEAD", "/v1/shortlink/guarded", &[], b""),
            (302, "GET", "/v1/shortlink/guarded", &[], b""),
            (400, "POST", LINKS, &[JSON], b"{"),
            (400, "GET", "/v1/shortlink/a.b", &[], b""),
            (404, "GET", "/v1/shortlink/guarded-unknown", &[], b""),
            (404, "GET", "/wp-login.php", &[], b""),
            (405, "DELETE", "/v1/shortlink/guarded", &[], b""),
            (405, "GET", LINKS, &[], b""),
            (409, "POST", LINKS, &[JSON], new.as_bytes()),
            (410, "GET", "/v1/shortlink/guarded-over", &[], b""),
            (413, "POST", LINKS, &[JSON], &long),
            (415, "POST", LINKS, &[("content-type", "text/plain")], b"x"),
            (204, "OPTIONS", LINKS, &[("origin", "https://a.example")], b""),
            (200, "GET", "/v1/health/ready", &[], b""),
            (201, "POST", LINKS, &[JSON, key], owned.as_bytes()),
            (200, "GET", "/v1/links", &[key], b""),
            (200, "GET", &own, &[key], b""),
            (200, "POST", "/v1/links", &[JSON, key], br#"{"links":[{"url":"x"}]}"#),
            (200, "PATCH", &own, &[JSON, key], br#"{"disabled":true}"#),
            (400, "PATCH", &own, &[JSON, key], b"{}"),
            (401, "GET", "/v1/links", &[], b""),
            (403, "DELETE", &own, &[reader], b""),
            (405, "PUT", &own, &[key], b""),
            (204, "DELETE", &own, &[key], b""),
            (404, "DELETE", &own, &[key], b""),
            (204, "OPTIONS", &own, &[("origin", "https://a.example")], b""),
        ];
        for (status, method, path, headers, body) in requests {
            let (reply, what) =
                (send(way.addr(), method, path, headers, body), format!("{way:?} {method} {path}"));
            assert_eq!(reply.status, status, "{what}: {}", reply.body);
            assert_guarded(&reply, &what);
        }
    }
}

#[test]
fn what_nginx_answers_itself_has_them_too() {
    let huge = vec![b'x'; 1_100_000];
    let long = format!("/v1/shortlink/{}", "x".repeat(40_000));
    let header = "x".repeat(40_000);
    let requests: [Request; 6] = [
        (413, "POST", LINKS, &[JSON], &huge),
        (400, "GET", "/v1/shortlink/%00", &[], b""),
        (404, "GET", "/.well-known/spin/info", &[], b""),
        (405, "TRACE", "/v1/shortlink/x", &[], b""),
        (414, "GET", &long, &[], b""),
        (431, "GET", "/v1/health", &[("x-long", &header)], b""),
    ];
    for (status, method, path, headers, body) in requests {
        let reply = send(Way::Nginx.addr(), method, path, headers, body);
        assert_eq!(reply.status, status, "{method} {path:.40}: {}", reply.body);
        assert_guarded(&reply, &format!("{method} {path:.40}"));
    }
}

#[test]
fn an_answer_without_postgres_has_them_too() {
    let mut rig = Rig::start();
    rig.postgres.set(shortlink_local_stack::fault_proxy::Fault::Refuse);
    let door = FrontDoor::before(&rig.app);
    let body = json!({ "url": "https://example.com" });
    for reply in [
        rig.resolve("any"),
        rig.create(),
        rig.app.get("/v1/health/ready"),
        door.get("/v1/shortlink/any"),
        door.create(&body),
    ] {
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
        assert_guarded(&reply, "without Postgres");
    }
    rig.app.stop_host();
    for reply in [door.get("/v1/shortlink/any"), door.create(&body)] {
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
        assert_guarded(&reply, "without the host");
    }
}

#[test]
fn only_the_very_origins_that_are_listed_may_read_answers() {
    let app = App::with(str::to_owned, &[("allowed_origins", "https://a.example, https://b.example:8443")]);
    app.create(&json!({ "url": "https://example.com", "alias": "shared" })).code();
    let door = FrontDoor::before(&app);
    let allowed = |reply: &Reply| reply.header("access-control-allow-origin").map(str::to_owned);
    let requests: [(&str, &str, &[u8]); 6] = [
        ("GET", "/v1/shortlink/shared", b""),
        ("GET", "/v1/shortlink/nobody", b""),
        ("GET", "/v1/shortlink/a.b", b""),
        ("POST", LINKS, br#"{"url":"https://example.com"}"#),
        ("OPTIONS", LINKS, b""),
        ("OPTIONS", "/v1/shortlink/shared", b""),
    ];
    for addr in [app.addr(), door.addr()] {
        for (method, path, body) in requests {
            for origin in ["https://a.example", "https://b.example:8443"] {
                let headers = [JSON, ("origin", origin), ("access-control-request-method", "POST")];
                let reply = send(addr, method, path, &headers, body);
                assert_eq!(allowed(&reply).as_deref(), Some(origin), "{method} {path}");
                assert_eq!(reply.header("vary"), Some("origin"), "{method} {path}");
                assert_eq!(reply.header("access-control-allow-credentials"), None);
            }
            for origin in [
                "null",
                "",
                "*",
                "http://a.example",
                "https://a.example:443",
                "https://a.example/",
                "https://A.example",
                "https://a.example.evil.example",
                "https://a.exampl",
                "https://evil-a.example",
                "https://x.a.example",
                "https://b.example",
                "https://b.example:84430",
                "https://a.example, https://b.example:8443",
                "https://a.example https://evil.example",
                "https://a.example\u{fc}",
            ] {
                let reply = send(addr, method, path, &[JSON, ("origin", origin)], body);
                assert_eq!(allowed(&reply), None, "{method} {path} {origin}");
                assert_eq!(reply.header("vary"), Some("origin"), "{method} {path} {origin}");
            }
            let reply = send(addr, method, path, &[JSON], body);
            assert_eq!((allowed(&reply), reply.header("vary")), (None, Some("origin")), "{method} {path}");
        }
    }
}

#[test]
fn a_preflight_allows_the_methods_and_the_content_type_and_no_credentials() {
    for way in WAYS {
        for (path, methods) in [(LINKS, "POST, OPTIONS"), ("/v1/shortlink/x", "GET, HEAD, OPTIONS")] {
            let asked = [
                ("origin", "https://any.example"),
                ("access-control-request-method", "DELETE"),
                ("access-control-request-headers", "x-secret, authorization"),
            ];
            let reply = send(way.addr(), "OPTIONS", path, &asked, b"");
            assert_eq!(reply.status, 204);
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
            assert_eq!(reply.header("access-control-allow-methods"), Some(methods));
            assert_eq!(
                reply.header("access-control-allow-headers"),
                Some("content-type, authorization, x-api-key, idempotency-key")
            );
            assert_eq!(reply.header("access-control-allow-credentials"), None);
        }
    }
}
