//! An instance remembers the links it followed a moment ago, and is never wrong because of it.

use std::{
    collections::BTreeSet,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::app::{App, rfc3339_in, sleep_until, unix_millis};

/// Takes a link out of everything but the instances' memory, once nothing writes it to the cache any more.
fn remove(app: &App, code: &str) {
    app.resolve_until_cached(code);
    app.sql(&format!(
        "delete from shortlink.short_link where short_code = '{code}'; \
         delete from shortlink.short_code where short_code = '{code}'"
    ));
    app.uncache(code);
}

#[test]
fn a_hot_link_is_followed_without_cache_and_postgres() {
    let app = App::with(str::to_owned, &[("hot_link_ttl_millis", "60000")]);
    app.create(&json!({ "url": "https://example.com", "alias": "hot" })).code();
    assert_eq!(app.get("/v1/shortlink/hot").status, 302);
    remove(&app, "hot");
    for _ in 0..20 {
        assert_eq!(app.get("/v1/shortlink/hot").header("location"), Some("https://example.com/"));
    }
}

#[test]
fn a_link_that_is_followed_again_gets_the_same_answer() {
    let app = App::with(str::to_owned, &[("hot_link_ttl_millis", "60000")]);
    app.create(&json!({ "url": "https://example.com/one", "alias": "one" })).code();
    app.create(&json!({ "url": "https://example.com/two", "alias": "two" })).code();
    for code in ["one", "two"] {
        let path = format!("/v1/shortlink/{code}");
        let first = app.get(&path);
        assert_eq!(
            (first.status, first.header("location")),
            (302, Some(&*format!("https://example.com/{code}")))
        );
        for _ in 0..3 {
            assert_eq!(app.get(&path).headers, first.headers);
        }
    }
}

#[test]
fn a_link_that_was_removed_is_forgotten_when_its_time_in_memory_is_over() {
    let app = App::with(str::to_owned, &[("hot_link_ttl_millis", "300")]);
    app.create(&json!({ "url": "https://example.com", "alias": "removed" })).code();
    assert_eq!(app.get("/v1/shortlink/removed").status, 302);
    let began = Instant::now();
    remove(&app, "removed");
    while app.get("/v1/shortlink/removed").status == 302 {
        assert!(began.elapsed() < Duration::from_secs(10), "following a link keeps it in memory");
    }
    assert_eq!(app.get("/v1/shortlink/removed").status, 404);
}

#[test]
fn a_hot_link_is_over_when_it_expires() {
    let app = App::with(str::to_owned, &[("hot_link_ttl_millis", "60000")]);
    app.warm();
    let (expires_at, at) = rfc3339_in(Duration::from_secs(3));
    app.create(&json!({ "url": "https://example.com", "alias": "short", "expires_at": expires_at })).code();
    let mut followed = 0;
    loop {
        let asked_at = unix_millis();
        let reply = app.get("/v1/shortlink/short");
        if reply.status != 302 {
            assert_eq!(reply.status, 410);
            assert!(unix_millis() >= at, "it expired early");
            break;
        }
        assert!(asked_at < at, "it leads on after its time");
        followed += 1;
    }
    assert!(followed > 0);
}

#[test]
fn no_shared_cache_keeps_a_hot_link_past_its_expiry() {
    let app = App::with(str::to_owned, &[("hot_link_ttl_millis", "60000"), ("edge_ttl_seconds", "2")]);
    app.warm();
    let (expires_at, end) = rfc3339_in(Duration::from_secs(5));
    app.create(&json!({ "url": "https://example.com", "alias": "nearing", "expires_at": expires_at })).code();
    let mut seen = BTreeSet::new();
    loop {
        let before = unix_millis();
        let reply = app.get("/v1/shortlink/nearing");
        if reply.status != 302 {
            break;
        }
        let edge_ttl = reply.edge_ttl();
        assert!(edge_ttl <= ((end - before) / 1000 - 1).max(0), "{edge_ttl} s, {} ms left", end - before);
        seen.insert(edge_ttl);
        sleep(Duration::from_millis(20));
    }
    assert_eq!(seen, [0, 1, 2].into(), "it is the same for a while, and then less and less");
}

#[test]
fn a_hot_link_names_the_origin_that_asks_and_no_other() {
    let origins = "https://a.example,https://b.example";
    let app = App::with(str::to_owned, &[("hot_link_ttl_millis", "60000"), ("allowed_origins", origins)]);
    app.create(&json!({ "url": "https://example.com", "alias": "origins" })).code();
    for _ in 0..3 {
        for (origin, is_allowed) in
            [("https://a.example", true), ("https://b.example", true), ("https://c.example", false)]
        {
            let reply = app.exchange("GET", "/v1/shortlink/origins", &[("origin", origin)], b"");
            assert_eq!(reply.header("access-control-allow-origin"), is_allowed.then_some(origin));
            assert_eq!((reply.status, reply.header("vary")), (302, Some("origin")));
        }
    }
}

#[test]
fn a_code_without_a_link_is_not_remembered() {
    let app = App::with(str::to_owned, &[("hot_link_ttl_millis", "60000")]);
    for _ in 0..3 {
        assert_eq!(app.get("/v1/shortlink/late").status, 404);
    }
    app.create(&json!({ "url": "https://example.com", "alias": "late" })).code();
    assert_eq!(app.get("/v1/shortlink/late").status, 302);
}

#[test]
fn an_alias_that_is_made_again_after_its_expiry_leads_to_its_new_url() {
    let app = App::with(str::to_owned, &[("hot_link_ttl_millis", "60000")]);
    app.warm();
    let (expires_at, at) = rfc3339_in(Duration::from_secs(3));
    let first = json!({ "url": "https://one.example", "alias": "again", "expires_at": expires_at });
    app.create(&first).code();
    assert_eq!(app.get("/v1/shortlink/again").header("location"), Some("https://one.example/"));
    sleep_until(at);
    app.create(&json!({ "url": "https://two.example", "alias": "again" })).code();
    assert_eq!(app.get("/v1/shortlink/again").header("location"), Some("https://two.example/"));
}
