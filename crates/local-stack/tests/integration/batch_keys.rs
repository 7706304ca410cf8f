//! What the batch does for owned links: API keys, blocked hosts, changes in the redirect cache, indexes.

use std::{fs, thread};

use serde_json::{Value, json};

use crate::app::{App, Output, SERVERS, wait_until};

/// Stores a link in Postgres alone.
fn store(app: &App, code: &str, url: &str) {
    app.sql(&format!(
        "select from shortlink.create_short_link('{code}', '{url}', now() + interval '1 day', true, 0, 0)"
    ));
}

fn refused(output: &Output, problem: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", output.stderr);
    assert!(output.stderr.contains(problem), "{}", output.stderr);
    assert_eq!(output.stdout, "");
}

mod keys {
    use super::*;

    #[test]
    fn a_key_is_shown_once_and_only_its_hash_is_stored() {
        let app = App::own();
        let scopes = ["--scope", "manage", "--scope", "create", "--scope", "create"];
        let arguments =
            [&["keys", "create", "--name", "ci"][..], &scopes, &["--expires", "2031-01-01"]].concat();
        let output = app.batch(&arguments).success();
        let key = output.stdout.trim_end();
        let characters = key.strip_prefix("slk_").expect("a key and nothing else");
        assert!(characters.len() == 43 && characters.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(output.stderr.contains("shown this once") && !output.stderr.contains(characters));

        let stored =
            app.sql("select scopes, expires_at at time zone 'UTC', revoked_at from shortlink.api_key");
        assert_eq!(stored, "{create,manage}|2031-01-01 00:00:00|");
        let checked = format!("select (shortlink.check_api_key(sha256('{key}')))[2]");
        assert_eq!(app.sql(&checked), "ci");
        assert!(!app.sql("select api_key from shortlink.api_key").contains(characters));
    }

    #[test]
    fn a_program_gets_one_object() {
        let app = App::own();
        let output = app.batch(&["--json", "keys", "create", "--name", "ci", "--scope", "admin"]).success();
        assert_eq!((output.stdout.lines().count(), output.stderr.as_str()), (1, ""));
        let created = output.success_json();
        assert_eq!(created["key"].as_str().unwrap().len(), 47);
        assert_eq!((&created["scopes"], &created["expires_at"]), (&json!(["admin"]), &Value::Null));
    }

    #[test]
    fn a_name_is_used_once() {
        let app = App::own();
        let create = ["keys", "create", "--name", "ci", "--scope", "read"];
        app.batch(&create).success();
        refused(&app.batch(&create), "--name ci is taken");
        app.batch(&["keys", "revoke", "ci"]).success();
        refused(&app.batch(&create), "--name ci is taken");
        assert_eq!(app.count("select count(*) from shortlink.api_key"), 1);
    }

    #[test]
    fn a_key_that_makes_no_sense_is_not_created() {
        let app = App::own();
        let create = |more: &[&str]| app.batch(&[&["keys", "create"], more].concat());
        refused(&create(&["--name", "ci"]), "--scope <SCOPE>");
        refused(
            &create(&["--name", "ci", "--scope", "write"]),
            "possible values: create, read, manage, admin",
        );
        refused(&create(&["--name", "a,b", "--scope", "read"]), "must be 1 to 64 visible ASCII characters");
        let expires = |time| create(&["--name", "ci", "--scope", "read", "--expires", time]);
        refused(&expires("2020-01-01"), "--expires must be in the future");
        refused(&expires("tomorrow"), "must be a date such as 2031-01-01");
        assert_eq!(app.count("select count(*) from shortlink.api_key"), 0);
    }

    #[test]
    fn keys_are_listed_with_their_state() {
        let app = App::own();
        for name in ["good", "old", "gone"] {
            app.batch(&["keys", "create", "--name", name, "--scope", "create"]).success();
        }
        app.sql("update shortlink.api_key set expires_at = now() where key_name = 'old'");
        app.sql("update shortlink.api_key set last_used_on = '2030-05-06' where key_name = 'good'");
        app.batch(&["keys", "revoke", "gone"]).success();
        let listed = app.batch(&["--json", "keys", "list"]).success_json();
        let states: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|key| &key["state"]).collect();
        assert_eq!(states, ["good", "expired", "revoked"]);
        assert_eq!(listed["keys"][0]["last_used_on"], "2030-05-06");
        let table = app.batch(&["keys", "list"]).success().stdout;
        assert_eq!(
            table.lines().next(),
            Some("NAME  SCOPES  CREATED               EXPIRES               LAST USED   STATE")
        );
    }

