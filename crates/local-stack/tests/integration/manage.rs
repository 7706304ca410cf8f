//! `/v1/links`: what the owner of links does with them.

mod access;
mod coherence;
mod list;
mod several;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    app::{App, rfc3339_in},
    e2e::FrontDoor,
    http::{Reply, send},
};

/// The owner of links, by a key and an address.
pub struct Owner<'a> {
    pub app: &'a App,
    pub key: String,
}

impl<'a> Owner<'a> {
    pub fn with(app: &'a App, name: &str, scopes: &[&str]) -> Self {
        Self { app, key: app.key(name, scopes) }
    }

    pub fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {}", self.key);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.app.exchange(method, path, &headers, body.as_bytes())
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "")
    }

    pub fn create(&self, body: &Value) -> Reply {
        self.send("POST", "/v1/shortlink", &body.to_string())
    }

    pub fn link(&self, alias: &str) {
        self.create(&json!({ "url": format!("https://{alias}.example"), "alias": alias })).code();
    }

    pub fn change(&self, code: &str, body: &Value) -> Reply {
        self.send("PATCH", &format!("/v1/links/{code}"), &body.to_string())
    }

    pub fn delete(&self, code: &str) -> Reply {
        self.send("DELETE", &format!("/v1/links/{code}"), "")
    }
}

/// The status and the target of a link.
fn followed(app: &App, code: &str) -> (u16, Option<String>) {
    let reply = app.get(&format!("/{code}"));
    (reply.status, reply.header("location").map(str::to_owned))
}

#[test]
fn a_link_is_shown_changed_disabled_enabled_and_deleted_by_its_owner() {
    let app = App::with(str::to_owned, &[("max_ttl_days", "0"), ("alias_quarantine_days", "30")]);
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    let created = owner.create(&json!({ "url": "https://one.example", "alias": "own" }));
    assert_eq!(created.json(), json!({ "status": 201, "data": { "code": "own" } }));

    let shown = owner.get("/v1/links/own");
    assert_eq!((shown.status, shown.header("cache-control")), (200, Some("no-store")), "{}", shown.body);
    let data = shown.json()["data"].clone();
    let names: Vec<_> = data.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["code", "created_at", "expires_at", "is_custom", "key", "state", "updated_at", "url"]);
    assert_eq!(data["url"], "https://one.example/");
    assert_eq!(data["created_at"], data["updated_at"]);
    assert_eq!(
        (&data["is_custom"], &data["state"], &data["key"]),
        (&json!(true), &json!("live"), &json!("ci"))
    );

    let change = |body: Value| {
        let reply = owner.change("own", &body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.json(), owner.get("/v1/links/own").json(), "what is answered is what is stored");
        reply.json()["data"].clone()
    };
    let changed = change(json!({ "url": "https://two.example" }));
    assert_ne!(changed["updated_at"], changed["created_at"]);
    assert_eq!(followed(&app, "own"), (302, Some("https://two.example/".into())));
    assert_eq!(change(json!({ "expires_at": "never" }))["expires_at"], Value::Null);
    let expires_at = "2031-01-01T00:00:00.000Z";
    assert_eq!(change(json!({ "expires_at": expires_at }))["expires_at"], expires_at);

    assert_eq!(change(json!({ "disabled": true }))["state"], "disabled");
    assert_eq!(followed(&app, "own"), (410, None));
    assert_eq!(app.get("/own+").status, 410);
    assert_eq!(app.create(&json!({ "url": "https://x.example", "alias": "own" })).status, 409);
    assert_eq!(change(json!({ "disabled": false, "url": "https://three.example" }))["state"], "live");
    assert_eq!(followed(&app, "own"), (302, Some("https://three.example/".into())));

    let deleted = owner.delete("own");
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_eq!(followed(&app, "own"), (410, None));
    assert_eq!(owner.delete("own").status, 404);
    assert_eq!(owner.change("own", &json!({ "disabled": false })).status, 404);
    assert_eq!(owner.get("/v1/links/own").json()["data"]["state"], "deleted");

    // Its code is in quarantine, but not for its owner.
    let again = json!({ "url": "https://four.example", "alias": "own" });
    assert_eq!(app.create(&again).status, 409);
    assert_eq!(Owner::with(&app, "other", &["create"]).create(&again).status, 409);
    assert_eq!(owner.create(&again).status, 201);
    assert_eq!(followed(&app, "own"), (302, Some("https://four.example/".into())));
}

