//! `POST /v1/shortlink`, row by row of the contract.

use insta::assert_snapshot;
use serde_json::json;

use crate::app::App;

#[test]
fn a_link_with_an_alias_is_created() {
    let reply = App::shared().create(&json!({ "url": "https://example.com", "alias": "created-alias" }));
    assert_snapshot!(reply.shown(), @r#"
    201
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 46
    content-type: application/json
    location: /v1/shortlink/created-alias
    x-content-type-options: nosniff

    {"status":201,"data":{"code":"created-alias"}}
    "#);
}

#[test]
fn a_link_without_an_alias_gets_seven_base62_characters() {
    let reply =
        App::shared().create(&json!({ "url": "https://example.com", "alias": null, "expires_at": null }));
    let code = reply.code();
    assert!(code.len() == 7 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{code}");
    assert_eq!(reply.header("location"), Some(format!("/v1/shortlink/{code}").as_str()));
}

#[test]
fn an_alias_in_use_is_refused_and_its_link_stays() {
    let app = App::shared();
    app.create(&json!({ "url": "https://one.example", "alias": "taken-alias" })).code();
    let again = app.create(&json!({ "url": "https://two.example", "alias": "taken-alias" }));
    assert_snapshot!(again.shown(), @r#"
    409
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 67
    content-type: application/json
    x-content-type-options: nosniff

    {"status":409,"data":{"error":"`alias` is in use; choose another"}}
    "#);
    assert_eq!(app.get("/v1/shortlink/taken-alias").header("location"), Some("https://one.example/"));
}

#[test]
fn aliases_that_differ_in_case_are_two() {
    let app = App::shared();
    app.create(&json!({ "url": "https://one.example", "alias": "Case-Alias" })).code();
    app.create(&json!({ "url": "https://two.example", "alias": "case-alias" })).code();
    assert_eq!(app.get("/v1/shortlink/Case-Alias").header("location"), Some("https://one.example/"));
    assert_eq!(app.get("/v1/shortlink/case-alias").header("location"), Some("https://two.example/"));
}

#[test]
fn a_body_with_several_faults_names_each() {
    let body = json!({ "url": "javascript:alert(1)", "alias": "-x-", "expires_at": "2020-01-01T00:00:00Z" });
    assert_snapshot!(App::shared().create(&body).shown(), @r#"
    400
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 165
    content-type: application/json
    x-content-type-options: nosniff

    {"status":400,"data":{"error":"`url` must begin with http:// or https://; `expires_at` must be later than now; `alias` must begin and end with a letter or a digit"}}
    "#);
}

#[test]
fn every_invalid_body_is_refused_with_a_plain_sentence() {
    let deep = format!("{{\"url\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let own = format!("{{\"url\":\"http://{}/v1/shortlink/x\"}}", App::shared().addr());
    for (body, sentence) in [
        ("", "the body is not valid JSON"),
        ("{", "the body is not valid JSON"),
        ("nonsense", "the body is not valid JSON"),
        (deep.as_str(), "`url` must be a string"),
        ("[]", "the body must be a JSON object"),
        ("{}", "`url` is missing"),
        (r#"{"url":""}"#, "`url` must not be empty"),
        (r#"{"url":42}"#, "`url` must be a string"),
        (r#"{"url":"example.com"}"#, "`url` must be an absolute URL with a host"),
        (r#"{"url":"ftp://example.com"}"#, "`url` must begin with http:// or https://"),
        (r#"{"url":"javascript:alert(1)"}"#, "`url` must begin with http:// or https://"),
        (r#"{"url":"https://u:p@example.com"}"#, "`url` must not hold a user name or password"),
        (
            r#"{"url":"https://example.com/\r\nX-Evil: 1"}"#,
            "`url` must not hold control characters or white space",
        ),
        (r#"{"url":"https://example.com/a b"}"#, "`url` must not hold control characters or white space"),
        (own.as_str(), "`url` must not lead back to this service"),
        (r#"{"url":"https://example.com","alias":""}"#, "`alias` must not be empty"),
        (r#"{"url":"https://example.com","alias":7}"#, "`alias` must be a string"),
        (
            r#"{"url":"https://example.com","alias":"a b"}"#,
            "`alias` may only hold the characters 0-9, a-z, A-Z and -",
        ),
        (
            r#"{"url":"https://example.com","alias":"a-"}"#,
            "`alias` must begin and end with a letter or a digit",
        ),
        (
            r#"{"url":"https://example.com","alias":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
            "`alias` must have at most 32 characters",
        ),
        (
            r#"{"url":"https://example.com","expires_at":"2099-01-01T00:00:00"}"#,
            "`expires_at` must be an RFC 3339 time with an offset, such as 2030-01-02T03:04:05Z",
        ),
        (
            r#"{"url":"https://example.com","expires_at":"2001-01-01T00:00:00Z"}"#,
            "`expires_at` must be later than now",
        ),
        (
            r#"{"url":"https://example.com","expires_at":"2999-01-01T00:00:00Z"}"#,
            "`expires_at` must be at most 1826 days ahead",
        ),
    ] {
        let reply = App::shared().post(body);
        assert_eq!((reply.status, reply.error().as_str()), (400, sentence), "{body:.80}");
    }
}

#[test]
fn a_url_of_8192_bytes_is_kept_and_sent_whole() {
    let app = App::shared();
    let url = format!("https://example.com/{}", "a".repeat(8192 - 20));
    let code = app.create(&json!({ "url": url })).code();
    assert_eq!(app.get(&format!("/v1/shortlink/{code}")).header("location"), Some(url.as_str()));
    let reply = app.create(&json!({ "url": format!("{url}a") }));
    assert_eq!(reply.error(), "`url` must have at most 8192 bytes, percent-encoded");
}

#[test]
fn a_body_over_32_kib_is_refused_announced_or_not() {
    let app = App::shared();
    let body = format!("{{\"url\":\"https://example.com\",\"x\":\"{}\"}}", "x".repeat(32 * 1024));
    assert_snapshot!(app.post(&body).shown(), @r#"
    413
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 67
    content-type: application/json
    x-content-type-options: nosniff

    {"status":413,"data":{"error":"the body must have at most 32 KiB"}}
    "#);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let json_chunked = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    assert_eq!(app.exchange("POST", "/v1/shortlink", &json_chunked, chunked.as_bytes()).status, 413);
    assert_eq!(app.post(&"x".repeat(300_000)).status, 413);
}

#[test]
fn another_content_type_is_refused() {
    let app = App::shared();
    let body = br#"{"url":"https://example.com"}"#;
    let post =
        |content_type: &str| app.exchange("POST", "/v1/shortlink", &[("content-type", content_type)], body);
    assert_snapshot!(post("text/plain").shown(), @r#"
    415
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 75
    content-type: application/json
    x-content-type-options: nosniff

    {"status":415,"data":{"error":"the content type must be application/json"}}
    "#);
    assert_eq!(app.exchange("POST", "/v1/shortlink", &[], body).status, 415);
    assert_eq!(post("application/json; charset=utf-8").status, 201);
    assert_eq!(post("Application/JSON").status, 201);
}

#[test]
fn another_method_is_refused_with_the_ones_that_are_not() {
    let app = App::shared();
    assert_snapshot!(app.get("/v1/shortlink").shown(), @r#"
    405
    access-control-allow-origin: *
    allow: POST, OPTIONS
    cache-control: no-store
    content-length: 65
    content-type: application/json
    x-content-type-options: nosniff

    {"status":405,"data":{"error":"this path answers POST, OPTIONS"}}
    "#);
    for method in ["PUT", "DELETE", "PATCH", "HEAD"] {
        assert_eq!(app.exchange(method, "/v1/shortlink", &[], b"").status, 405, "{method}");
    }
}

#[test]
fn a_browser_may_ask_first() {
    let headers = [("origin", "https://page.example"), ("access-control-request-method", "POST")];
    assert_snapshot!(App::shared().exchange("OPTIONS", "/v1/shortlink", &headers, b"").shown(), @r#"
    204
    access-control-allow-headers: content-type, authorization, x-api-key, idempotency-key
    access-control-allow-methods: POST, OPTIONS
    access-control-allow-origin: *
    access-control-max-age: 86400
    allow: POST, OPTIONS
    cache-control: no-store
    x-content-type-options: nosniff
    "#);
}
