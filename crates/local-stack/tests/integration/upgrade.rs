//! The upgrade from version 0.1.0: its database, full of links, is migrated while its components go on.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    thread,
};

use serde_json::json;

use crate::app::{App, unix_millis, wait_until};

mod embedded {
    refinery::embed_migrations!("../../migrations");
}

/// The last migration of 0.1.0.
const OLD: i32 = 5;
/// How many links there are before.
const LINKS: i64 = 100_000;
/// The statements of its components.
const CREATE: &str = "select from shortlink.create_short_link(
    $1, 'https://example.com/', timestamptz 'epoch' + $2::bigint * interval '1 millisecond', false)";
const RESOLVE: &str = "select shortlink.resolve_short_links($1)";

#[test]
fn a_database_full_of_links_is_migrated_while_the_old_components_go_on() {
    let app = App::without_schema();
    let mut postgres = app.postgres_as_batch();
    postgres.batch_execute("create schema shortlink").unwrap();
    let mut migrations = embedded::migrations::runner().set_target(refinery::Target::Version(OLD));
    migrations.set_migration_table_name("shortlink.schema_history").run(&mut postgres).unwrap();
    postgres
        .batch_execute(&format!(
            "select shortlink.create_short_link_partition(now());
             insert into shortlink.short_code
                 select 'old-' || number, now(), now() + interval '1 day' from generate_series(1, {LINKS}) number;
             insert into shortlink.short_link
                 select short_code, 'https://' || short_code || '.example/', created_at, expires_at, true
                 from shortlink.short_code"
        ))
        .unwrap();

    let (created, stop) = (AtomicI64::new(0), AtomicBool::new(false));
    let load = |client: usize| {
        let mut postgres = app.postgres_as_app();
        let end = unix_millis() + 86_400_000;
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let code = format!("new-{client}-{number}");
            // A statement that waited for two seconds would fail.
            assert_eq!(postgres.query(CREATE, &[&code, &end]).unwrap().len(), 1);
            created.fetch_add(1, Ordering::Relaxed);
            let codes = vec![code, format!("old-{number}")];
            let found: Vec<Option<String>> = postgres.query_one(RESOLVE, &[&codes]).unwrap().get(0);
            assert!(found.iter().flatten().count() == 2, "{found:?}");
        }
    };
    let load = &load;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|client| scope.spawn(move || load(client))).collect();
        let more = |count: i64| {
            let reached = created.load(Ordering::Relaxed) + count;
            wait_until("links are created", || {
                created.load(Ordering::Relaxed) >= reached
                    || clients.iter().any(thread::ScopedJoinHandle::is_finished)
            });
        };
        more(100);
        app.batch(&["migrate"]).success();
        more(100);
        stop.store(true, Ordering::Relaxed);
    });

    let links = LINKS + created.load(Ordering::Relaxed);
    assert_eq!(app.count("select count(*) from shortlink.short_link"), links);
    // The new components serve what the old ones stored, and an administrator lists it.
    assert_eq!(app.get("/old-77").header("location"), Some("https://old-77.example/"));
    assert_eq!(app.get("/new-0-1").status, 302);
    assert_eq!(app.create(&json!({ "url": "https://example.com", "alias": "newest" })).status, 201);
    let key = app.key("root", &["admin"]);
    let page = app.exchange("GET", "/v1/links?limit=1", &[("x-api-key", &key)], b"").json();
    assert_eq!(page["data"]["links"][0]["code"], "newest", "{page}");
}