    #[test]
    fn a_key_is_revoked_once_and_refused_from_then_on() {
        let app = App::own();
        let key = app.batch(&["keys", "create", "--name", "ci", "--scope", "create"]).success().stdout;
        let revoke = || app.batch(&["--json", "keys", "revoke", "ci"]).success_json()["changed"].clone();
        assert_eq!(revoke(), true);
        let revoked_at = app.sql("select revoked_at from shortlink.api_key");
        assert_eq!(revoke(), false);
        assert_eq!(app.sql("select revoked_at from shortlink.api_key"), revoked_at);
        let checked = format!("select shortlink.check_api_key(sha256('{}')) is null", key.trim_end());
        assert_eq!(app.sql(&checked), "t");
        refused(&app.batch(&["keys", "revoke", "other"]), "NAME other is no key");
    }
}

mod block {
    use super::*;

    #[test]
    fn a_host_is_blocked_with_its_subdomains_until_it_is_removed() {
        let app = App::own();
        app.batch(&["block", "add", "Evil.Example.", "bücher.example", "[2001:DB8::1]"]).success();
        let is_blocked = |url| app.sql(&format!("select shortlink.is_blocked('{url}')")) == "t";
        for url in [
            "https://evil.example/",
            "http://a.b.evil.example:8080/x",
            "https://xn--bcher-kva.example/",
            "https://[2001:db8::1]/",
        ] {
            assert!(is_blocked(url), "{url}");
        }
        for url in ["https://notevil.example/", "https://example/", "https://evil.example.org/"] {
            assert!(!is_blocked(url), "{url}");
        }
        let hosts = app.batch(&["--json", "block", "list"]).success_json()["hosts"].clone();
        let hosts: Vec<_> = hosts.as_array().unwrap().iter().map(|host| host["host"].clone()).collect();
        assert_eq!(hosts, ["[2001:db8::1]", "evil.example", "xn--bcher-kva.example"]);

        let removed =
            app.batch(&["--json", "block", "remove", "EVIL.example", "other.example"]).success_json();
        assert_eq!(removed["removed"], json!(["evil.example"]));
        assert!(!is_blocked("https://evil.example/"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let app = App::own();
        refused(&app.batch(&["block", "add", "https://evil.example/"]), "must be a host alone");
        refused(&app.batch(&["block", "add", "good.example", "*.evil.example"]), "must have no wildcard");
        assert_eq!(app.count("select count(*) from shortlink.blocked_host"), 0);
    }

    #[test]
    fn links_that_lead_there_are_disabled_listed_and_noted() {
        let app = App::own();
        app.batch(&["partitions", "create", "--ahead", "1"]).success();
        for (code, url) in [
            ("b-sub", "https://a.evil.example/x"),
            ("a-host", "https://evil.example/"),
            ("port", "http://evil.example:8080/"),
            ("good", "https://good.example/?to=evil.example"),
            ("other", "https://other.example/"),
            ("ended", "https://evil.example/"),
        ] {
            store(&app, code, url);
        }
        app.sql("update shortlink.short_code set expires_at = now() where short_code = 'ended'");
        app.sql("update shortlink.short_link set expires_at = now() where short_code = 'ended'");
        // Blocked before, and not asked for now.
        app.batch(&["block", "add", "other.example"]).success();

        let add = ["--json", "block", "add", "evil.example", "--disable-links"];
        let blocked = app.batch(&add).success_json();
        assert_eq!(blocked["disabled"], json!(["a-host", "b-sub", "port"]), "{blocked}");
        assert_eq!(blocked["count"], 3);
        let noted =
            app.sql("select string_agg(short_code, ' ' order by short_code) from shortlink.link_change");
        assert_eq!(noted, "a-host b-sub port");
        assert_eq!(app.get("/v1/shortlink/a-host").status, 410);
        for code in ["good", "other"] {
            assert_eq!(app.get(&format!("/v1/shortlink/{code}")).status, 302, "{code}");
        }
        assert_eq!(app.batch(&add).success_json()["count"], 0, "again is harmless");

        let human = app.batch(&["block", "add", "other.example", "--disable-links"]).success().stdout;
        assert_eq!(human, "other\nnothing was added: blocked already\ndisabled 1 links\n");
        assert_eq!(app.count("select count(*) from shortlink.short_link"), 6, "nothing is deleted");
    }

    #[test]
    fn a_link_whose_create_is_in_flight_is_disabled_too() {
        let app = App::own();
        let mut postgres = app.postgres_as_superuser();
        let mut create = postgres.transaction().unwrap();
        create
            .execute(
                "select from shortlink.create_short_link(
                     'late', 'https://evil.example/', now() + interval '1 day', true, 0, 0
                 )",
                &[],
            )
            .unwrap();
        let command = app.batch_command(&["--json", "block", "add", "evil.example", "--disable-links"]);
        let add = thread::spawn(move || Output::of(command));
        wait_until("the batch waits for the create", || {
            app.count("select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())") > 0
        });
        create.commit().unwrap();
        assert_eq!(add.join().unwrap().success_json()["disabled"], json!(["late"]));
    }
}

mod changes {
    use super::*;

