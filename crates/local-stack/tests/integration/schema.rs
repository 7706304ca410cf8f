//! The functions of the schema, called as the app and as the owner.

use postgres::error::SqlState;

use crate::app::{App, SERVERS};

const URL: &str = "https://example.com/";

fn create(app: &App, code: &str, url: &str, expires: &str) -> Result<usize, String> {
    let sql =
        format!("select from shortlink.create_short_link($1, $2, now() + interval '{expires}', true, 0, 0)");
    let rows = app.postgres_as_app().query(&sql, &[&code, &url]);
    rows.map(|rows| rows.len()).map_err(|error| error.code().unwrap().code().to_owned())
}

fn create_all(app: &App, codes: &[&str], millis: i64) -> Result<(), String> {
    let urls = vec![URL; codes.len()];
    let ends = vec![millis; codes.len()];
    let custom = vec![1_i32; codes.len()];
    let sql = "select shortlink.create_all_short_links($1, $2, $3, $4, 0, $5)";
    let keys = vec![0_i32; codes.len()];
    let created = app.postgres_as_app().execute(sql, &[&codes, &urls, &ends, &custom, &keys]);
    created.map(drop).map_err(|error| error.code().unwrap().code().to_owned())
}

fn links(app: &App) -> i64 {
    app.count("select count(*) from shortlink.short_link")
}

#[test]
fn each_rule_has_an_sqlstate_of_its_own() {
    let app = App::own();
    let refused = |code: &str, url: &str, expires: &str| create(&app, code, url, expires).unwrap_err();
    assert_eq!(refused("no.code", URL, "1 day"), "SL001");
    assert_eq!(refused("code", "", "1 day"), "SL002");
    assert_eq!(refused("code", &"x".repeat(8193), "1 day"), "SL002");
    assert_eq!(refused("code", URL, "-1 day"), "22023");
    assert_eq!(create(&app, "code", URL, "1 day"), Ok(1));
    assert_eq!(create(&app, "code", URL, "1 day"), Ok(0));
}

#[test]
fn an_expired_code_is_claimed_also_when_the_clock_went_back() {
    let app = App::own();
    // The later created_at may be in the next month.
    app.batch(&["partitions", "create", "--ahead", "1"]).success();
    assert_eq!(create(&app, "code", URL, "1 day"), Ok(1));
    let later = "created_at = created_at + interval '1 hour', expires_at = now() - interval '1 minute'";
    app.sql(&format!("update shortlink.short_code set {later}; update shortlink.short_link set {later}"));
    let before: String = app.sql("select created_at from shortlink.short_code");
    assert_eq!(create(&app, "code", URL, "1 day"), Ok(1));
    let moved = format!(
        "select created_at = timestamptz '{before}' + interval '1 microsecond' from shortlink.short_code"
    );
    assert_eq!(app.sql(&moved), "t");
    assert_eq!(links(&app), 2, "the earlier link is still on record");
    assert_eq!(create(&app, "code", URL, "1 day"), Ok(0));
}

#[test]
fn of_many_callers_exactly_one_gets_a_code_whose_holder_has_a_later_created_at() {
    let app = App::own();
    // The later created_at may be in the next month.
    app.batch(&["partitions", "create", "--ahead", "1"]).success();
    assert_eq!(create(&app, "code", URL, "1 day"), Ok(1));
    app.sql(
        "update shortlink.short_code
         set created_at = created_at + interval '1 hour', expires_at = now() - interval '1 minute'",
    );
    let created: usize = std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| create(&app, "code", URL, "1 day").unwrap())).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert_eq!(created, 1);
}

