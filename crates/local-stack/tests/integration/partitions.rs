//! Partitions: created for coming months, dropped when all of their links have expired.

use serde_json::json;

use crate::app::App;
use crate::faults::{LOCKS, RELEASE, keep_locked, recovery};

fn partitions(app: &App) -> Vec<String> {
    let listed = app.batch(&["--json", "partitions", "list"]).success_json();
    let names = listed["partitions"].as_array().expect("a list").iter();
    names.map(|partition| partition["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_missing_partition_is_created_by_the_first_create() {
    let app = App::own();
    for partition in partitions(&app) {
        app.sql(&format!("drop table shortlink.{partition}"));
    }
    assert_eq!(app.get("/v1/health/ready").json()["checks"]["partition"], "degraded");
    app.create(&json!({ "url": "https://example.com", "alias": "healed" })).code();
    app.uncache("healed");
    assert_eq!(app.get("/v1/shortlink/healed").status, 302);
    let this_month = chrono::Utc::now().format("short_link_%Y%m").to_string();
    assert_eq!(partitions(&app), [this_month]);
    assert_eq!(app.get("/v1/health/ready").json()["checks"]["partition"], "ok");
}

#[test]
fn a_missing_partition_under_many_creates_at_once_costs_none_of_them() {
    let app = App::own();
    for partition in partitions(&app) {
        app.sql(&format!("drop table shortlink.{partition}"));
    }
    std::thread::scope(|scope| {
        for client in 0..16 {
            let app = &app;
            scope.spawn(move || {
                let body = json!({ "url": "https://example.com", "alias": format!("healed-{client}") });
                app.create(&body).code();
            });
        }
    });
    assert_eq!(app.count("select count(*) from shortlink.short_link"), 16);
}

#[test]
fn partitions_are_created_ahead_and_named_and_again_is_harmless() {
    let app = App::own();
    for _ in 0..2 {
        app.batch(&["partitions", "create", "--ahead", "3"]).success();
        app.batch(&["partitions", "create", "--month", "2031-12", "--month", "2032-01"]).success();
    }
    let names = partitions(&app);
    assert!(
        names.contains(&"short_link_203112".to_owned()) && names.contains(&"short_link_203201".to_owned())
    );
    assert_eq!(names.len(), 6, "{names:?}");
}

/// Moves a link and its registry row to a past month, as if it had been created then.
fn backdate(app: &App, code: &str, created: &str, expires: &str) {
    app.sql(&format!(
        "with moved as (delete from shortlink.short_link where short_code = '{code}' returning *)
         insert into shortlink.short_link (short_code, url, created_at, expires_at, is_custom)
         select short_code, url, '{created}', '{expires}', is_custom from moved;
         update shortlink.short_code set created_at = '{created}', expires_at = '{expires}' where short_code = '{code}'"
    ));
    app.uncache(code);
}

#[test]
fn only_a_partition_without_a_link_worth_keeping_is_dropped() {
    let app = App::own();
    app.batch(&["partitions", "create", "--month", "2020-01", "--month", "2020-02"]).success();
    for alias in ["expired", "alive", "reborn"] {
        app.create(&json!({ "url": "https://example.com", "alias": alias })).code();
    }
    backdate(&app, "expired", "2020-01-10T00:00:00Z", "2020-01-11T00:00:00Z");
    backdate(&app, "reborn", "2020-01-10T00:00:00Z", "2020-01-12T00:00:00Z");
    backdate(&app, "alive", "2020-02-10T00:00:00Z", "2099-01-01T00:00:00Z");
    app.create(&json!({ "url": "https://new.example", "alias": "reborn" })).code();

    app.batch(&["partitions", "drop", "--expired", "--grace", "30", "--dry-run"]).success();
    assert!(partitions(&app).contains(&"short_link_202001".to_owned()), "a dry run drops nothing");
    app.batch(&["partitions", "drop", "--expired", "--grace", "30"]).success();
    let names = partitions(&app);
    assert!(!names.contains(&"short_link_202001".to_owned()), "{names:?}");
    assert!(names.contains(&"short_link_202002".to_owned()), "{names:?}");

    for code in ["expired", "alive", "reborn"] {
        app.uncache(code);
    }
    assert_eq!(app.get("/v1/shortlink/expired").status, 404, "no longer on record");
    assert_eq!(app.get("/v1/shortlink/alive").status, 302);
    assert_eq!(app.get("/v1/shortlink/reborn").header("location"), Some("https://new.example/"));
    assert_eq!(app.count("select count(*) from shortlink.short_code"), 2);
}

#[test]
fn a_grace_period_that_has_not_ended_keeps_a_partition() {
    let app = App::own();
    app.batch(&["partitions", "create", "--month", "2020-01"]).success();
    app.create(&json!({ "url": "https://example.com", "alias": "expired" })).code();
    backdate(&app, "expired", "2020-01-10T00:00:00Z", "2020-01-11T00:00:00Z");
    app.batch(&["partitions", "drop", "--expired", "--grace", "3650"]).success();
    assert!(partitions(&app).contains(&"short_link_202001".to_owned()));
    assert_eq!(app.get("/v1/shortlink/expired").status, 410);
}

/// A closed month with one link that expired long ago.
fn add_expired_month(app: &App, month: &str) -> String {
    app.batch(&["partitions", "create", "--month", month]).success();
    app.sql(&format!(
        "insert into shortlink.short_link values ('in-{month}', 'https://example.com/', '{month}-10', '{month}-11', true);
         insert into shortlink.short_code values ('in-{month}', '{month}-10', '{month}-11')"
    ));
    format!("short_link_{}", month.replace('-', ""))
}

/// Leaves the partition half detached, as an operator's `detach .. concurrently` is while an old transaction runs.
fn half_detach(app: &App, partition: &str) {
    let mut old = app.postgres_as_superuser();
    let mut old = old.transaction().unwrap();
    old.query(&format!("select from shortlink.{partition}"), &[]).unwrap();
    let mut operator = app.postgres_as_superuser();
    operator.batch_execute("set statement_timeout = '300ms'").unwrap();
    let detach =
        format!("alter table shortlink.short_link detach partition shortlink.{partition} concurrently");
    operator.batch_execute(&detach).expect_err("it waits for the old transaction");
    let pending = format!(
        "select inhdetachpending from pg_inherits where inhrelid = 'shortlink.{partition}'::regclass"
    );
    assert_eq!(app.sql(&pending), "t");
}

fn mark_as_begun(app: &App, partition: &str) {
    app.sql(&format!("insert into shortlink.closed_partition values ('{partition}', '-infinity', now())"));
}

fn detach(app: &App, partition: &str) {
    app.sql(&format!("alter table shortlink.short_link detach partition shortlink.{partition}"));
}

fn drop_expired(app: &App) -> serde_json::Value {
    app.batch(&["--json", "partitions", "drop", "--expired", "--grace", "30"]).success_json()
}

#[test]
fn a_partition_that_an_operator_is_detaching_is_kept() {
    let app = App::own();
    let partition = add_expired_month(&app, "2020-01");
    half_detach(&app, &partition);
    assert_eq!(drop_expired(&app)["dropped"], json!([]));
    assert_eq!(app.count(&format!("select count(*) from shortlink.{partition}")), 1);
}

#[test]
fn a_partition_that_an_operator_has_detached_is_kept() {
    let app = App::own();
    let partition = add_expired_month(&app, "2020-01");
    detach(&app, &partition);
    assert_eq!(drop_expired(&app)["dropped"], json!([]));
    assert_eq!(app.count(&format!("select count(*) from shortlink.{partition}")), 1);
}

#[test]
fn a_drop_that_the_batch_began_is_finished_wherever_it_stopped() {
    for stop in [|_: &App, _: &str| {}, half_detach, detach] {
        let app = App::own();
        let partition = add_expired_month(&app, "2020-01");
        mark_as_begun(&app, &partition);
        stop(&app, &partition);
        assert_eq!(drop_expired(&app)["dropped"], json!([partition]));
        assert_eq!(app.sql(&format!("select to_regclass('shortlink.{partition}')")), "");
        assert_eq!(app.count("select count(*) from shortlink.closed_partition"), 0);
    }
}

#[test]
fn a_batch_that_is_killed_while_it_clears_the_registry_has_not_begun_the_drop() {
    let app = App::own();
    let partition = add_expired_month(&app, "2024-01");
    app.sql(LOCKS);
    let keep_locked = keep_locked("select from shortlink.short_code for update");
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| app.sql(&keep_locked));
        let sleeping = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
        recovery(|| app.count(sleeping) > 0);
        let mut batch =
            app.batch_command(&["partitions", "drop", "--expired", "--grace", "30"]).spawn().unwrap();
        let waiting = "select count(*) from pg_stat_activity where datname = current_database()
            and wait_event_type = 'Lock' and query like 'delete from shortlink.short_code%'";
        recovery(|| app.count(waiting) > 0);
        batch.kill().unwrap();
        batch.wait().unwrap();
        app.sql(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'shortlink_batch'
            and datname = current_database()",
        );
        app.sql(RELEASE);
        holder.join().unwrap();
    });
    // So an operator may detach it, and it stays.
    detach(&app, &partition);
    drop_expired(&app);
    assert_eq!(app.sql(&format!("select to_regclass('shortlink.{partition}') is not null")), "t");
}

