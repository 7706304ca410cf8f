//! The batch: killed at each of its steps, run several times at once, and run under load.

use std::{
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::Duration,
};

use serde_json::json;

use crate::app::App;

fn spawn(app: &App, arguments: &[&str]) -> Child {
    app.batch_command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

const STEPS: [&[&str]; 4] = [
    &["partitions", "create", "--ahead", "4"],
    &["partitions", "drop", "--expired", "--grace", "0"],
    &["codes", "fill", "--target", "20000"],
    &["run", "--target", "20000"],
];

/// A past month full of links that expired long ago.
fn add_old_month(app: &App) {
    app.batch(&["partitions", "create", "--month", "2020-01"]).success();
    app.sql(
        "with made as (insert into shortlink.short_link
                select 'old-' || n, 'https://example.com/', '2020-01-10', '2020-01-11', true
                from generate_series(1, 3000) n returning short_code, created_at, expires_at)
             insert into shortlink.short_code select * from made on conflict do nothing",
    );
}

#[test]
fn a_batch_that_is_killed_at_any_step_leaves_nothing_half_done() {
    let app = App::own();
    app.create(&json!({ "url": "https://example.com", "alias": "stays" })).code();
    add_old_month(&app);
    for step in STEPS {
        for delay in [5, 15, 30, 60] {
            let mut killed = spawn(&app, step);
            sleep(Duration::from_millis(delay));
            killed.kill().unwrap();
            killed.wait().unwrap();
        }
    }
    app.batch(STEPS[0]).success();
    app.batch(STEPS[1]).success();
    app.batch(STEPS[3]).success();
    assert_eq!(app.count("select count(*) from shortlink.short_link"), 1);
    assert_eq!(app.count("select count(*) from shortlink.short_code"), 1);
    let strays =
        "select count(*) from pg_class where relnamespace = 'shortlink'::regnamespace and relkind = 'r'
        and relname like 'short_link_%' and not relispartition";
    assert_eq!(app.count(strays), 0, "a partition that belongs to nothing");
    assert_distinct_pool(&app, 20_000);
    app.uncache("stays");
    assert_eq!(app.get("/v1/shortlink/stays").status, 302);
}

#[test]
fn cron_that_fires_several_times_at_once_does_the_work_once() {
    let app = App::own();
    add_old_month(&app);
    let runs: Vec<_> = (0..4).map(|_| spawn(&app, STEPS[3])).collect();
    for mut run in runs {
        run.wait().unwrap();
    }
    app.batch(STEPS[3]).success();
    assert_distinct_pool(&app, 20_000);
}

fn assert_distinct_pool(app: &App, expected: usize) {
    let codes: Vec<String> =
        redis::cmd("LRANGE").arg("shortlink:codes").arg(0).arg(-1).query(&mut app.codes()).unwrap();
    let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
    // A fill that is killed may have pushed what it was about to count; it never pushes a code twice.
    assert_eq!(distinct.len(), codes.len(), "a code is in the pool twice");
    assert!(codes.len() >= expected, "{}", codes.len());
}

#[test]
fn a_partition_that_is_dropped_under_load_costs_no_request_and_no_link() {
    let app = App::own();
    app.create(&json!({ "url": "https://example.com", "alias": "alive" })).code();
    let finished = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..6 {
            let (app, finished) = (&app, &finished);
            scope.spawn(move || {
                let mut codes = Vec::new();
                while !finished.load(Ordering::Relaxed) {
                    let url = format!("https://{client}-{}.example/", codes.len());
                    let code = app.create(&json!({ "url": url })).code();
                    app.uncache(&code);
                    app.uncache("alive");
                    assert_eq!(app.get("/v1/shortlink/alive").status, 302);
                    assert_eq!(
                        app.get(&format!("/v1/shortlink/{code}")).header("location"),
                        Some(url.as_str())
                    );
                    codes.push(code);
                }
            });
        }
        for _ in 0..4 {
            add_old_month(&app);
            app.batch(STEPS[1]).success();
        }
        finished.store(true, Ordering::Relaxed);
    });
    assert_eq!(app.count("select count(*) from shortlink.short_link where created_at < '2021-01-01'"), 0);
}
