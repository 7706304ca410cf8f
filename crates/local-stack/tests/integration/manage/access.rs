//! Who may do what, by which key.

use std::time::Duration;

use serde_json::json;

use super::Owner;
use crate::{
    app::{App, wait_until},
    http::Reply,
};

const BODY: &str = r#"{"url":"https://example.com"}"#;

fn create(app: &App, headers: &[(&str, &str)]) -> Reply {
    let headers = [&[("content-type", "application/json")], headers].concat();
    app.exchange("POST", "/v1/shortlink", &headers, BODY.as_bytes())
}

#[test]
fn a_key_that_is_sent_and_is_not_good_is_never_ignored() {
    let app = App::own();
    let good = app.key("good", &["create", "manage"]);
    let (expired, revoked) = (app.key("expired", &["create"]), app.key("revoked", &["create"]));
    app.sql(
        "update shortlink.api_key set expires_at = now() where key_name = 'expired';
         update shortlink.api_key set revoked_at = now() where key_name = 'revoked'",
    );
    let unknown = format!("slk_{}", "Z".repeat(43));
    let injected = "slk_' or '1'='1";
    for key in ["", "x", &good[..46], &format!("{good}0"), injected, &unknown, &expired, &revoked] {
        let bearer = format!("Bearer {key}");
        for header in [("authorization", bearer.as_str()), ("x-api-key", key)] {
            for reply in [
                create(&app, &[header]),
                app.exchange("GET", "/v1/links", &[header], b""),
                app.exchange("GET", "/v1/links/abc", &[header], b""),
                app.exchange("DELETE", "/v1/links/abc", &[header], b""),
            ] {
                assert_eq!(reply.status, 401, "{header:?}: {}", reply.body);
                assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
                assert_eq!(reply.error(), "the API key is not valid");
            }
        }
    }
    assert_eq!(app.count("select count(*) from shortlink.short_link"), 0);
    let twice = [("x-api-key", good.as_str()), ("x-api-key", good.as_str())];
    let bearer = format!("Bearer {unknown}");
    for headers in [twice, [("authorization", bearer.as_str()), ("x-api-key", good.as_str())]] {
        let reply = create(&app, &headers);
        assert_eq!((reply.status, reply.error().as_str()), (400, "only one API key may be sent"));
    }
    assert_eq!(create(&app, &[("x-api-key", &good)]).status, 201);
    // A proxy's own authentication is no key.
    assert_eq!(create(&app, &[("authorization", "Basic dXNlcjpwYXNz")]).status, 201);
    let none = app.exchange("GET", "/v1/links", &[("authorization", "Basic dXNlcjpwYXNz")], b"");
    assert_eq!((none.status, none.header("www-authenticate")), (401, Some("Bearer")));
}

#[test]
fn creates_may_be_for_keys_alone() {
    let app = App::with(str::to_owned, &[("create_access", "key")]);
    let (writer, reader) = (app.key("writer", &["create"]), app.key("reader", &["read"]));
    let refused = create(&app, &[]);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(refused.error(), "an API key is needed: Authorization: Bearer slk_...");
    let refused = create(&app, &[("x-api-key", &reader)]);
    assert_eq!((refused.status, refused.error().as_str()), (403, "the API key lacks the scope create"));
    assert_eq!(app.count("select count(*) from shortlink.short_link"), 0);
    assert_eq!(create(&app, &[("x-api-key", &writer)]).status, 201);
    assert_eq!(app.get("/v1/health/ready").status, 200);

    let app = App::with(str::to_owned, &[("create_access", "keys")]);
    assert_eq!(create(&app, &[]).status, 500);
    assert_eq!(app.get("/v1/health/ready").status, 500);
}

#[test]
fn each_scope_allows_what_it_says() {
    let app = App::shared();
    let owner = Owner::with(app, "scopes", &["create", "manage"]);
    for (name, scopes, may) in [
        ("only-create", &["create"][..], [201, 403, 403, 403]),
        ("only-read", &["read"], [403, 200, 403, 403]),
        ("only-manage", &["manage"], [403, 200, 404, 404]),
        ("all", &["create", "read", "manage"], [201, 200, 404, 404]),
        ("admin", &["admin"], [201, 200, 200, 204]),
    ] {
        owner.link(&format!("scopes-{name}"));
        let link = format!("/v1/links/scopes-{name}");
        let key = Owner::with(app, &format!("scope-{name}"), scopes);
        let several = format!(r#"{{"links":[{BODY}]}}"#);
        let statuses = [
            key.send("POST", "/v1/shortlink", BODY).status,
            key.get("/v1/links").status,
            key.send("PATCH", &link, r#"{"disabled":true}"#).status,
            key.send("DELETE", &link, "").status,
        ];
        assert_eq!(statuses, may, "{name}");
        let several = key.send("POST", "/v1/links", &several).status;
        assert_eq!(several, if may[0] == 201 { 200 } else { 403 }, "{name}");
    }
}

#[test]
fn somebody_elses_link_is_not_there() {
    let app = App::shared();
    let (owner, other) =
        (Owner::with(app, "own", &["create", "manage"]), Owner::with(app, "foreign", &["create", "manage"]));
    owner.link("foreign");
    app.create(&json!({ "url": "https://nobody.example", "alias": "nobodys" })).code();
    let unknown = other.get("/v1/links/foreign-unknown");
    for code in ["foreign", "nobodys"] {
        let shown = other.get(&format!("/v1/links/{code}"));
        assert_eq!(shown.shown(), unknown.shown(), "{code}");
        assert_eq!(other.change(code, &json!({ "url": "https://evil.example" })).status, 404);
        assert_eq!(other.delete(code).status, 404);
    }
    assert_eq!(other.get("/v1/links?q=foreign").json()["data"]["links"], json!([]));
    assert_eq!(super::followed(app, "foreign"), (302, Some("https://foreign.example/".into())));
    let admin = Owner::with(app, "root", &["admin"]);
    assert_eq!(admin.get("/v1/links/foreign").json()["data"]["key"], "own");
    assert_eq!(admin.get("/v1/links/nobodys").json()["data"]["key"], json!(null));
}

#[test]
fn a_key_that_is_revoked_is_dead_within_ten_seconds() {
    let app = App::own();
    let owner = Owner::with(&app, "revoked", &["create", "manage"]);
    assert_eq!(owner.get("/v1/links").status, 200);
    let revoked = std::time::Instant::now();
    app.sql("update shortlink.api_key set revoked_at = now()");
    // The instance that answers may know the key still, and no longer than that.
    wait_until("the key is refused", || {
        let asked = revoked.elapsed();
        let status = owner.get("/v1/links").status;
        assert!(status == 401 || asked < Duration::from_secs(10), "{status} after {asked:?}");
        status == 401
    });
    assert_eq!(app.count("select count(*) from shortlink.api_key where last_used_on = current_date"), 1);
}