#[test]
fn the_front_door_passes_everything_on_and_keeps_nothing() {
    let app = App::shared();
    let door = FrontDoor::before(app);
    let owner = Owner::with(app, "door", &["create", "manage"]);
    owner.link("door-link");
    let headers = [("x-api-key", owner.key.as_str()), ("content-type", "application/json")];
    let ask =
        |method: &str, path: &str, body: &str| send(door.addr(), method, path, &headers, body.as_bytes());
    for _ in 0..2 {
        let shown = ask("GET", "/v1/links/door-link", "");
        assert_eq!((shown.status, shown.header("x-cache")), (200, None), "{}", shown.shown());
        assert_eq!(send(door.addr(), "GET", "/v1/links/door-link", &[], b"").status, 401);
    }
    assert_eq!(ask("GET", "/v1/links?limit=1", "").json()["data"]["links"][0]["code"], "door-link");
    assert_eq!(ask("PATCH", "/v1/links/door-link", r#"{"disabled":true}"#).status, 200);
    let long = format!(r#"{{"links":[{{"url":"https://example.com/{}"}}]}}"#, "a".repeat(900 * 1024));
    let refused = ask("POST", "/v1/links", &long).json()["data"]["results"][0]["status"].clone();
    assert_eq!(refused, 400, "a body of 900 KiB arrives");
    assert_eq!(ask("POST", "/v1/links", &"a".repeat(2 << 20)).status, 413);
    assert_eq!(ask("DELETE", "/v1/links/door-link", "").status, 204);
    let preflight = send(door.addr(), "OPTIONS", "/v1/links/x", &[("origin", "https://page.example")], b"");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, PATCH, DELETE, OPTIONS"));
    for (method, path, allow) in [
        ("PUT", "/v1/links/x", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("POST", "/v1/links/x", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("DELETE", "/v1/links", "GET, HEAD, POST, OPTIONS"),
    ] {
        let reply = ask(method, path, "");
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    for path in ["/v1/links/", "/v1/links/a/b", "//v1/links"] {
        assert!(matches!(ask("GET", path, "").status, 400 | 404), "{path}");
    }
}

#[test]
fn a_change_that_cannot_be_is_refused_and_changes_nothing() {
    let app = App::shared();
    let owner = Owner::with(app, "refused", &["create", "manage"]);
    owner.link("refused");
    let before = owner.get("/v1/links/refused").json();
    for (body, problem) in [
        (json!({}), "nothing to change: give `url`, `expires_at` or `disabled`"),
        (json!({ "code": "other" }), "only `url`, `expires_at` and `disabled` can be changed"),
        (
            json!({ "key": "other", "disabled": true }),
            "only `url`, `expires_at` and `disabled` can be changed",
        ),
        (json!({ "url": "ftp://x.example" }), "`url` must begin with http:// or https://"),
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), "`expires_at` must be later than now"),
        (json!({ "disabled": "yes" }), "`disabled` must be true or false"),
    ] {
        let reply = owner.change("refused", &body);
        assert_eq!((reply.status, reply.error().as_str()), (400, problem), "{body}");
    }
    assert_eq!(owner.send("PATCH", "/v1/links/refused", "{\"disabled\":true").status, 400);
    assert_eq!(owner.change("not-there", &json!({ "disabled": true })).status, 404);
    assert_eq!(owner.change("a.b", &json!({ "disabled": true })).status, 400);
    let bearer = format!("Bearer {}", owner.key);
    let plain = app.exchange("PATCH", "/v1/links/refused", &[("authorization", &bearer)], b"{}");
    assert_eq!(plain.status, 415);
    let long = format!(r#"{{"url":"https://example.com/{}"}}"#, "a".repeat(40 * 1024));
    assert_eq!(owner.send("PATCH", "/v1/links/refused", &long).status, 413);
    assert_eq!(owner.get("/v1/links/refused").json(), before);
}

#[test]
fn a_link_that_has_expired_may_be_given_a_new_end() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    owner.link("over");
    app.sql(
        "update shortlink.short_code set expires_at = now() where short_code = 'over';
         update shortlink.short_link set expires_at = now() where short_code = 'over'",
    );
    app.uncache("over");
    assert_eq!(followed(&app, "over"), (410, None));
    assert_eq!(owner.get("/v1/links/over").json()["data"]["state"], "expired");
    let reply = owner.change("over", &json!({ "expires_at": rfc3339_in(Duration::from_hours(1)).0 }));
    assert_eq!(reply.json()["data"]["state"], "live", "{}", reply.body);
    assert_eq!(followed(&app, "over"), (302, Some("https://over.example/".into())));
}

#[test]
fn no_link_may_lead_to_a_blocked_host() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    owner.link("honest");
    app.sql("insert into shortlink.blocked_host values ('evil.example'), ('xn--bcher-kva.example')");
    let blocked = "`url` leads to a host that is blocked here";
    for url in [
        "https://evil.example",
        "http://www.EVIL.example:8080/x?y#z",
        "https://evil.example./",
        "https://bücher.example/",
    ] {
        let create = app.create(&json!({ "url": url }));
        assert_eq!((create.status, create.error().as_str()), (400, blocked), "{url}");
        let change = owner.change("honest", &json!({ "url": url }));
        assert_eq!((change.status, change.error().as_str()), (400, blocked), "{url}");
        let several = json!({ "links": [{ "url": url }, { "url": "https://fine.example" }] });
        let several = owner.send("POST", "/v1/links", &several.to_string()).json();
        let statuses = [0, 1].map(|i| several["data"]["results"][i]["status"].clone());
        assert_eq!(statuses, [400, 201], "{several}");
    }
    // A link that was there before stays, unless it was disabled with the block.
    app.sql("insert into shortlink.blocked_host values ('honest.example')");
    assert_eq!(followed(&app, "honest").0, 302);
    assert_eq!(owner.change("honest", &json!({ "disabled": true })).status, 200);
    let enabled = owner.change("honest", &json!({ "disabled": false }));
    assert_eq!((enabled.status, enabled.error().as_str()), (400, blocked));
    let moved = json!({ "disabled": false, "url": "https://moved.example" });
    assert_eq!(owner.change("honest", &moved).status, 200);
    // Nor is the end of one that has expired moved.
    app.sql(
        "insert into shortlink.blocked_host values ('moved.example');
         update shortlink.short_code set expires_at = now() where short_code = 'honest';
         update shortlink.short_link set expires_at = now() where short_code = 'honest'",
    );
    let revived = owner.change("honest", &json!({ "expires_at": rfc3339_in(Duration::from_hours(1)).0 }));
    assert_eq!((revived.status, revived.error().as_str()), (400, blocked));
    for url in ["https://notevil.example", "https://example/evil.example", "https://evil.example.org/"] {
        assert_eq!(app.create(&json!({ "url": url })).status, 201, "{url}");
    }
}

#[test]
fn changes_are_logged_with_the_name_of_the_key_and_never_the_key() {
    let app = App::own();
    let owner = Owner::with(&app, "auditor", &["create", "manage"]);
    owner.link("logged");
    owner.change("logged", &json!({ "disabled": true }));
    owner.delete("logged");
    app.wait_for_log(r#"{"level":"info","operation":"change","key":"auditor","code":"logged"}"#);
    app.wait_for_log(r#"{"level":"info","operation":"delete","key":"auditor","code":"logged"}"#);
    assert!(!app.log().contains(&owner.key), "{}", app.log());
}
