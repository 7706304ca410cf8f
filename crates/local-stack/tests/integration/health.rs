//! `GET /v1/health` and `GET /v1/health/ready`.

use insta::assert_snapshot;
use serde_json::json;

use crate::app::App;

#[test]
fn a_process_that_answers_is_healthy() {
    assert_snapshot!(App::shared().get("/v1/health").shown(), @r#"
    200
    cache-control: no-store
    content-length: 15
    content-type: application/json
    x-content-type-options: nosniff

    {"status":"ok"}
    "#);
}

#[test]
fn a_service_with_everything_it_needs_is_ready() {
    let app = App::own();
    app.fill(250);
    assert_snapshot!(app.get("/v1/health/ready").shown(), @r#"
    200
    cache-control: no-store
    content-length: 119
    content-type: application/json
    x-content-type-options: nosniff

    {"status":"ok","checks":{"postgres":"ok","redis_cache":"ok","redis_codes":"ok","partition":"ok"},"codes_available":250}
    "#);
}

#[test]
fn an_empty_pool_degrades_and_the_service_stays_ready() {
    let reply = App::own().get("/v1/health/ready");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["checks"]["redis_codes"], "degraded");
    assert_eq!(reply.json()["codes_available"], json!(0));
}

#[test]
fn another_method_is_refused() {
    let reply = App::shared().exchange("POST", "/v1/health", &[("content-type", "application/json")], b"{}");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn head_is_answered_for_load_balancers() {
    for path in ["/v1/health", "/v1/health/ready"] {
        let reply = App::shared().exchange("HEAD", path, &[], b"");
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    }
}
