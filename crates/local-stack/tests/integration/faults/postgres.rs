//! Postgres: without it cached redirects go on, and everything else is a 503, never a 404.

use std::{thread, time::Duration};

use serde_json::json;
use shortlink_local_stack::fault_proxy::Fault;

use super::{
    LOCK_REGISTRY, LOCKS, OUTAGES, REGISTRY_LOCKS, RELEASE, Rig, assert_unavailable, keep_locked, measured,
    recovery, timed,
};

/// Three seconds are the budget; a slow machine may take longer, but never without a bound.
const LIMIT: Duration = Duration::from_secs(8);

fn serves(rig: &Rig) -> bool {
    rig.resolve("never-made").status == 404 && rig.create().status == 201
}

/// `uncached` is a link that only Postgres holds.
fn assert_down(rig: &Rig, uncached: &str, what: &str) -> Duration {
    rig.follow("cached");
    let (resolve, resolving) = timed(|| rig.resolve(uncached));
    assert_unavailable(&resolve);
    assert_unavailable(&rig.resolve("unknown"));
    let (create, creating) = timed(|| rig.create());
    assert_unavailable(&create);
    let longest = resolving.max(creating);
    assert!(longest < LIMIT, "{what}: {longest:?}");
    rig.follow("cached");
    longest
}

fn rig() -> Rig {
    let rig = Rig::start();
    rig.link("cached");
    rig.app.resolve_until_cached("cached");
    rig.app.store("uncached");
    rig
}

fn outage_and_return(faults: &[Fault]) {
    let rig = rig();
    for (number, fault) in faults.iter().enumerate() {
        // A code for each outage: no write of the one before can reach its entry.
        let uncached = format!("uncached-{number}");
        rig.app.store(&uncached);
        rig.postgres.set(*fault);
        let took = assert_down(&rig, &uncached, &format!("{fault:?}"));
        assert_eq!(rig.app.get("/v1/health/ready").status, 503);
        rig.postgres.set(Fault::None);
        let back = recovery(|| serves(&rig));
        measured(&format!("postgres {fault:?}"), took, back);
        rig.follow(&uncached);
    }
}

#[test]
fn while_postgres_is_down_cached_redirects_work_and_other_requests_are_told_to_retry() {
    outage_and_return(&[OUTAGES[0], OUTAGES[1], OUTAGES[4]]);
}

#[test]
fn while_postgres_hangs_cached_redirects_work_and_other_requests_are_told_to_retry() {
    outage_and_return(&[OUTAGES[2], OUTAGES[3]]);
}

#[test]
fn connections_that_a_firewall_forgot_are_not_used_for_ever() {
    let rig = rig();
    rig.postgres.strand_connections();
    let back = recovery(|| serves(&rig));
    measured("postgres connections stranded", Duration::ZERO, back);
}

#[test]
fn connections_that_were_reset_between_requests_cost_at_most_one_answer() {
    let rig = rig();
    for _ in 0..5 {
        rig.postgres.break_connections();
        let back = recovery(|| serves(&rig));
        assert!(back < LIMIT, "{back:?}");
    }
}

/// Runs `fault` on the service's own database, and `undo` afterwards.
fn refusal(what: &str, fault: &str, undo: &str) {
    let rig = rig();
    let drop_back_ends = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and usename = 'shortlink_app';";
    rig.app.sql(&format!("{fault}; {drop_back_ends}"));
    // A create may still meet the connection that was ended: that is a 503 as well.
    let (reply, took) = timed(|| rig.create());
    assert_unavailable(&reply);
    assert!(took < LIMIT, "{what}: {took:?}");
    rig.follow("cached");
    rig.app.sql(&format!("{undo}; {drop_back_ends}"));
    let back = recovery(|| serves(&rig));
    rig.follow("uncached");
    measured(what, took, back);
}

#[test]
fn a_postgres_that_only_reads_is_a_503_for_creates() {
    refusal(
        "25006 read-only",
        "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$",
        "set default_transaction_read_only = off;
         do $$ begin execute format('alter database %I reset default_transaction_read_only', current_database()); end $$",
    );
}

#[test]
fn a_postgres_with_too_many_connections_is_a_503() {
    refusal(
        "53300 too many connections",
        "do $$ begin execute format('alter database %I connection limit 0', current_database()); end $$",
        "do $$ begin execute format('alter database %I connection limit -1', current_database()); end $$",
    );
}

/// Creates while somebody else holds the registry, and meanwhile does something. The registry is held until the answer
/// is there, however slow this machine is.
fn create_while_locked(rig: &Rig, meanwhile: impl FnOnce()) -> (crate::http::Reply, Duration) {
    rig.app.sql(LOCKS);
    let keep_locked = keep_locked(LOCK_REGISTRY);
    thread::scope(|scope| {
        let holder = scope.spawn(|| rig.app.sql(&keep_locked));
        recovery(|| rig.app.count(REGISTRY_LOCKS) > 0);
        let create = scope.spawn(|| timed(|| rig.app.create(&json!({ "url": "https://late.example" }))));
        meanwhile();
        let answer = create.join().unwrap();
        rig.app.sql(RELEASE);
        holder.join().unwrap();
        answer
    })
}

#[test]
fn a_statement_that_takes_too_long_is_a_503_and_stores_nothing() {
    let rig = rig();
    let (reply, took) = create_while_locked(&rig, || ());
    assert_unavailable(&reply);
    let back = recovery(|| serves(&rig));
    measured("57014 statement timeout", took, back);
    assert_eq!(
        rig.app.count("select count(*) from shortlink.short_link where url = 'https://late.example/'"),
        0
    );
}

#[test]
fn a_back_end_that_is_killed_at_work_is_a_503_at_once() {
    let rig = rig();
    let (reply, took) = create_while_locked(&rig, || {
        let waits = "from pg_stat_activity where datname = current_database() and usename = 'shortlink_app'
            and wait_event_type = 'Lock'";
        recovery(|| rig.app.count(&format!("select count(*) {waits}")) > 0);
        rig.app.sql(&format!("select pg_terminate_backend(pid) {waits}"));
    });
    assert_unavailable(&reply);
    let back = recovery(|| serves(&rig));
    measured("57P01 back end killed", took, back);
}

#[test]
fn a_create_that_postgres_finishes_too_late_leaves_one_link_that_nobody_knows_at_most() {
    let rig = rig();
    rig.app.sql("do $$ begin execute format(
        'alter role shortlink_app in database %I set statement_timeout = ''20s''', current_database()); end $$;
        select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and usename = 'shortlink_app'");
    let (reply, took) = create_while_locked(&rig, || ());
    assert_unavailable(&reply);
    let mut code = None;
    let back = recovery(|| {
        let reply = rig.app.create(&json!({ "url": "https://late.example" }));
        code = (reply.status == 201).then(|| reply.code());
        code.is_some()
    });
    measured("postgres answers too late", took, back);
    let stored =
        rig.app.count("select count(*) from shortlink.short_link where url = 'https://late.example/'");
    assert!((1..=2).contains(&stored), "{stored} links of one retried create");
    let reply = rig.resolve(&code.unwrap());
    assert_eq!(reply.header("location"), Some("https://late.example/"));
}