#[test]
fn several_links_are_created_all_or_none() {
    let app = App::own();
    let future = crate::app::unix_millis() + 86_400_000;
    assert_eq!(create_all(&app, &["aaaaaaa", "bbbbbbb"], future), Ok(()));
    assert_eq!(links(&app), 2);
    for (codes, ends, sqlstate) in [
        (&["0000000", "bbbbbbb"][..], future, "23505"),
        (&["0000000", "0000000"], future, "23505"),
        (&["0000000", "no.code"], future, "SL001"),
        (&["0000000"], 1000, "22023"),
        (&["0000000"; 101], future, "22023"),
    ] {
        assert_eq!(create_all(&app, codes, ends).unwrap_err(), sqlstate, "{codes:?}");
        assert_eq!(links(&app), 2, "{codes:?}");
    }
    let uneven = app
        .postgres_as_app()
        .execute("select shortlink.create_all_short_links('{0000000}', '{}', '{}', '{}', 0, '{}')", &[])
        .unwrap_err();
    assert_eq!(uneven.code(), Some(&SqlState::INVALID_PARAMETER_VALUE));
    app.sql("update shortlink.short_code set expires_at = now()");
    assert_eq!(create_all(&app, &["aaaaaaa", "bbbbbbb"], future), Ok(()), "both have expired");
}

#[test]
fn more_links_than_the_answer_can_tell_apart_are_refused() {
    let app = App::own();
    let create = |count: i32| {
        let sql = "select from shortlink.create_short_links(
            array(select 'many-' || n from generate_series(1, $1::int) n), array_fill('https://example.com/'::text, array[$1]),
            array_fill(4000000000000, array[$1]), array_fill(1, array[$1]))";
        app.postgres_as_app().query(sql, &[&count]).map(|rows| rows.len())
    };
    assert_eq!(create(30).unwrap(), 1);
    let error = create(31).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE), "{error}");
}

#[test]
fn a_link_without_an_end_resolves_beside_others() {
    let app = App::own();
    for (code, expires) in [("ends", "1 day"), ("never", "1 day"), ("expired", "1 day")] {
        assert_eq!(create(&app, code, URL, expires), Ok(1));
    }
    app.sql("update shortlink.short_link set expires_at = 'infinity' where short_code = 'never'");
    app.sql("update shortlink.short_link set expires_at = '-infinity' where short_code = 'expired'");
    let found: Vec<Option<String>> = app
        .postgres_as_app()
        .query_one("select shortlink.resolve_short_links('{ends,never,expired,unknown}')", &[])
        .unwrap()
        .get(0);
    assert!(found[0].as_ref().unwrap().ends_with(" https://example.com/"), "{found:?}");
    assert_eq!(found[1..], [Some(format!("never {URL}")), Some(String::new()), None]);
}

#[test]
fn every_function_runs_as_the_owner_with_a_fixed_search_path() {
    let loose = "select oid::regprocedure from pg_proc where pronamespace = 'shortlink'::regnamespace
        and not (prosecdef and proconfig @> array['search_path=shortlink, pg_temp'])";
    assert_eq!(App::shared().sql(loose), "");
}

#[test]
fn the_app_creates_the_partition_of_this_month_and_of_no_other() {
    let app = App::own();
    app.sql(&chrono::Utc::now().format("drop table shortlink.short_link_%Y%m").to_string());
    let mut postgres = app.postgres_as_app();
    let name: String = postgres.query_one("select shortlink.create_current_partition()", &[]).unwrap().get(0);
    assert_eq!(name, chrono::Utc::now().format("short_link_%Y%m").to_string());
    for other in ["now() + interval '1 month'", "now() - interval '1 month'", "'2000-01-01'"] {
        let sql = format!("select shortlink.create_short_link_partition({other})");
        let error = postgres.query(&sql, &[]).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{error}");
    }
}

