//! Creates that are sent again.

use std::{collections::BTreeSet, thread};

use serde_json::json;

use crate::{app::App, http::Reply, manage::Owner};

const PATH: &str = "/v1/shortlink";
const BODY: &str = r#"{"url":"https://example.com"}"#;

fn create(app: &App, key: &str, body: &str) -> Reply {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    app.exchange("POST", PATH, &headers, body.as_bytes())
}

fn links(app: &App) -> i64 {
    app.count("select count(*) from shortlink.short_link")
}

#[test]
fn a_create_that_is_sent_again_is_answered_as_before() {
    let app = App::own();
    let first = create(&app, "k-1", BODY);
    let code = first.code();
    assert_eq!(create(&app, "k-1", BODY).shown(), first.shown());
    assert_eq!(create(&app, "k-1", &format!("{BODY} ")).status, 422);
    let invalid = create(&app, "k-1", "{");
    assert_eq!(invalid.status, 422, "{}", invalid.body);
    assert_ne!(create(&app, "k-2", BODY).code(), code);
    assert_ne!(app.post(BODY).code(), code);
    assert_eq!(links(&app), 3);

    // After 24 hours it is a new one.
    app.sql("update shortlink.idempotency_key set created_at = now() - interval '24 hours'");
    assert_ne!(create(&app, "k-1", BODY).code(), code);
    assert_eq!(create(&app, "k-1", BODY).status, 201);
    assert_eq!(links(&app), 4);
}

#[test]
fn each_api_key_has_idempotency_keys_of_its_own() {
    let app = App::own();
    let (one, two) = (Owner::with(&app, "one", &["create"]), Owner::with(&app, "two", &["create"]));
    let create = |owner: Option<&Owner>, path: &str, body: &str| {
        let key = owner.map(|owner| owner.key.clone()).unwrap_or_default();
        let mut headers = vec![("content-type", "application/json"), ("idempotency-key", "same")];
        headers.extend(owner.is_some().then_some(("x-api-key", key.as_str())));
        app.exchange("POST", path, &headers, body.as_bytes())
    };
    let codes = [None, Some(&one), Some(&two)].map(|owner| create(owner, PATH, BODY).code());
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!([None, Some(&one), Some(&two)].map(|owner| create(owner, PATH, BODY).code()), codes);
    // The other path is another request.
    assert_eq!(create(Some(&one), "/v1/links", &format!(r#"{{"links":[{BODY}]}}"#)).status, 422);
    assert_eq!(links(&app), 3);
}

#[test]
fn of_a_hundred_retries_at_once_one_link_is_stored() {
    let app = App::own();
    let replies: Vec<Reply> = thread::scope(|scope| {
        let clients: Vec<_> = (0..100).map(|_| scope.spawn(|| create(&app, "storm", BODY))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut codes = BTreeSet::new();
    for reply in replies {
        match reply.status {
            201 => drop(codes.insert(reply.code())),
            409 => assert_eq!(reply.header("retry-after"), Some("1")),
            // The database was asked more than it can answer; nobody was told a code.
            503 => {}
            status => panic!("{status}: {}", reply.body),
        }
    }
    assert_eq!(codes.len(), 1, "{codes:?}");
    assert_eq!(links(&app), 1);
    assert_eq!(create(&app, "storm", BODY).code(), codes.into_iter().next().unwrap());
}

#[test]
fn while_the_first_is_under_way_the_next_is_told_to_wait() {
    let app = App::own();
    let mut postgres = app.postgres_as_superuser();
    let mut first = postgres.transaction().unwrap();
    first.execute("select shortlink.claim_idempotency_key(0, 'slow', sha256('x'))", &[]).unwrap();
    let reply = create(&app, "slow", BODY);
    assert_eq!((reply.status, reply.header("retry-after")), (409, Some("1")), "{}", reply.body);
    first.rollback().unwrap();
    assert_eq!(create(&app, "slow", BODY).status, 201);
    assert_eq!(links(&app), 1);
}

#[test]
fn a_create_whose_answer_was_lost_gives_the_same_code() {
    let app = App::own();
    // What Postgres does for a request that dies before it is answered.
    app.sql(&format!(
        r"select shortlink.create_short_links_each(
              '{{lost}}', array[null]::text[], '{{https://example.com/}}', array[null]::bigint[], array[null]::text[],
              0, 0, 'died', sha256('{PATH}\000'::bytea || convert_to('{BODY}', 'UTF8'))
          )"
    ));
    assert_eq!(create(&app, "died", BODY).code(), "lost");
    assert_eq!(links(&app), 1);
}

#[test]
fn a_retry_does_not_cover_a_change_since_then() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create", "manage"]);
    let body = r#"{"url":"https://example.com","alias":"mine"}"#;
    let headers =
        [("content-type", "application/json"), ("idempotency-key", "k"), ("x-api-key", owner.key.as_str())];
    let create = || app.exchange("POST", PATH, &headers, body.as_bytes()).code();
    assert_eq!(create(), "mine");
    owner.change("mine", &json!({ "url": "https://new.example" }));
    assert_eq!(create(), "mine");
    assert_eq!(app.get("/mine").header("location"), Some("https://new.example/"));
}

#[test]
fn a_body_whose_expiry_has_passed_since_then_is_still_the_same() {
    let app = App::own();
    let body = r#"{"url":"https://example.com","expires_at":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(create(&app, "late", body).status, 400);
    app.sql(&format!(
        r"insert into shortlink.idempotency_key (key_id, idempotency_key, request_hash, results)
          values (0, 'late', sha256('{PATH}\000'::bytea || convert_to('{body}', 'UTF8')), '{{created early}}')"
    ));
    assert_eq!(create(&app, "late", body).code(), "early");
    assert_eq!(create(&app, "later", body).status, 400);
}

#[test]
fn several_links_are_created_once_too() {
    let app = App::own();
    let owner = Owner::with(&app, "ci", &["create"]);
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "several"),
        ("x-api-key", owner.key.as_str()),
    ];
    let body =
        r#"{"links":[{"url":"https://a.example"},{"url":"x"},{"url":"https://b.example","alias":"b"}]}"#;
    let create = |body: &str| app.exchange("POST", "/v1/links", &headers, body.as_bytes());
    let first = create(body);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(create(body).shown(), first.shown());
    assert_eq!(create(r#"{"links":[{"url":"https://c.example"}]}"#).status, 422);
    assert_eq!(links(&app), 2);
}

#[test]
fn what_is_no_idempotency_key_is_refused() {
    let app = App::own();
    let long = "k".repeat(65);
    for key in ["", "a b", "ä", &long] {
        let reply = create(&app, key, BODY);
        assert_eq!(reply.status, 400, "{key}: {}", reply.body);
        assert_eq!(reply.error(), "the Idempotency-Key must be 1 to 64 visible ASCII characters");
    }
    let headers = [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "a")];
    assert_eq!(app.exchange("POST", PATH, &headers, BODY.as_bytes()).status, 400);
    assert_eq!(create(&app, &long[..64], BODY).status, 201);
    assert_eq!(links(&app), 1);
}
