//! The redirect cache helps and never misleads.

use std::time::Duration;

use serde_json::json;

use crate::app::{App, rfc3339_in, unix_millis};

#[test]
fn a_code_that_was_unknown_a_moment_ago_is_seen_as_soon_as_it_exists() {
    let app = App::shared();
    assert_eq!(app.get("/v1/shortlink/was-unknown").status, 404);
    app.wait_until_cached("was-unknown", |entry| entry == b"-");
    app.create(&json!({ "url": "https://example.com", "alias": "was-unknown" })).code();
    assert_eq!(app.get("/v1/shortlink/was-unknown").status, 302);
}

#[test]
fn a_look_up_that_started_before_a_create_cannot_hide_its_link() {
    let app = App::shared();
    app.create(&json!({ "url": "https://example.com", "alias": "seen" })).code();
    app.resolve_until_cached("seen");
    let mut cache = app.cache();
    let nx: Option<String> = redis::cmd("SET")
        .arg("link:seen")
        .arg("-")
        .arg("PX")
        .arg(10_000)
        .arg("NX")
        .query(&mut cache)
        .unwrap();
    assert_eq!(nx, None, "the entry of the create stays");
    assert_eq!(app.get("/v1/shortlink/seen").status, 302);
}

#[test]
fn a_created_link_is_cached_until_it_ends_and_an_hour_at_most() {
    let app = App::shared();
    app.create(&json!({ "url": "https://example.com", "alias": "hour" })).code();
    let (expires_at, end) = rfc3339_in(Duration::from_mins(5));
    app.create(&json!({ "url": "https://example.com", "alias": "minutes", "expires_at": expires_at })).code();
    app.resolve_until_cached("hour");
    app.resolve_until_cached("minutes");
    // An hour, less up to a tenth of it that depends on the code.
    assert!((3_230_000..=3_600_000).contains(&app.cached_for_millis("hour")));
    let (cached, left) = (app.cached_for_millis("minutes"), end - unix_millis());
    // Redis counts from when the entry arrived: on a busy machine later than its lifetime was computed.
    assert!((cached - left).abs() < 60_000, "cached for {cached} ms, {left} ms before its end");
}

#[test]
fn an_empty_cache_is_filled_from_postgres() {
    let app = App::own();
    app.store("refilled");
    assert_eq!(app.get("/v1/shortlink/refilled").header("location"), Some("https://refilled.example/"));
    app.wait_until_cached("refilled", |entry| entry.ends_with(b" https://refilled.example/"));
}

#[test]
fn garbage_in_the_cache_is_a_miss_and_is_overwritten() {
    let app = App::own();
    app.create(&json!({ "url": "https://example.com", "alias": "garbage" })).code();
    app.resolve_until_cached("garbage");
    let entry = app.cached("garbage").unwrap();
    let overlong = format!("99999999999999 https://example.com/{}", "a".repeat(9000));
    for value in [
        "",
        "nonsense",
        "99999999999999 javascript:alert(1)",
        "99999999999999 https://evil.example/\r\nset-cookie: a=b",
        "99999999999999 https://u:p@evil.example/",
        "1 https://example.com/old",
        overlong.as_str(),
    ] {
        app.set_cached("garbage", value);
        let reply = app.get("/v1/shortlink/garbage");
        assert_eq!(
            (reply.status, reply.header("location")),
            (302, Some("https://example.com/")),
            "{value:.60}"
        );
        app.wait_until_cached("garbage", |overwritten| overwritten == entry);
    }
}

#[test]
fn a_value_of_another_type_is_a_miss_and_is_overwritten() {
    let app = App::own();
    app.store("wrong-type");
    let _: i64 = redis::cmd("RPUSH").arg("link:wrong-type").arg("x").query(&mut app.cache()).unwrap();
    assert_eq!(app.get("/v1/shortlink/wrong-type").status, 302);
    app.wait_until_cached("wrong-type", |entry| entry.ends_with(b" https://wrong-type.example/"));
}
