//! Settings reach the components, and bad ones are reported to the operator only.

use std::net::Ipv6Addr;

use serde_json::json;
use shortlink_local_stack::fault_proxy::FaultProxy;

use crate::app::{App, SERVERS};

#[test]
fn a_bad_value_is_logged_by_name_and_not_shown_to_callers() {
    let app = App::with(str::to_owned, &[("cache_ttl_seconds", "soon")]);
    for reply in [app.get("/v1/shortlink/x"), app.create(&json!({ "url": "https://example.com" }))] {
        assert_eq!(reply.status, 500);
        assert!(!reply.body.contains("cache_ttl_seconds") && !reply.body.contains("soon"), "{}", reply.body);
    }
    app.wait_for_log("cache_ttl_seconds");
    assert_eq!(app.get("/v1/health").status, 200);
}

#[test]
fn nobody_is_ready_with_a_value_that_any_component_cannot_use() {
    for (name, value) in [
        ("default_ttl_days", "0"),
        ("max_ttl_days", "many"),
        ("cache_ttl_seconds", ""),
        ("hot_link_ttl_millis", "-1"),
        ("pool_prefetch", "0"),
        ("edge_ttl_seconds", "abc"),
        ("redirect_max_age", "1.5"),
        ("public_hosts", "https://sho.rt"),
        ("allowed_origins", "foo bar"),
        ("postgres_sslmode", "maybe"),
    ] {
        let app = App::with(str::to_owned, &[(name, value)]);
        assert_eq!(app.get("/v1/health/ready").status, 500, "{name}");
        app.wait_for_log(name);
    }
}

#[test]
fn the_settings_of_the_contract_take_effect() {
    let app = App::with(
        str::to_owned,
        &[
            ("default_ttl_days", "1"),
            ("max_ttl_days", "2"),
            ("edge_ttl_seconds", "60"),
            ("redirect_max_age", "5"),
            ("public_hosts", "sho.rt"),
            ("allowed_origins", "https://page.example"),
        ],
    );
    let (far, _) = crate::app::rfc3339_in(std::time::Duration::from_hours(72));
    let refused = app.create(&json!({ "url": "https://sho.rt/x", "expires_at": far }));
    assert_eq!(
        refused.error(),
        "`url` must not lead back to this service; `expires_at` must be at most 2 days ahead"
    );
    let origin = [("origin", "https://page.example"), ("content-type", "application/json")];
    let reply =
        app.exchange("POST", "/v1/shortlink", &origin, br#"{"url":"https://example.com","alias":"set"}"#);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://page.example"));
    assert_eq!(reply.header("vary"), Some("origin"));
    let reply = app.get("/v1/shortlink/set");
    assert_eq!(reply.header("cache-control"), Some("public, max-age=5, s-maxage=60"));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert_eq!(app.count("select count(*) from shortlink.short_link where expires_at between now() + '23 hours' and now() + '25 hours'"), 1);
}

#[test]
fn with_postgres_out_of_reach_nothing_is_lost_or_answered_wrongly() {
    let app = App::with(str::to_owned, &[("postgres_port", "1")]);
    app.set_cached("cached-link", "99999999999999 https://example.com/");
    assert_eq!(app.get("/v1/shortlink/cached-link").status, 302, "the cache goes on");
    for reply in [
        app.get("/v1/shortlink/not-cached"),
        app.create(&json!({ "url": "https://example.com" })),
        app.get("/v1/health/ready"),
    ] {
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{}", reply.body);
        assert!(
            !reply.body.contains("127.0.0.1") && !reply.body.to_lowercase().contains("connect"),
            "{}",
            reply.body
        );
    }
    assert!(!app.log().contains(&App::app_password()), "{}", app.log());
}

#[test]
fn with_the_cache_out_of_reach_redirects_come_from_postgres() {
    let app = App::with(str::to_owned, &[("redis_cache_port", "1"), ("redis_codes_port", "1")]);
    let code = app.create(&json!({ "url": "https://example.com" })).code();
    assert_eq!(app.get(&format!("/v1/shortlink/{code}")).status, 302);
    let ready = app.get("/v1/health/ready");
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["checks"]["redis_cache"], "degraded");
}

#[test]
fn servers_may_have_an_ipv6_address() {
    // The client of Spin's Postgres looks for the brackets in the certificate too.
    if SERVERS.site.tls().is_some() {
        return;
    }
    let ports = &SERVERS.ports;
    let proxy = |port| FaultProxy::listening(Ipv6Addr::LOCALHOST.into(), port).unwrap();
    let (postgres, cache, codes) = (proxy(ports.postgres), proxy(ports.cache), proxy(ports.codes));
    let port = |proxy: &FaultProxy| proxy.port().to_string();
    let app = App::with(
        str::to_owned,
        &[
            ("postgres_host", "[::1]"),
            ("redis_cache_host", "[::1]"),
            ("redis_codes_host", "[::1]"),
            ("postgres_port", &port(&postgres)),
            ("redis_cache_port", &port(&cache)),
            ("redis_codes_port", &port(&codes)),
        ],
    );
    let ready = app.get("/v1/health/ready");
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("ok")), "{}", ready.body);
    let code = app.create(&json!({ "url": "https://six.example" })).code();
    app.resolve_until_cached(&code);
}