    fn note(app: &App, code: &str, age: &str) {
        app.sql(&format!(
            "insert into shortlink.link_change (short_code, changed_at) values ('{code}', now() - interval '{age}')"
        ));
    }

    fn waiting(app: &App) -> String {
        app.sql(
            "select coalesce(string_agg(short_code, ' ' order by change_id), '') from shortlink.link_change",
        )
    }

    fn cached(app: &App, code: &str) -> String {
        String::from_utf8(app.cached(code).unwrap_or_default()).unwrap()
    }

    #[test]
    fn changed_links_are_written_to_the_cache_and_forgotten() {
        let app = App::own();
        for code in ["live", "off", "young"] {
            store(&app, code, &format!("https://{code}.example/"));
        }
        app.sql("update shortlink.short_link set disabled_at = now() where short_code = 'off'");
        for code in ["live", "off", "unknown", "live"] {
            app.set_cached(code, "never https://old.example/");
            note(&app, code, "6 seconds");
        }
        note(&app, "young", "1 second");
        let applied = app.batch(&["--json", "changes", "apply"]).success_json();
        assert_eq!((&applied["applied"], &applied["waiting"]), (&json!(4), &json!(1)));
        assert_eq!(waiting(&app), "young");
        assert!(cached(&app, "live").ends_with(" https://live.example/"), "{}", cached(&app, "live"));
        assert_eq!((cached(&app, "off"), cached(&app, "unknown")), ("x".into(), "-".into()));
        for code in ["live", "off", "unknown"] {
            assert!((1..=60_000).contains(&app.cached_for_millis(code)), "{code}");
        }
        assert_eq!(app.cached("young"), None);
    }

    #[test]
    fn an_entry_does_not_outlive_its_link() {
        let app = App::own();
        store(&app, "short", "https://example.com/");
        app.sql("update shortlink.short_link set expires_at = now() + interval '20 seconds'");
        note(&app, "short", "1 minute");
        app.batch(&["changes", "apply"]).success();
        assert!(app.cached_for_millis("short") <= 20_000);
    }

    #[test]
    fn many_changes_are_applied_in_one_run() {
        let app = App::own();
        app.sql(
            "insert into shortlink.link_change (short_code, changed_at)
             select 'many-' || n, now() - interval '1 minute' from generate_series(1, 1203) n",
        );
        assert_eq!(app.batch(&["--json", "changes", "apply"]).success_json()["applied"], 1203);
        assert_eq!((waiting(&app), cached(&app, "many-1203")), (String::new(), "-".into()));
    }