#[test]
fn the_statements_of_version_0_1_0_still_work() {
    let app = App::own();
    app.sql(&chrono::Utc::now().format("drop table shortlink.short_link_%Y%m").to_string());
    let mut postgres = app.postgres_as_app();
    let create = "select from shortlink.create_short_link(
        $1, 'https://example.com/', timestamptz 'epoch' + $2::bigint * interval '1 millisecond', true)";
    let future = crate::app::unix_millis() + 86_400_000;
    let missing = postgres.query(create, &[&"old", &future]).unwrap_err();
    assert_eq!(missing.code(), Some(&SqlState::CHECK_VIOLATION), "{missing}");
    postgres.query("select shortlink.create_short_link_partition(now())", &[]).unwrap();
    assert_eq!(postgres.query(create, &[&"old", &future]).unwrap().len(), 1);
    assert_eq!(postgres.query(create, &[&"old", &future]).unwrap().len(), 0);
    let several = "select from shortlink.create_short_links($1, $2, $3, $4)";
    let (codes, urls) = (vec!["old", "new"], vec![URL; 2]);
    let rows = postgres.query(several, &[&codes, &urls, &vec![future; 2], &vec![1_i32; 2]]).unwrap();
    assert_eq!(rows.len(), 2, "one for the statement and one for the first code, which is taken");
    let found: Vec<Option<String>> =
        postgres.query_one("select shortlink.resolve_short_links($1)", &[&codes]).unwrap().get(0);
    assert!(found.iter().flatten().all(|link| link.ends_with(URL)), "{found:?}");
    assert_eq!(found.len(), 2);
}

#[test]
fn the_statements_that_know_no_keys_still_work_and_respect_blocked_hosts() {
    let app = App::own();
    let mut postgres = app.postgres_as_app();
    let one = "select from shortlink.create_short_link($1, $2, now() + interval '1 day', true, 0)";
    assert_eq!(postgres.query(one, &[&"one", &URL]).unwrap().len(), 1);
    assert_eq!(postgres.query(one, &[&"one", &URL]).unwrap().len(), 0);
    let all = "select shortlink.create_all_short_links($1, $2, $3, $4, 0)";
    let mut create_all = |codes: &[&str], url: &str| {
        let (urls, ends) = (vec![url; codes.len()], vec![None::<i64>; codes.len()]);
        let created = postgres.execute(all, &[&codes, &urls, &ends, &vec![1_i32; codes.len()]]);
        created.map_err(|error| error.code().unwrap().code().to_owned())
    };
    assert_eq!(create_all(&["two", "three"], URL), Ok(1));
    assert_eq!(create_all(&["four", "two"], URL), Err("23505".into()));
    app.sql("insert into shortlink.blocked_host values ('example.com')");
    assert_eq!(create_all(&["five"], URL), Err("SL003".into()));
    assert_eq!(links(&app), 3);
}

#[test]
fn no_quarantine_frees_the_code_of_a_live_link() {
    let app = App::own();
    assert_eq!(create(&app, "victim", URL, "1 day"), Ok(1));
    let mut postgres = app.postgres_as_app();
    let sql = "select from shortlink.create_short_link('victim', 'https://evil.example/', now() + interval '1 day', true, -36500, 0)";
    assert_eq!(postgres.query(sql, &[]).unwrap().len(), 0);
    let sql = "select shortlink.create_all_short_links('{victim}', '{https://evil.example/}', '{null}', '{1}', -36500, '{0}')";
    let error = postgres.query(sql, &[]).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{error}");
}

const ZONES: [&str; 8] = [
    "UTC",
    "Asia/Shanghai",
    "Asia/Kolkata",
    "America/Los_Angeles",
    "Europe/Dublin",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "America/St_Johns",
];
const STYLES: [&str; 4] = ["ISO, MDY", "SQL, DMY", "Postgres, MDY", "German, DMY"];

/// Makes every new session of this database use that time zone and style.
fn set_style(app: &App, zone: &str, style: &str) {
    app.sql(&format!(
        "select format('alter database %I set timezone = %L', current_database(), '{zone}') \\gexec
         select format('alter database %I set datestyle = %L', current_database(), '{style}') \\gexec"
    ));
}

/// The bounds of the partition of that month, whatever the session's style.
fn bounds(app: &App, month: &str) -> String {
    app.sql(&format!(
        "set timezone = 'UTC'; set datestyle = 'ISO, YMD';
         select starts_at || ' ' || ends_at from shortlink.short_link_partitions() where partition_name = '{month}'"
    ))
}

