//! Links at the root: `/{code}` is the short link, `/{code}+` its preview.

use serde_json::{Value, json};

use crate::{
    app::{App, rfc3339_in},
    e2e::FrontDoor,
    http::{Reply, send},
};

/// The headers that every connection sets, and the time.
fn comparable(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let is_compared = |name: &String| !matches!(name.as_str(), "date" | "x-cache" | "connection" | "server");
    let headers = reply.headers.iter().filter(|(name, _)| is_compared(name)).cloned().collect();
    (reply.status, headers, reply.body.clone())
}

#[test]
fn a_link_at_the_root_answers_as_the_longer_path_does() {
    let app = App::shared();
    let door = FrontDoor::before(app);
    app.create(&json!({ "url": "https://example.com/x?y=1#z", "alias": "root-live" })).code();
    app.store("root-over");
    app.sql(
        "update shortlink.short_code set expires_at = now() where short_code = 'root-over';
         update shortlink.short_link set expires_at = now() where short_code = 'root-over'",
    );
    for (code, status) in
        [("root-live", 302), ("root-over", 410), ("root-unknown", 404), ("root_unknown", 404)]
    {
        for method in ["GET", "HEAD"] {
            for addr in [app.addr(), door.addr()] {
                let ask = |path: &str| comparable(&send(addr, method, path, &[], b""));
                let expected = ask(&format!("/v1/shortlink/{code}"));
                assert_eq!(expected.0, status, "{code}");
                for path in
                    [format!("/{code}"), format!("/{code}/"), format!("/{code}?utm=1"), format!("/{code}/?a")]
                {
                    assert_eq!(ask(&path), expected, "{method} {path}");
                }
            }
        }
    }
}

#[test]
fn the_front_door_keeps_one_entry_for_all_paths_of_a_link() {
    let app = App::shared();
    let door = FrontDoor::before(app);
    let code = app.create(&json!({ "url": "https://example.com/one-entry" })).code();
    let cache = |path: &str| door.get(path).header("x-cache").map(str::to_owned);
    assert_eq!(cache(&format!("/{code}")).as_deref(), Some("MISS"));
    for path in
        [format!("/{code}/"), format!("/v1/shortlink/{code}"), format!("/{code}?utm=1"), format!("/{code}")]
    {
        assert_eq!(cache(&path).as_deref(), Some("HIT"), "{path}");
    }
    // Not a path of this link, so it must not get its entry.
    for (path, status) in
        [(format!("/v1/shortlink/{code}/"), 404), (format!("//{code}"), 404), (format!("/{code}+"), 200)]
    {
        assert_eq!(door.get(&path).status, status, "{path}");
    }
}

#[test]
fn a_link_whose_code_is_a_word_of_the_service_shares_no_entry_with_its_path() {
    let app = App::shared();
    let door = FrontDoor::before(app);
    // As a version before may have stored it.
    app.store("login");
    for _ in 0..2 {
        assert_eq!(door.get("/v1/shortlink/login").status, 302);
        assert_eq!(door.get("/login").status, 404);
        assert_eq!(door.get("/login/?x").status, 404);
    }
}

#[test]
fn what_is_no_code_is_no_path_at_the_root() {
    let app = App::shared();
    let door = FrontDoor::before(app);
    for addr in [app.addr(), door.addr()] {
        let long = format!("/{}", "a".repeat(65));
        for path in [
            "/",
            "/a.b",
            "/favicon.ico",
            "/%61bc",
            "/a%2Fb",
            "/v1",
            "/docs",
            "/docs+",
            "/+",
            "/a/b",
            "//abc",
            &long,
        ] {
            for method in ["GET", "POST"] {
                let reply = send(addr, method, path, &[], b"");
                assert_eq!(reply.status, 404, "{method} {path}: {}", reply.shown());
                assert_eq!(reply.error(), "there is nothing at this path", "{path}");
            }
        }
        let reply = send(addr, "DELETE", "/some-code", &[], b"");
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
        assert_eq!(send(addr, "OPTIONS", "/some-code", &[], b"").status, 204);
    }
}

#[test]
fn a_preview_says_where_a_link_leads_and_until_when() {
    let app = App::with(str::to_owned, &[("max_ttl_days", "0")]);
    let door = FrontDoor::before(&app);
    let (expires_at, end) = rfc3339_in(std::time::Duration::from_hours(1));
    let url = "https://example.com/?q=<script>alert(1)</script>&a=\"'";
    app.create(&json!({ "url": url, "alias": "shown", "expires_at": expires_at })).code();
    app.create(&json!({ "url": "https://example.com", "alias": "endless", "expires_at": "never" })).code();
    for addr in [app.addr(), door.addr()] {
        let get = |path: &str| send(addr, "GET", path, &[], b"");
        let reply = get("/shown+");
        let data = &reply.json()["data"];
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(data["code"], "shown");
        assert_eq!(
            data["url"],
            url.replace('<', "%3C").replace('>', "%3E").replace('"', "%22").replace('\'', "%27")
        );
        let time = |name: &str| chrono::DateTime::parse_from_rfc3339(data[name].as_str().unwrap()).unwrap();
        assert_eq!(time("expires_at").timestamp_millis(), end);
        assert!((chrono::Utc::now() - time("created_at").to_utc()).num_minutes() < 5);
        assert_eq!(get("/endless+").json()["data"]["expires_at"], Value::Null);
        assert_eq!(get("/shown+/").status, 200);
        assert_eq!(
            (get("/nobody+").status, get("/nobody+").error()),
            (404, "there is no link with this code".into())
        );
    }
    app.sql("update shortlink.short_link set expires_at = now() where short_code = 'shown'");
    assert_eq!(app.get("/shown+").status, 410);
}