    #[test]
    fn changes_wait_while_the_cache_is_away() {
        let app = App::own();
        note(&app, "one", "1 minute");
        note(&app, "two", "1 second");
        let apply = ["changes", "apply"];
        let output = app
            .batch_with(&[("REDIS_CACHE_URL", "redis://127.0.0.1:1"), ("REDIS_CACHE_CA_FILE", "")], &apply);
        assert_eq!(output.status.code(), Some(1), "{}", output.stderr);
        assert!(
            output.stderr.contains("2 changes of links wait for the next run: cannot connect"),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains("REDIS_CACHE_URL"), "{}", output.stderr);
        assert_eq!(waiting(&app), "one two");
        refused(&app.batch_with(&[("REDIS_CACHE_URL", "")], &apply), "REDIS_CACHE_URL is not set");
    }

    /// Runs SQL right after each time that the batch has read what codes lead to.
    fn after_each_read(app: &App, sql: &str) {
        app.sql(&format!(
            "alter function shortlink.resolve_short_links(text[]) rename to read_short_links;
             create function shortlink.resolve_short_links(p_codes text[]) returns text[]
             language plpgsql security definer as $$
             declare v_found text[] := shortlink.read_short_links(p_codes);
             begin
                 {sql};
                 return v_found;
             end
             $$"
        ));
        app.sql("grant execute on function shortlink.resolve_short_links(text[]) to shortlink_batch");
    }

    #[test]
    fn a_change_between_read_and_write_is_not_covered() {
        let app = App::own();
        store(&app, "moved", "https://old.example/");
        store(&app, "still", "https://still.example/");
        after_each_read(
            &app,
            "update shortlink.short_link set url = 'https://new.example/' where short_code = 'moved'",
        );
        note(&app, "moved", "1 minute");
        note(&app, "still", "1 minute");
        app.batch(&["changes", "apply"]).success();
        assert!(cached(&app, "moved").ends_with(" https://new.example/"), "{}", cached(&app, "moved"));
        assert_eq!(waiting(&app), "");
    }

    #[test]
    fn a_link_that_keeps_changing_stays_for_the_next_run() {
        let app = App::own();
        store(&app, "moved", "https://example.com/");
        store(&app, "still", "https://still.example/");
        after_each_read(&app, "update shortlink.short_link set url = url || 'x' where short_code = 'moved'");
        note(&app, "moved", "1 minute");
        note(&app, "still", "1 minute");
        let applied = app.batch(&["--json", "changes", "apply"]).success_json();
        assert_eq!((&applied["applied"], &applied["waiting"]), (&json!(1), &json!(1)));
        assert_eq!(waiting(&app), "moved");
    }

    #[test]
    fn two_batches_do_not_apply_changes_at_once() {
        let app = App::own();
        note(&app, "one", "1 minute");
        let mut other = app.postgres_as_superuser();
        other.execute("select pg_advisory_lock(7391, 5)", &[]).unwrap();
        assert_eq!(app.batch(&["--json", "changes", "apply"]).success_json()["event"], "busy");
        assert_eq!(waiting(&app), "one");
    }

