//! The batch binary: running it again, twice at once, or killing it loses nothing and repeats nothing.

use std::{collections::BTreeSet, process::Stdio, thread::sleep, time::Duration};

use crate::app::App;

fn pooled(app: &App) -> Vec<String> {
    redis::cmd("LRANGE").arg("shortlink:codes").arg(0).arg(-1).query(&mut app.codes()).unwrap()
}

fn assert_distinct(codes: &[String]) {
    let distinct: BTreeSet<&String> = codes.iter().collect();
    assert_eq!(distinct.len(), codes.len(), "a code was issued twice");
    assert!(
        codes.iter().all(|code| code.len() == 7 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    );
}

#[test]
fn a_fill_reaches_its_target_and_a_second_adds_nothing() {
    let app = App::own();
    app.fill(1000);
    app.fill(1000);
    let codes = pooled(&app);
    assert_eq!(codes.len(), 1000);
    assert_distinct(&codes);
}

#[test]
fn codes_tell_nothing_of_their_order() {
    let app = App::own();
    app.fill(100);
    let codes = pooled(&app);
    let mut sorted = codes.clone();
    sorted.sort();
    assert_ne!(codes, sorted);
}

#[test]
fn two_fills_at_once_do_not_overfill() {
    let app = App::own();
    let fills: Vec<_> =
        (0..4).map(|_| app.batch_command(&["codes", "fill", "--target", "20000"]).spawn().unwrap()).collect();
    for mut fill in fills {
        assert!(fill.wait().unwrap().success());
    }
    let codes = pooled(&app);
    assert_eq!(codes.len(), 20_000);
    assert_distinct(&codes);
}

#[test]
fn a_batch_killed_while_it_fills_never_issues_a_code_twice() {
    let app = App::own();
    let mut issued = Vec::new();
    for round in 0..6_u64 {
        let mut fill = app
            .batch_command(&["codes", "fill", "--target", "400000"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(40 + 35 * round));
        fill.kill().unwrap();
        fill.wait().unwrap();
        issued.extend(pooled(&app));
        app.empty_pool();
    }
    app.fill(5000);
    issued.extend(pooled(&app));
    assert!(issued.len() > 5000, "no round was killed in the middle of its work");
    assert_distinct(&issued);
}

#[test]
fn losing_the_pool_issues_no_code_twice() {
    let app = App::own();
    app.fill(3000);
    let mut issued = pooled(&app);
    app.empty_pool();
    app.fill(3000);
    issued.extend(pooled(&app));
    assert_distinct(&issued);
}

#[test]
fn another_key_is_refused_by_name() {
    let app = App::own();
    app.fill(10);
    let output =
        app.batch_with(&[("SHORTLINK_CODES_KEY", &"ab".repeat(32))], &["codes", "fill", "--target", "20"]);
    assert!(!output.status.success());
    assert!(output.stderr.contains("SHORTLINK_CODES_KEY"), "{}", output.stderr);
    assert_eq!(app.pool_length(), 10);
}

#[test]
fn a_setting_that_cannot_be_used_is_named_and_no_secret_is_shown() {
    let app = App::own();
    for (name, value) in [
        ("DATABASE_URL", "postgres://shortlink_batch:hunter2@127.0.0.1:1/short_link"),
        ("DATABASE_URL", "nonsense hunter2"),
        ("REDIS_CODES_URL", "redis://shortlink_batch:hunter2@127.0.0.1:1/0"),
        ("SHORTLINK_CODES_KEY", "hunter2"),
    ] {
        let output = app.batch_with(&[(name, value)], &["codes", "fill", "--target", "20"]);
        assert!(!output.status.success(), "{name}");
        assert!(output.stderr.contains(name), "{name}: {}", output.stderr);
        assert!(
            !output.stderr.contains("hunter2") && !output.stdout.contains("hunter2"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn migrating_again_and_twice_at_once_is_harmless() {
    let app = App::own();
    let runs: Vec<_> = (0..3).map(|_| app.batch_command(&["migrate"]).spawn().unwrap()).collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
}

#[test]
fn a_run_does_all_that_cron_needs() {
    let app = App::own();
    app.sql(&chrono::Utc::now().format("drop table shortlink.short_link_%Y%m").to_string());
    app.batch(&["run", "--target", "500"]).success();
    let reply = app.get("/v1/health/ready").json();
    assert_eq!(reply["checks"]["partition"], "ok");
    assert_eq!(reply["codes_available"], 500);
}

#[test]
fn a_run_that_repeats_ends_in_good_order_when_it_is_told_to() {
    let app = App::own();
    let mut run = app.batch_command(&["run", "--every", "1s", "--target", "100"]).spawn().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while app.pool_length() < 100 && std::time::Instant::now() < deadline {
        sleep(Duration::from_millis(50));
    }
    app.empty_pool();
    while app.pool_length() < 100 && std::time::Instant::now() < deadline {
        sleep(Duration::from_millis(50));
    }
    assert_eq!(app.pool_length(), 100, "it fills the pool again by itself");
    crate::app::terminate(&run);
    assert!(run.wait().unwrap().success());
}

#[test]
fn status_tells_what_is_left() {
    let app = App::own();
    app.fill(120);
    let status = app.batch(&["--json", "codes", "status"]).success_json();
    assert_eq!(status["available"], 120, "{status}");
}
