//! Months come and go and links stay.

use serde_json::json;

use crate::app::App;

fn partitions(app: &App) -> Vec<String> {
    let listed = app.batch(&["--json", "partitions", "list"]).success_json();
    let names = listed["partitions"].as_array().expect("a list").iter();
    names.map(|partition| partition["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_missing_partition_is_made_by_the_first_create() {
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
fn partitions_are_made_ahead_and_named_and_again_is_harmless() {
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

/// Moves a link and its registry row to a month long gone, as if it had been created then.
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
    for alias in ["over", "alive", "reborn"] {
        app.create(&json!({ "url": "https://example.com", "alias": alias })).code();
    }
    backdate(&app, "over", "2020-01-10T00:00:00Z", "2020-01-11T00:00:00Z");
    backdate(&app, "reborn", "2020-01-10T00:00:00Z", "2020-01-12T00:00:00Z");
    backdate(&app, "alive", "2020-02-10T00:00:00Z", "2099-01-01T00:00:00Z");
    app.create(&json!({ "url": "https://new.example", "alias": "reborn" })).code();

    app.batch(&["partitions", "drop", "--expired", "--grace", "30", "--dry-run"]).success();
    assert!(partitions(&app).contains(&"short_link_202001".to_owned()), "a dry run drops nothing");
    app.batch(&["partitions", "drop", "--expired", "--grace", "30"]).success();
    let names = partitions(&app);
    assert!(!names.contains(&"short_link_202001".to_owned()), "{names:?}");
    assert!(names.contains(&"short_link_202002".to_owned()), "{names:?}");

    for code in ["over", "alive", "reborn"] {
        app.uncache(code);
    }
    assert_eq!(app.get("/v1/shortlink/over").status, 404, "no longer on record");
    assert_eq!(app.get("/v1/shortlink/alive").status, 302);
    assert_eq!(app.get("/v1/shortlink/reborn").header("location"), Some("https://new.example/"));
    assert_eq!(app.count("select count(*) from shortlink.short_code"), 2);
}

#[test]
fn a_grace_that_is_not_over_keeps_a_partition() {
    let app = App::own();
    app.batch(&["partitions", "create", "--month", "2020-01"]).success();
    app.create(&json!({ "url": "https://example.com", "alias": "over" })).code();
    backdate(&app, "over", "2020-01-10T00:00:00Z", "2020-01-11T00:00:00Z");
    app.batch(&["partitions", "drop", "--expired", "--grace", "3650"]).success();
    assert!(partitions(&app).contains(&"short_link_202001".to_owned()));
    assert_eq!(app.get("/v1/shortlink/over").status, 410);
}
