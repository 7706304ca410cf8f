//! The batch binary: running it again, twice at once, or killing it loses nothing and repeats nothing.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Stdio, thread::sleep, time::Duration};

use serde_json::Value;

use crate::app::{App, SERVERS, wait_until};

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
fn codes_do_not_reveal_their_order() {
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
        let start = || {
            let mut command = app.batch_command(&["codes", "fill", "--target", "400000"]);
            command.stderr(Stdio::null()).spawn().unwrap()
        };
        let mut fill = start();
        wait_until("the pool has codes", || {
            // While Postgres has not noticed that the last one was killed, another one finds it busy.
            if fill.try_wait().unwrap().is_some() {
                fill = start();
            }
            app.pool_length() > 0
        });
        sleep(Duration::from_millis(5 * round));
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
fn a_migration_is_never_skipped_and_a_newer_database_is_fine() {
    let app = App::own();
    app.sql("insert into shortlink.schema_history values (1000, 'newer', '2026-01-01T00:00:00Z', '0')");
    app.batch(&["migrate"]).success();
    app.sql("delete from shortlink.schema_history where version = 3");
    let output = app.batch(&["migrate"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.contains("beyond it: V3__partition_functions"), "{}", output.stderr);
}

#[test]
fn a_run_does_everything_that_cron_needs() {
    let app = App::own();
    app.sql(&chrono::Utc::now().format("drop table shortlink.short_link_%Y%m").to_string());
    app.batch(&["run", "--target", "500"]).success();
    let reply = app.get("/v1/health/ready").json();
    assert_eq!(reply["checks"]["partition"], "ok");
    assert_eq!(reply["codes_available"], 500);
}

#[test]
fn a_repeating_run_shuts_down_gracefully() {
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
fn status_shows_how_many_codes_are_left() {
    let app = App::own();
    app.fill(120);
    let status = app.batch(&["--json", "codes", "status"]).success_json();
    assert_eq!(status["available"], 120, "{status}");
}

/// A file of this test's own.
fn metrics_file(name: &str) -> PathBuf {
    SERVERS.site.dir().join(format!("{name}.prom"))
}

/// The value of a metric, labels included in its name.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_round_reports_the_current_state() {
    let app = App::own();
    let path = metrics_file("round");
    let month = app.sql("select to_char(now() at time zone 'UTC', '\"short_link_\"YYYYMM')");
    app.sql(&format!("insert into shortlink.short_link select 'x' || n, 'https://example.com/', now(), now() + '1 day', true from generate_series(1, 50) n; analyze shortlink.{month}"));
    let arguments =
        ["--json", "run", "--target", "300", "--ahead", "3", "--metrics-file", path.to_str().unwrap()];
    let line = app.batch(&arguments).success_json();
    assert_eq!(
        (&line["event"], &line["codes_available"], &line["codes_target"], &line["partitions_ahead"]),
        (&"round".into(), &300.into(), &300.into(), &3.into()),
        "{line}"
    );
    assert_eq!(line["codes_remaining"], 62_u64.pow(7) - 300);
    let text = fs::read_to_string(&path).unwrap();
    for (name, expected) in [
        ("shortlink_codes_available", 300.0),
        ("shortlink_codes_target", 300.0),
        ("shortlink_partition_months_ahead", 3.0),
        (&format!("shortlink_links{{partition=\"{month}\"}}"), 50.0),
        ("shortlink_batch_step_failed{step=\"codes fill\"}", 0.0),
        ("shortlink_batch_step_failed{step=\"observe\"}", 0.0),
    ] {
        assert_eq!(metric(&text, name), Some(expected), "{name} in {text}");
    }
    let ended = metric(&text, "shortlink_batch_last_run_timestamp_seconds").unwrap();
    assert!((unix_seconds() - ended).abs() < 60.0, "{text}");
}

fn unix_seconds() -> f64 {
    f64::from(u32::try_from(crate::app::unix_millis() / 1000).unwrap())
}

#[test]
fn a_round_that_fails_reports_what_failed_and_keeps_the_time_of_the_last_success() {
    let app = App::own();
    let path = metrics_file("failing");
    let arguments = ["--json", "run", "--target", "10", "--metrics-file", path.to_str().unwrap()];
    app.batch(&arguments).success();
    let before = fs::read_to_string(&path).unwrap();
    let unreachable = [("REDIS_CODES_URL", "redis://127.0.0.1:1")];
    let output = app.batch_with(&unreachable, &arguments);
    assert_eq!(output.status.code(), Some(1));
    let after = fs::read_to_string(&path).unwrap();
    let success = "shortlink_batch_last_success_timestamp_seconds";
    assert!(
        metric(&before, success).is_some() && metric(&before, success) == metric(&after, success),
        "{after}"
    );
    assert_eq!(metric(&after, "shortlink_batch_step_failed{step=\"codes fill\"}"), Some(1.0));
    assert_eq!(metric(&after, "shortlink_codes_available"), None, "nobody knows it");
    assert_eq!(metric(&after, "shortlink_partition_months_ahead"), Some(2.0));
    let line: Value = serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(line["failed"], serde_json::json!(["codes fill", "observe"]));
    assert_eq!(line.get("codes_available"), None);
    for line in output.stderr.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(line["event"], "error");
        assert!(line["error"].is_string() && line["at"].is_string(), "{line}");
    }
}

#[test]
fn a_month_without_its_partition_is_reported() {
    let app = App::own();
    app.sql("alter function shortlink.create_short_link_partition(timestamptz) rename to away");
    app.sql(&chrono::Utc::now().format("drop table shortlink.short_link_%Y%m").to_string());
    let output = app.batch(&["--json", "run", "--target", "10"]);
    let line: Value = serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&line["partitions_ahead"], output.status.code()), (&Value::from(-1), Some(1)), "{line}");
}