#[test]
fn a_detached_partition_with_a_link_that_is_needed_is_attached_again() {
    let app = App::own();
    let partition = add_expired_month(&app, "2020-01");
    app.sql(&format!("update shortlink.{partition} set expires_at = 'infinity'"));
    mark_as_begun(&app, &partition);
    detach(&app, &partition);
    let output = app.batch(&["partitions", "drop", "--expired", "--grace", "30"]);
    assert!(!output.status.success() && output.stderr.contains("attached again"), "{}", output.stderr);
    assert_eq!(app.count("select count(*) from shortlink.short_link"), 1);
    assert_eq!(drop_expired(&app)["dropped"], json!([]), "a link without an end is never dropped");
}

#[test]
fn a_mark_of_a_drop_that_did_not_happen_is_removed() {
    let app = App::own();
    let partition = add_expired_month(&app, "2020-01");
    app.sql("update shortlink.short_link set expires_at = 'infinity'");
    app.sql(&format!("insert into shortlink.closed_partition values ('{partition}', 'infinity', now())"));
    assert_eq!(drop_expired(&app)["dropped"], json!([]));
    detach(&app, &partition);
    assert_eq!(drop_expired(&app)["dropped"], json!([]), "the operator detached it, not the batch");
    assert_eq!(app.count(&format!("select count(*) from shortlink.{partition}")), 1);
}

#[test]
fn this_month_and_months_to_come_are_kept() {
    let app = App::own();
    app.batch(&["partitions", "create", "--ahead", "1"]).success();
    let before = partitions(&app);
    assert_eq!(drop_expired(&app)["dropped"], json!([]));
    assert_eq!(partitions(&app), before);
}

#[test]
fn an_impossible_month_is_refused_with_those_that_are_possible() {
    let output = App::own().batch(&["partitions", "create", "--month", "1999-12"]);
    assert_eq!(output.status.code(), Some(2));
    let expected =
        "error: --month cannot be 1999-12: partitions can be created for the months from 2000-01 to ";
    assert!(output.stderr.starts_with(expected), "{}", output.stderr);
}