    #[test]
    fn a_round_applies_changes_and_clears_idempotency_keys_and_counts_what_is_left() {
        let app = App::own();
        note(&app, "old", "1 minute");
        note(&app, "young", "-1 minute");
        app.batch(&["keys", "create", "--name", "ci", "--scope", "create"]).success();
        app.sql(
            "insert into shortlink.idempotency_key values
                 (0, 'old', '', '{}', now() - interval '25 hours'), (0, 'young', '', '{}', now() - interval '23 hours')",
        );
        let path = SERVERS.site.dir().join("owned.prom");
        app.batch(&["run", "--target", "10", "--metrics-file", path.to_str().unwrap()]).success();
        assert_eq!(waiting(&app), "young");
        assert_eq!(app.sql("select idempotency_key from shortlink.idempotency_key"), "young");
        let text = fs::read_to_string(&path).unwrap();
        for line in [
            "shortlink_keys 1",
            "shortlink_changes_waiting 1",
            "shortlink_batch_step_failed{step=\"changes apply\"} 0",
            "shortlink_batch_step_failed{step=\"idempotency clear\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }
}

mod indexes {
    use super::*;

    fn attached(app: &App, parent: &str) -> i64 {
        app.count(&format!(
            "select count(*) from pg_inherits where inhparent = 'shortlink.{parent}'::regclass"
        ))
    }

    fn is_valid(app: &App, index: &str) -> bool {
        app.sql(&format!("select indisvalid from pg_index where indexrelid = 'shortlink.{index}'::regclass"))
            == "t"
    }

    /// A database whose partitions are older than the index.
    fn app_without_index() -> (App, String) {
        let app = App::own();
        app.batch(&["partitions", "create", "--ahead", "2"]).success();
        app.sql(
            "drop index shortlink.short_link_by_key;
             set role shortlink_batch;
             create index short_link_by_key on only shortlink.short_link (key_id, created_at, short_code)",
        );
        let partition = app.sql("select min(inhrelid::regclass::text) from pg_inherits where inhparent = 'shortlink.short_link'::regclass");
        (app, partition)
    }

    #[test]
    fn partitions_that_are_older_than_an_index_get_it() {
        let (app, _) = app_without_index();
        assert!(!is_valid(&app, "short_link_by_key"));
        let output = app.batch(&["migrate"]).success().stdout;
        assert_eq!(output.matches("built the index short_link_").count(), 3, "{output}");
        assert!(is_valid(&app, "short_link_by_key"));
        assert_eq!(app.batch(&["migrate"]).success().stdout, "the schema is up to date\n");
    }

    #[test]
    fn what_a_killed_build_has_left_is_finished() {
        let (app, partition) = app_without_index();
        let columns = "(key_id, created_at, short_code)";
        let name = partition.trim_start_matches("shortlink.");
        // One build was killed, another one was not attached.
        let other = app.sql("select max(inhrelid::regclass::text) from pg_inherits where inhparent = 'shortlink.short_link'::regclass");
        let other_name = other.trim_start_matches("shortlink.");
        app.sql(&format!(
            "set role shortlink_batch;
             create index {name}_by_key on {partition} {columns};
             create index {other_name}_by_key on {other} {columns};
             reset role;
             update pg_index set indisvalid = false where indexrelid = 'shortlink.{name}_by_key'::regclass"
        ));
        app.batch(&["migrate"]).success();
        assert!(is_valid(&app, "short_link_by_key") && is_valid(&app, &format!("{name}_by_key")));
        assert_eq!(attached(&app, "short_link_by_key"), 3);
        assert_eq!(app.count("select count(*) from pg_index where indrelid::regclass::text ~ 'short_link_2' and not indisvalid"), 0);
    }

    #[test]
    fn texts_are_searched_by_an_index_where_pg_trgm_is_installed() {
        let app = App::own();
        store(&app, "found", "https://example.com/Needle");
        let search = "select (shortlink.list_links(0, null, 'needle', null, null, 10))[1:2]";
        assert_eq!(app.sql(search), "{prefix}");
        app.sql("create extension pg_trgm");
        app.batch(&["migrate"]).success();
        assert!(is_valid(&app, "short_link_search"));
        assert_eq!(app.sql(search), "{text,found}");
        app.batch(&["partitions", "create", "--month", "2031-05"]).success();
        assert_eq!(attached(&app, "short_link_search"), 2, "a new partition has the index");
        assert_eq!(app.batch(&["migrate"]).success().stdout, "the schema is up to date\n");
    }

    #[test]
    fn a_migration_waits_for_a_lock_in_short_attempts() {
        let app = App::own();
        app.sql("create extension pg_trgm");
        let mut other = app.postgres_as_superuser();
        let mut create = other.transaction().unwrap();
        create.batch_execute("lock table shortlink.short_link in row exclusive mode").unwrap();
        let command = app.batch_command(&["migrate"]);
        let migrate = thread::spawn(move || Output::of(command));
        let queued =
            "select count(*) from pg_locks where not granted and relation = 'shortlink.short_link'::regclass";
        wait_until("migrate waits", || app.count(queued) > 0);
        wait_until("it lets others pass", || app.count(queued) == 0);
        create.commit().unwrap();
        let output = migrate.join().unwrap().success().stdout;
        assert_eq!(output.matches("another session holds a lock").count(), 1, "{output}");
        assert!(is_valid(&app, "short_link_search"));
    }
}