#[test]
fn metrics_can_be_scraped_while_it_repeats() {
    let app = App::own();
    let port = shortlink_local_stack::free_port().unwrap();
    let address = format!("127.0.0.1:{port}");
    let mut run = app
        .batch_command(&["run", "--every", "1s", "--target", "100", "--metrics-listen", &address])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the round is done", || {
        shortlink_local_stack::get(port, "/metrics")
            .is_ok_and(|answer| answer.contains("codes_available 100"))
    });
    let answer = shortlink_local_stack::get(port, "/metrics").unwrap();
    assert!(answer.contains("content-type: text/plain"), "{answer}");
    assert_eq!(shortlink_local_stack::status_of(port, "/"), Some(404));
    let taken = app.batch(&["run", "--every", "1s", "--metrics-listen", &address]);
    assert_eq!(taken.status.code(), Some(2), "two cannot have one address");
    assert!(taken.stderr.contains("--metrics-listen"), "{}", taken.stderr);
    crate::app::terminate(&run);
    assert!(run.wait().unwrap().success());
}

#[test]
fn the_key_is_changed_only_by_name_and_no_code_leads_to_two_links() {
    let app = App::own();
    app.fill(200);
    let status = app.batch(&["--json", "codes", "status"]).success_json();
    let old = status["fingerprint"].as_str().unwrap().to_owned();
    let key = "ab".repeat(32);
    let new = [("SHORTLINK_CODES_KEY", key.as_str())];
    let refused = app.batch_with(&new, &["codes", "rotate-key", "--from", "0123456789abcdef"]);
    assert!(!refused.status.success() && refused.stderr.contains(&old), "{}", refused.stderr);
    let not_yet = app.batch_with(&new, &["codes", "fill", "--target", "300"]);
    assert_eq!(not_yet.status.code(), Some(2), "{}", not_yet.stderr);

    let rotate = ["--json", "codes", "rotate-key", "--from", &old];
    assert_eq!(app.batch_with(&new, &rotate).success_json()["changed"], true);
    assert_eq!(app.batch_with(&new, &rotate).success_json()["changed"], false, "again is harmless");
    let with_the_old = app.batch(&["codes", "fill", "--target", "300"]);
    assert_eq!(with_the_old.status.code(), Some(2), "{}", with_the_old.stderr);
    app.batch_with(&new, &["codes", "fill", "--target", "300"]).success();
    let codes = pooled(&app);
    assert_eq!(codes.len(), 300);
    assert_distinct(&codes);

    // The rare case: the new key generates a code that a link of the old one has.
    app.empty_pool();
    app.push_codes(&[&codes[0], &codes[0], &codes[1]]);
    let body = serde_json::json!({ "url": "https://example.com" });
    assert_eq!((app.create(&body).code(), app.create(&body).code()), (codes[0].clone(), codes[1].clone()));
}

#[test]
fn numbers_that_are_skipped_never_become_codes() {
    let app = App::own();
    app.fill(100);
    let issued = pooled(&app);
    // The database as restored from a backup: the counter has an earlier value.
    app.sql("update shortlink.code_counter set next_number = 0");
    let skipped = app.batch(&["--json", "codes", "skip", "--count", "1000"]).success_json();
    assert_eq!(skipped["next"], 1000);
    app.empty_pool();
    app.fill(100);
    let again = pooled(&app);
    assert!(again.iter().all(|code| !issued.contains(code)), "a code was issued twice");
    let much = ["codes", "skip", "--count", "1000000000000"];
    for _ in 0..3 {
        app.batch(&much).success();
    }
    let refused = app.batch(&much);
    assert!(
        !refused.status.success() && refused.stderr.contains("nothing was changed"),
        "{}",
        refused.stderr
    );
}

#[test]
fn an_empty_variable_is_absent() {
    let app = App::own();
    let help = ["run", "codes fill", "partitions drop"].map(|command| {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        app.batch(&arguments).success().stdout
    });
    let variables: BTreeSet<&str> = help
        .iter()
        .flat_map(|help| help.split("[env: ").skip(1))
        .map(|rest| rest.split(['=', ']']).next().unwrap())
        .collect();
    assert!(variables.len() >= 8, "{variables:?}");
    let empty: Vec<(&str, &str)> = variables.iter().map(|name| (*name, "")).collect();
    let output = app.batch_with(&empty, &["run"]);
    assert_eq!(output.stderr.trim().matches("is not set").count(), 1, "{}", output.stderr);
    let optional: Vec<(&str, &str)> = empty
        .into_iter()
        .filter(|(name, _)| !name.ends_with("_URL") && *name != "SHORTLINK_CODES_KEY")
        .collect();
    if SERVERS.site.tls().is_none() {
        app.batch_with(&optional, &["run", "--target", "10"]).success();
    }
    let bad = app.batch_with(&[("SHORTLINK_GRACE_DAYS", "x")], &["run"]);
    assert!(bad.stderr.contains("--grace <DAYS> (SHORTLINK_GRACE_DAYS)"), "{}", bad.stderr);
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let app = App::own();
    let mut status = app.batch_command(&["codes", "status"]);
    status.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let output = status.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write to standard output"), "{stderr}");
}