#[test]
fn a_partition_is_a_utc_month_under_every_time_zone_and_date_style() {
    let app = App::own();
    for zone in ZONES {
        for style in STYLES {
            set_style(&app, zone, style);
            app.batch(&["partitions", "create", "--month", "2031-07", "--month", "2031-08"]).success();
            let july = bounds(&app, "short_link_203107");
            assert_eq!(july, "2031-07-01 00:00:00+00 2031-08-01 00:00:00+00", "{zone}, {style}");
            let edges = "select string_agg(shortlink.short_link_partition_exists(t)::text, ' ' order by t) from (values
                (timestamptz '2031-06-30T23:59:59.999999Z'), ('2031-07-01T00:00:00Z'), ('2031-08-31T23:59:59.999999Z'),
                ('2031-09-01T00:00:00Z')) edge (t)";
            assert_eq!(app.sql(edges), "false true true false", "{zone}, {style}");
            let listed = app.batch(&["--json", "partitions", "list"]).success_json();
            let july = listed["partitions"]
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["name"] == "short_link_203107");
            assert_eq!(july.unwrap()["from"], "2031-07-01T00:00:00Z", "{zone}, {style}");
            app.sql("drop table shortlink.short_link_203107, shortlink.short_link_203108");
        }
    }
}

#[test]
fn a_month_after_shifted_bounds_begins_where_they_end() {
    let app = App::own();
    app.sql(
        "create table shortlink.short_link_203102 (like shortlink.short_link including all);
         alter table shortlink.short_link_203102 owner to shortlink_batch;
         alter table shortlink.short_link attach partition shortlink.short_link_203102
             for values from ('2031-02-01T14:00:00Z') to ('2031-03-01T14:00:00Z')",
    );
    app.batch(&["partitions", "create", "--month", "2031-03", "--month", "2031-01"]).success();
    assert_eq!(bounds(&app, "short_link_203103"), "2031-03-01 14:00:00+00 2031-04-01 00:00:00+00");
    assert_eq!(bounds(&app, "short_link_203101"), "2031-01-01 00:00:00+00 2031-02-01 14:00:00+00");
    let listed = app.batch(&["partitions", "list"]).success().stdout;
    assert!(listed.contains("2031-02-01T14:00:00Z  2031-03-01T14:00:00Z"), "{listed}");
}

#[test]
fn the_migration_repairs_shifted_months_that_hold_nothing() {
    let app = App::own();
    let next: String = app.sql("select to_char(now() at time zone 'UTC' + interval '1 month', 'YYYYMM')");
    let month = format!("short_link_{next}");
    let start =
        format!("make_timestamptz(left('{next}', 4)::int, right('{next}', 2)::int, 1, 14, 0, 0, 'UTC')");
    app.sql(&format!(
        "create table shortlink.{month} (like shortlink.short_link including all);
         alter table shortlink.{month} owner to shortlink_batch;
         select format('alter table shortlink.short_link attach partition shortlink.{month} for values from (%L) to (%L)',
             {start}, {start} + interval '1 month') \\gexec"
    ));
    let migration =
        std::fs::read_to_string(crate::app::root().join("migrations/V6__links_and_months.sql")).unwrap();
    let repair = &migration[migration.rfind("\ndo $$").unwrap()..];
    app.sql(repair);
    let exact = format!(
        "select starts_at = {start} - interval '14 hours' from shortlink.short_link_partitions() where partition_name = '{month}'"
    );
    assert_eq!(app.sql(&exact), "t", "{}", bounds(&app, &month));
}

#[test]
fn another_role_than_the_owner_cannot_migrate() {
    let app = App::own();
    let database = app.sql("select current_database()");
    let superuser = shortlink_local_stack::database_url(
        SERVERS.site.tls(),
        SERVERS.ports.postgres,
        "postgres",
        &SERVERS.secrets.postgres,
        &database,
    );
    let migrate = || app.batch_with(&[("DATABASE_URL", &superuser)], &["migrate"]);
    let refused = migrate();
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("names postgres, but shortlink_batch owns"), "{}", refused.stderr);
    app.sql("drop schema shortlink cascade");
    let refused = migrate();
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("owns database {database}")), "{}", refused.stderr);
    app.batch(&["migrate"]).success();
}
