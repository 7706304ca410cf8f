//! Links end when they said they would.

use std::{
    thread::{self, sleep},
    time::Duration,
};

use serde_json::json;

use crate::{
    app::{App, rfc3339_in, sleep_until, unix_millis},
    faults::recovery,
};

#[test]
fn a_link_leads_on_until_its_second_has_come_and_never_after() {
    let app = App::shared();
    app.warm();
    let (expires_at, end) = rfc3339_in(Duration::from_secs(3));
    app.create(&json!({ "url": "https://example.com", "alias": "short-lived", "expires_at": expires_at }))
        .code();
    let mut followed = 0;
    loop {
        let before = unix_millis();
        let reply = app.get("/v1/shortlink/short-lived");
        let after = unix_millis();
        match reply.status {
            302 => assert!(before < end, "a redirect {} ms after the expiry", before - end),
            410 => {
                assert!(after >= end, "gone {} ms before the expiry", end - after);
                break;
            }
            status => panic!("{status}: {}", reply.body),
        }
        followed += 1;
        // nginx keeps an answer to the end of its last second.
        let seconds_left = ((end - before) / 1000 - 1).max(0);
        let edge_ttl = reply.edge_ttl();
        assert!(edge_ttl <= seconds_left, "a shared cache may keep it for {edge_ttl} s of {seconds_left} s");
        sleep(Duration::from_millis(20));
    }
    assert!(followed > 10, "followed {followed} times");
    insta::assert_snapshot!(app.get("/v1/shortlink/short-lived").shown(), @r#"
    410
    access-control-allow-origin: *
    cache-control: no-store
    content-length: 86
    content-type: application/json
    x-content-type-options: nosniff

    {"status":410,"data":{"error":"the link with this code has expired or was withdrawn"}}
    "#);
}

#[test]
fn a_slow_look_up_does_not_let_a_cache_keep_a_link_past_its_expiry() {
    let app = App::own();
    app.warm();
    let (expires_at, end) = rfc3339_in(Duration::from_secs(8));
    app.sql(&format!(
        "select from shortlink.create_short_link('slow', 'https://example.com/', '{expires_at}', true, 0, 0)"
    ));
    // Counted from the time of the request, there would be a second too many.
    sleep_until(end - 5_150);
    thread::scope(|scope| {
        // Until a second and a bit of the link's time is gone, whenever the look-up came.
        scope.spawn(|| {
            app.sql(&format!(
                "begin; lock table shortlink.short_code;
                 select pg_sleep(greatest(0, {} / 1000.0 - extract(epoch from clock_timestamp()))); rollback",
                end - 3_950
            ))
        });
        let lock = "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted \
                    and relation = 'shortlink.short_code'::regclass";
        recovery(|| app.count(lock) > 0);
        let reply = app.get("/v1/shortlink/slow");
        let left = end - unix_millis();
        assert!(left < 3_950, "it was not slow: {left} ms left");
        assert_eq!(reply.status, 302, "{}", reply.body);
        assert!(reply.edge_ttl() * 1000 <= left, "{} s of {left} ms", reply.edge_ttl());
    });
}

#[test]
fn an_expired_alias_is_free_and_its_new_link_is_seen_at_once() {
    let app = App::shared();
    app.warm();
    let (expires_at, end) = rfc3339_in(Duration::from_secs(3));
    app.create(&json!({ "url": "https://one.example", "alias": "reborn", "expires_at": expires_at })).code();
    assert_eq!(app.get("/v1/shortlink/reborn").status, 302);
    sleep_until(end);
    assert_eq!(app.get("/v1/shortlink/reborn").status, 410);
    app.create(&json!({ "url": "https://two.example", "alias": "reborn" })).code();
    assert_eq!(app.get("/v1/shortlink/reborn").header("location"), Some("https://two.example/"));
}

#[test]
fn offsets_count() {
    let app = App::shared();
    let in_an_hour = (chrono::Utc::now() + Duration::from_hours(1))
        .with_timezone(&chrono::FixedOffset::east_opt(19800).unwrap());
    app.create(
        &json!({ "url": "https://example.com", "alias": "offset", "expires_at": in_an_hour.to_rfc3339() }),
    )
    .code();
    assert_eq!(app.get("/v1/shortlink/offset").status, 302);
}
