//! `GET /v1/shortlink/{code}` and the paths beside it, row by row of the contract.

use insta::assert_snapshot;
use serde_json::json;

use crate::app::App;

#[test]
fn a_link_is_followed_with_an_empty_302() {
    let app = App::shared();
    app.create(&json!({ "url": "https://example.com", "alias": "followed" })).code();
    assert_snapshot!(app.get("/v1/shortlink/followed").shown(), @r#"
    302
    access-control-allow-origin: *
    cache-control: public, max-age=0, s-maxage=10
    content-length: 0
    location: https://example.com/
    referrer-policy: strict-origin-when-cross-origin
    x-content-type-options: nosniff
    x-robots-tag: noindex
    "#);
}

#[test]
fn head_answers_as_get_does() {
    let app = App::shared();
    app.create(&json!({ "url": "https://example.com", "alias": "head" })).code();
    for path in ["/v1/shortlink/head", "/v1/shortlink/no-such-head", "/v1/shortlink/a%20b"] {
        let (get, head) = (app.get(path), app.exchange("HEAD", path, &[], b""));
        assert_eq!((head.status, &head.headers), (get.status, &get.headers), "{path}");
        assert_eq!(head.body, "");
    }
}

#[test]
fn the_query_is_passed_over() {
    let app = App::shared();
    app.create(&json!({ "url": "https://example.com/?a=1", "alias": "query" })).code();
    assert_eq!(app.get("/v1/shortlink/query?b=2/x").header("location"), Some("https://example.com/?a=1"));
}

#[test]
fn an_international_url_is_sent_in_ascii() {
    let app = App::shared();
    app.create(&json!({ "url": "https://bücher.example/straße?q=ü#é", "alias": "international" })).code();
    assert_eq!(
        app.get("/v1/shortlink/international").header("location"),
        Some("https://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%BC#%C3%A9")
    );
}

#[test]
fn an_unknown_code_is_not_found() {
    assert_snapshot!(App::shared().get("/v1/shortlink/no-such-link").shown(), @r#"
    404
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 65
    content-type: application/json
    x-content-type-options: nosniff

    {"status":404,"data":{"error":"there is no link with this code"}}
    "#);
}

#[test]
fn what_can_be_no_code_is_refused() {
    assert_snapshot!(App::shared().get("/v1/shortlink/%00").shown(), @r#"
    400
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 94
    content-type: application/json
    x-content-type-options: nosniff

    {"status":400,"data":{"error":"the code may only hold the characters 0-9, a-z, A-Z, - and _"}}
    "#);
    let long = "a".repeat(65);
    for code in ["a.b", "a+b", "a~", "a%2Fb", "%61", "caf%C3%A9", "a%0d%0ab", long.as_str()] {
        let reply = App::shared().get(&format!("/v1/shortlink/{code}"));
        assert_eq!(reply.status, 400, "{code}: {}", reply.body);
    }
}

#[test]
fn another_method_is_refused_with_the_ones_that_are_not() {
    let app = App::shared();
    assert_snapshot!(app.exchange("DELETE", "/v1/shortlink/x", &[], b"").shown(), @r#"
    405
    access-control-allow-origin: *
    allow: GET, HEAD, OPTIONS
    cache-control: no-store
    content-length: 70
    content-type: application/json
    x-content-type-options: nosniff

    {"status":405,"data":{"error":"this path answers GET, HEAD, OPTIONS"}}
    "#);
    for method in ["PUT", "POST", "PATCH"] {
        assert_eq!(app.exchange(method, "/v1/shortlink/x", &[], b"{}").status, 405, "{method}");
    }
}

#[test]
fn a_browser_may_ask_first() {
    let headers = [("origin", "https://page.example"), ("access-control-request-method", "GET")];
    assert_snapshot!(App::shared().exchange("OPTIONS", "/v1/shortlink/x", &headers, b"").shown(), @r#"
    204
    access-control-allow-headers: content-type, authorization, x-api-key, idempotency-key
    access-control-allow-methods: GET, HEAD, OPTIONS
    access-control-allow-origin: *
    access-control-max-age: 86400
    allow: GET, HEAD, OPTIONS
    cache-control: no-store
    x-content-type-options: nosniff
    "#);
}

#[test]
fn any_other_path_is_not_found_in_the_envelope() {
    assert_snapshot!(App::shared().get("/").shown(), @r#"
    404
    cache-control: no-store
    content-length: 63
    content-type: application/json
    x-content-type-options: nosniff

    {"status":404,"data":{"error":"there is nothing at this path"}}
    "#);
    for path in ["/v1", "/v2/shortlink", "/v1/shortlink/a/b", "/v1/health/x", "/favicon.ico"] {
        let reply = App::shared().get(path);
        assert_eq!((reply.status, reply.error().as_str()), (404, "there is nothing at this path"), "{path}");
    }
}

#[test]
fn a_path_with_more_slashes_is_another_path() {
    let app = App::shared();
    app.create(&json!({ "url": "https://example.com", "alias": "slashes" })).code();
    assert_eq!(app.get("/v1/shortlink/slashes").status, 302);
    for path in [
        "//v1/shortlink/slashes",
        "/v1//shortlink/slashes",
        "/v1/shortlink//slashes",
        "/v1/shortlink/slashes/",
        "/v1/shortlink/slashes//",
        "/v1/shortlink/slashes/?a=b",
        "//v1/shortlink",
        "/v1/shortlink/",
        "//v1/health",
        "/v1/health/",
        "/v1/health/ready/",
        "/v1/health//ready",
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let body = json!({ "url": "https://example.com", "alias": "made-by-slashes" }).to_string();
            let body = if method == "POST" { body.as_bytes() } else { b"" };
            let reply = app.exchange(method, path, &[("content-type", "application/json")], body);
            assert_eq!(reply.status, 404, "{method} {path}: {}", reply.body);
            if method != "HEAD" {
                assert_eq!(reply.error(), "there is nothing at this path", "{method} {path}");
            }
        }
    }
    assert_eq!(app.get("/v1/shortlink/made-by-slashes").status, 404);
}
