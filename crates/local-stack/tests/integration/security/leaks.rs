//! Neither an answer nor a log tells what only the operator may know, whatever fails.

use std::fs;

use serde_json::json;
use shortlink_local_stack::fault_proxy::Fault;

use crate::{
    app::{App, SERVERS, wait_until},
    e2e::FrontDoor,
    faults::Rig,
    http::Reply,
};

/// What is secret wherever it stands.
fn secrets() -> Vec<String> {
    let secrets = &SERVERS.secrets;
    [&secrets.app, &secrets.batch, &secrets.operator, &secrets.postgres, &secrets.codes_key]
        .map(Clone::clone)
        .to_vec()
}

/// Signs of SQL, of a stack, of Rust and of what stands behind the service.
const INSIDE: [&str; 34] = [
    "select ",
    "insert ",
    "update ",
    "delete from",
    "relation ",
    "create_short_link",
    "resolve_short_link",
    "short_code",
    "syntax error",
    "sqlstate",
    "shortlink_app",
    "shortlink.",
    "password",
    "postgres://",
    "redis://",
    "rediss://",
    "127.0.0.1",
    "localhost",
    "tokio",
    "wasm",
    "wasi",
    "spin_sdk",
    "panicked",
    "backtrace",
    "stack",
    "src/",
    ".rs:",
    "::",
    "some(",
    "none",
    "err(",
    "error {",
    "connection refused",
    "os error",
];

fn assert_tells_nothing(reply: &Reply, what: &str) {
    let mut text = reply.shown().to_lowercase();
    // Its own words, which say nothing of the inside.
    for known in ["/v1/shortlink/", "\"postgres\":", "nosniff", "no-store", "\"data\":"] {
        text = text.replace(known, "");
    }
    for secret in secrets() {
        assert!(!text.contains(&secret), "{what}: a secret in {text}");
    }
    for word in INSIDE {
        assert!(!text.contains(word), "{what}: {word:?} in {text}");
    }
}

/// Every request whose answer depends on something that can fail.
fn ask_everything(app: &App, what: &str) -> Vec<u16> {
    let replies = [
        app.get("/v1/shortlink/leaks-unknown"),
        app.create(&json!({ "url": "https://example.com" })),
        app.create(&json!({ "url": "https://example.com", "alias": "leaks-alias" })),
        app.get("/v1/health/ready"),
        app.get("/v1/shortlink/a'%20or%201=1"),
    ];
    for reply in &replies {
        assert_tells_nothing(reply, what);
    }
    replies.iter().map(|reply| reply.status).collect()
}

/// What a service has logged by now, apart from the lines in which its host says where it listens itself.
fn log(app: &App) -> String {
    let own = app.addr().to_string();
    app.log().lines().filter(|line| !line.contains(&own)).collect::<Vec<_>>().join("\n")
}

/// `ports` are those of the service's dependencies.
fn assert_log_tells_nothing(app: &App, ports: &[u16], others: &[&str]) {
    let log = log(app);
    for secret in secrets().iter().map(String::as_str).chain(others.iter().copied()) {
        assert!(!log.contains(secret), "a secret in the log: {}", line_with(&log, secret));
    }
    let lower = log.to_lowercase();
    for port in ports {
        for address in [format!("127.0.0.1:{port}"), format!("port={port}"), format!("localhost:{port}")] {
            assert!(!lower.contains(&address), "an address in the log: {}", line_with(&lower, &address));
        }
    }
    for word in [
        "select ",
        "insert into",
        "update ",
        "delete from",
        "resolve_short_link",
        "create_short_link",
        "relation ",
        "panicked",
        "backtrace",
        "src/",
        ".rs:",
        "postgres://",
        "redis://",
        "user=",
        "dbname=",
        "leaks-alias",
    ] {
        assert!(!lower.contains(word), "{word:?} in the log: {}", line_with(&lower, word));
    }
}

fn line_with<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines().find(|line| line.contains(word)).unwrap_or(text)
}

#[test]
fn a_dependency_that_is_out_of_reach_is_not_described() {
    let rig = Rig::start();
    let door = FrontDoor::before(&rig.app);
    for fault in [Fault::Refuse, Fault::Reset, Fault::CutAfter(2)] {
        for proxy in [&rig.cache, &rig.codes, &rig.postgres] {
            proxy.set(fault);
        }
        let statuses = ask_everything(&rig.app, &format!("{fault:?}"));
        assert_eq!(statuses, [503, 503, 503, 503, 400], "{fault:?}");
        assert_tells_nothing(&door.get("/v1/shortlink/leaks-unknown"), "through nginx");
        assert_tells_nothing(&door.create(&json!({ "url": "https://example.com" })), "through nginx");
    }
    rig.app.wait_for_log("\"level\":\"error\"");
    assert_log_tells_nothing(&rig.app, &[rig.cache.port(), rig.codes.port(), rig.postgres.port()], &[]);
}

#[test]
fn a_wrong_password_is_not_shown() {
    let wrong = "wrong-Passw0rd-of-the-operator";
    let app = App::with(
        str::to_owned,
        &[("postgres_password", wrong), ("redis_cache_password", wrong), ("redis_codes_password", wrong)],
    );
    assert_eq!(ask_everything(&app, "a wrong password"), [503, 503, 503, 503, 400]);
    let ports = &SERVERS.ports;
    // Of the two spellings of the hosts.
    wait_until("the refused password is logged", || {
        let log = log(&app);
        log.contains("28P01") || log.contains("cannot connect")
    });
    assert_log_tells_nothing(&app, &[ports.cache, ports.codes, ports.postgres], &[wrong]);
}