#[test]
fn links_may_have_no_end_where_there_is_no_limit() {
    let body = json!({ "url": "https://example.com", "alias": "endless", "expires_at": "never" });
    let refused = App::shared().create(&body);
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (400, "`expires_at` must be at most 1826 days ahead: links without an end are not allowed here")
    );
    let app = App::with(str::to_owned, &[("max_ttl_days", "0"), ("default_ttl_days", "36500")]);
    app.create(&body).code();
    app.create(
        &json!({ "url": "https://example.com", "alias": "far", "expires_at": "9999-12-31T23:59:59Z" }),
    )
    .code();
    for cache in ["hit", "miss"] {
        for path in ["/endless", "/far", "/v1/shortlink/endless"] {
            let reply = app.get(path);
            assert_eq!((reply.status, reply.edge_ttl()), (302, 10), "{cache} {path}");
        }
        app.resolve_until_cached("endless");
        app.uncache("endless");
        app.uncache("far");
    }
    // Several at once go another way into Postgres.
    std::thread::scope(|scope| {
        for number in 0..32 {
            let (app, body) = (
                &app,
                json!({ "url": "https://example.com", "alias": format!("endless-{number}"), "expires_at": "never" }),
            );
            scope.spawn(move || app.create(&body).code());
        }
    });
    assert_eq!(app.count("select count(*) from shortlink.short_link where expires_at = 'infinity'"), 33);
    assert_eq!(app.create(&body).status, 409);
}

#[test]
fn codes_of_other_shorteners_resolve_and_are_no_aliases() {
    let app = App::shared();
    let long = "L".repeat(64);
    for code in ["_", "-x-", "a_b", &long] {
        app.store(code);
        for path in [format!("/{code}"), format!("/v1/shortlink/{code}")] {
            assert_eq!(app.get(&path).status, 302, "{path}");
        }
        let refused = app.create(&json!({ "url": "https://example.com", "alias": code }));
        assert_eq!(refused.status, 400, "{code}");
    }
}

#[test]
fn words_of_the_services_own_paths_are_no_aliases() {
    for word in
        ["v1", "docs", "robots", "favicon", "health", "static", "assets", "admin", "api", "login", "index"]
    {
        let refused = App::shared().create(&json!({ "url": "https://example.com", "alias": word }));
        assert_eq!(
            (refused.status, refused.error().as_str()),
            (400, "`alias` is reserved; choose another"),
            "{word}"
        );
    }
}

#[test]
fn the_alias_of_an_expired_link_stays_in_quarantine() {
    let app = App::with(str::to_owned, &[("alias_quarantine_days", "30")]);
    let create = || app.create(&json!({ "url": "https://example.com", "alias": "once" })).status;
    assert_eq!(create(), 201);
    let expired = |days: &str| {
        app.sql(&format!(
            "update shortlink.short_code set created_at = now() - interval '99 days', expires_at = now() - interval '{days}'"
        ));
    };
    expired("29 days 23 hours");
    assert_eq!(create(), 409);
    // Beside others in one statement too.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let creates: Vec<_> = (0..8)
            .map(|number| {
                let alias = if number == 3 { "once".to_owned() } else { format!("beside-{number}") };
                let app = &app;
                scope.spawn(move || {
                    app.create(&json!({ "url": "https://example.com", "alias": alias })).status
                })
            })
            .collect();
        creates.into_iter().map(|create| create.join().unwrap()).collect()
    });
    assert_eq!(statuses, [201, 201, 201, 409, 201, 201, 201, 201]);
    app.sql("update shortlink.short_code set expires_at = now() - interval '30 days 1 hour' where short_code = 'once'");
    assert_eq!(create(), 201);
}

#[test]
fn a_service_that_knows_its_address_tells_it() {
    let app = App::with(str::to_owned, &[("public_url", "https://sho.rt/")]);
    let reply = app.create(&json!({ "url": "https://example.com", "alias": "told" }));
    assert_eq!(reply.header("location"), Some("/v1/shortlink/told"));
    assert_eq!(
        reply.json(),
        json!({ "status": 201, "data": { "code": "told", "short_url": "https://sho.rt/told" } })
    );
    let refused = app.create(&json!({ "url": "https://sho.rt/told" }));
    assert_eq!(refused.error(), "`url` must not lead back to this service");
    for value in ["sho.rt", "ftp://sho.rt", "https://sho.rt/x", "https://u@sho.rt", "https://"] {
        let app = App::with(str::to_owned, &[("public_url", value)]);
        assert_eq!(app.get("/v1/health/ready").status, 500, "{value}");
        app.wait_for_log("public_url");
    }
}