#[test]
fn a_statement_that_fails_is_not_quoted() {
    let (ports, app) = (&SERVERS.ports, App::own());
    for (what, sql, code) in [
        ("no table", "alter table shortlink.short_code rename to elsewhere", "42P01"),
        (
            "an error that quotes its parameters",
            "create or replace function shortlink.resolve_short_links(p_codes text[]) returns text[] language plpgsql
                as $$ begin raise exception 'select % from shortlink.short_link', p_codes; end $$;
             create or replace function shortlink.create_short_link(
                p_code text, p_url text, p_expires_at timestamptz, p_is_custom boolean, p_quarantine_days int, p_key_id int
             ) returns table (short_code text, created_at timestamptz)
             language plpgsql as $$ begin raise exception 'insert into short_link %', p_code; end $$",
            "P0001",
        ),
        ("no right", "revoke execute on all functions in schema shortlink from shortlink_app", "42501"),
        ("no function", "alter function shortlink.resolve_short_links(text[]) rename to gone;
            alter function shortlink.create_short_link(text, text, timestamptz, boolean, int, int) rename to gone_too", "42883"),
        (
            "an answer of another kind",
            "create function shortlink.resolve_short_links(p_codes text[]) returns int language sql as 'select 1';
             grant execute on function shortlink.resolve_short_links to shortlink_app",
            "",
        ),
    ] {
        app.sql(sql);
        let statuses = ask_everything(&app, what);
        assert!(matches!(statuses[0], 500 | 503), "{what}: {statuses:?}");
        app.wait_for_log(code);
        assert_log_tells_nothing(&app, &[ports.cache, ports.codes, ports.postgres], &[]);
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_named_and_its_value_is_not() {
    let secret = "s3cret-Value";
    for name in ["postgres_sslmode", "allowed_origins"] {
        let app = App::with(str::to_owned, &[(name, secret)]);
        for reply in
            [app.get("/v1/shortlink/leaks-unknown"), app.create(&json!({ "url": "https://example.com" }))]
        {
            assert_eq!(reply.status, 500, "{name}");
            assert_tells_nothing(&reply, name);
        }
        app.wait_for_log(name);
        assert_log_tells_nothing(&app, &[], &[secret]);
    }
}

#[test]
fn what_a_client_sends_wrong_is_answered_in_words_of_its_own() {
    let app = App::own();
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"url\":1}",
        "{\"url\":\"https://example.com\",\"expires_at\":\"x\"}",
        "{\"url\":\"https://example.com\",\"alias\":\"'; drop table shortlink.short_link; --\"}",
        "{\"url\":\"https://[::\"}",
        "{\"url\":\"javascript:alert(1)\"}",
        "{\"url\":\"\\ud800\"}",
        "{\"url\":\"https://example.com\",\"expires_at\":\"9999999-01-01T00:00:00Z\"}",
        "\u{feff}{}",
    ] {
        let reply = app.post(body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.body);
        assert_tells_nothing(&reply, body);
    }
    for path in [
        "/v1/shortlink/%ff",
        "/v1/shortlink/'",
        "/v1/shortlink/../../etc/passwd",
        "/.env",
        "/v1/shortlink/x?y='",
        "/v1",
    ] {
        assert_tells_nothing(&app.get(path), path);
    }
    assert_log_tells_nothing(&app, &[], &[]);
}

#[test]
fn the_batch_names_its_setting_and_not_its_secrets() {
    let app = App::own();
    let url = |variable: &str| {
        let ports = &SERVERS.ports;
        match variable {
            "DATABASE_URL" => {
                format!("postgres://shortlink_batch:wr0ng-Secret@127.0.0.1:{}/short_link_0", ports.postgres)
            }
            _ => format!("redis://shortlink_batch:wr0ng-Secret@127.0.0.1:{}/0", ports.codes),
        }
    };
    for (variable, arguments) in
        [("DATABASE_URL", &["migrate"][..]), ("REDIS_CODES_URL", &["codes", "status"])]
    {
        for value in [url(variable), format!("{}x y", url(variable)), "nonsense wr0ng-Secret".to_owned()] {
            let output = app.batch_with(&[(variable, &value)], arguments);
            assert!(!output.status.success(), "{variable}");
            let said = output.stdout + &output.stderr;
            assert!(
                said.contains(variable) || said.contains("password") || said.contains("WRONGPASS"),
                "{said}"
            );
            for secret in
                secrets().iter().map(String::as_str).chain(["wr0ng-Secret", "panicked", ".rs:", "select "])
            {
                assert!(!said.contains(secret), "{variable} {secret}: {said}");
            }
        }
    }
    let key = "not-hexadecimal-but-secret";
    let output = app.batch_with(&[("SHORTLINK_CODES_KEY", key)], &["codes", "fill", "--target", "1"]);
    assert!(!output.status.success() && output.stderr.contains("SHORTLINK_CODES_KEY"), "{}", output.stderr);
    assert!(!output.stderr.contains(key), "{}", output.stderr);
}

#[test]
fn no_server_has_written_a_password_of_the_services_into_its_log() {
    App::shared().get("/v1/health/ready");
    let logs = SERVERS.site.dir().join("logs");
    for file in fs::read_dir(logs).unwrap() {
        let path = file.unwrap().path();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for secret in secrets() {
            assert!(!text.contains(&secret), "{}", path.display());
        }
    }
}
