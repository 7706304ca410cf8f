//! Servers that answer and refuse, and failures that concern one request among several: neither is taken for a server that
//! is gone.

use std::{slice::from_ref, thread, time::Duration};

use serde_json::{Value, json};
use shortlink_local_stack::{RedisKind, Signal, fault_proxy::Fault};

use super::{
    LOCK_REGISTRY, LOCKS, REGISTRY_LOCKS, RELEASE, Rig, assert_unavailable, keep_locked, own::Own, recovery,
    timed,
};
use crate::{app::wait_until, http::Reply};

/// What makes a Redis refuse writes while it answers reads.
struct Refusal {
    what: &'static str,
    commands: &'static [&'static str],
    undo: &'static [&'static str],
    /// How the two hosts tell of it.
    words: [&'static str; 2],
}

const REFUSALS: [Refusal; 4] = [
    Refusal {
        what: "the memory is full",
        commands: &["CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1"],
        undo: &["CONFIG SET maxmemory 0"],
        words: ["OOM", "OOM"],
    },
    Refusal {
        what: "a replica that is read-only",
        commands: &["REPLICAOF 127.0.0.1 1"],
        undo: &["REPLICAOF NO ONE"],
        words: ["read only replica", "READONLY"],
    },
    Refusal {
        what: "too few replicas",
        commands: &["CONFIG SET min-replicas-to-write 1"],
        undo: &["CONFIG SET min-replicas-to-write 0"],
        words: ["NOREPLICAS", "NOREPLICAS"],
    },
    Refusal {
        what: "a user without the permission",
        commands: &["ACL SETUSER shortlink_app -set -lpop"],
        undo: &["ACL SETUSER shortlink_app +set +lpop"],
        words: ["no permissions", "NOPERM"],
    },
];

fn run(redis: &mut redis::Connection, commands: &[&str]) {
    for command in commands {
        let mut words = command.split(' ');
        let () = redis::cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).query(redis).unwrap();
    }
}

/// Creates links until a refusal is logged, which it is once a second: no create fails by it.
fn create_until_logged(own: &Own, what: &str, words: [&str; 2], create: impl Fn() -> Reply) {
    let before = own.log().len();
    wait_until(&format!("{what} is logged"), || {
        assert_eq!(create().status, 201, "{what}");
        own.log().get(before..).is_some_and(|log| words.iter().any(|word| log.contains(word)))
    });
}

#[test]
fn a_cache_that_refuses_writes_is_still_read() {
    let mut own = Own::start();
    let mut operator = own.operator(RedisKind::Cache);
    for (number, Refusal { what, commands, undo, words }) in REFUSALS.into_iter().enumerate() {
        let kept = format!("kept-{number}");
        assert_eq!(own.create(&kept).status, 201, "{what}");
        own.wait_until_cached(&mut operator, &kept);
        run(&mut operator, commands);
        create_until_logged(&own, what, words, || own.create_any());
        // With Postgres away only the cache knows the link: reads were not switched off by the refused write.
        own.signal_postgres(Signal::Stop);
        for _ in 0..10 {
            own.assert_links(from_ref(&kept));
        }
        own.signal_postgres(Signal::Continue);
        run(&mut operator, undo);
        recovery(|| own.create(&format!("again-{number}")).status == 201);
        own.wait_until_cached(&mut operator, &format!("again-{number}"));
    }
}

#[test]
fn a_pool_that_refuses_to_hand_out_codes_does_not_stop_creates_and_readiness_says_degraded() {
    let own = Own::start();
    let mut operator = own.operator(RedisKind::Codes);
    let codes_check = || own.get("/v1/health/ready").json()["checks"]["redis_codes"].clone();
    for Refusal { what, commands, undo, words } in REFUSALS {
        // LPOP needs no memory.
        if what == "the memory is full" {
            continue;
        }
        run(&mut operator, commands);
        create_until_logged(&own, what, words, || own.create_any());
        assert_eq!(codes_check(), "degraded", "{what}");
        run(&mut operator, undo);
        recovery(|| codes_check() == "ok");
    }
}

#[test]
fn an_alias_that_waits_for_a_lock_does_not_fail_the_creates_beside_it() {
    let rig = Rig::start();
    // It has expired, so a create of the same alias may replace it, and waits for whoever has locked its row.
    rig.app.sql(
        "insert into shortlink.short_code values ('locked', now() - interval '2 days', now() - interval '1 day')",
    );
    rig.app.sql(LOCKS);
    rig.app.warm();
    let keep_locked = keep_locked("select from shortlink.short_code where short_code = 'locked' for update");
    let is_locked = "select count(*) from pg_stat_activity where datname = current_database() and query like '%public.released%'
        and wait_event = 'PgSleep'";
    thread::scope(|scope| {
        let holder = scope.spawn(|| rig.app.sql(&keep_locked));
        recovery(|| rig.app.count(is_locked) > 0);
        let create = |alias: &str| rig.app.create(&json!({ "url": "https://example.com", "alias": alias }));
        let locked = scope.spawn(move || create("locked"));
        let others: Vec<_> =
            (0..14).map(|number| scope.spawn(move || create(&format!("beside-{number}")))).collect();
        for other in others {
            let reply = other.join().unwrap();
            assert_eq!(reply.status, 201, "{}", reply.body);
        }
        assert_unavailable(&locked.join().unwrap());
        rig.app.sql(RELEASE);
        holder.join().unwrap();
    });
}

#[test]
fn a_new_alias_is_seen_at_once_though_the_cache_write_before_it_failed() {
    let rig = Rig::start();
    rig.app.warm();
    // One write may exceed its deadline on a busy machine; with the cooldown obeyed, each of them would be skipped.
    let is_seen = (0..5).any(|attempt| {
        let alias = format!("hidden-{attempt}");
        rig.cache.set(Fault::Reset);
        assert_eq!(rig.create().status, 201);
        rig.cache.set(Fault::None);
        rig.app.set_cached(&alias, "-");
        rig.link(&alias);
        rig.app.cached(&alias).is_some_and(|entry| entry != b"-")
    });
    assert!(is_seen, "the write before the answer is skipped during a cooldown");
}

#[test]
fn a_redis_that_refuses_connections_is_tried_once_for_all_that_wait() {
    let rig = Rig::start();
    rig.link("patient");
    rig.app.warm();
    // Each instance tries once in a second. A busy host may start one for each request, so one round of several counts: requests
    // that all try would do so in every round.
    let fewest = (0..5).map(|_| {
        rig.cache.set(Fault::None);
        recovery(|| {
            rig.follow("patient");
            rig.cache.open_connections() > 0
        });
        rig.cache.set(Fault::Reset);
        let before = rig.cache.accepted();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| rig.follow("patient"));
            }
        });
        rig.cache.accepted() - before
    });
    let fewest = fewest.min().unwrap();
    assert!(fewest <= 8, "at least {fewest} attempts for 16 requests");
}

#[test]
fn creates_behind_a_lock_are_answered_before_a_front_door_gives_up() {
    // What nginx waits for.
    const LIMIT: Duration = Duration::from_secs(15);
    let rig = Rig::start();
    rig.app.warm();
    rig.app.sql(LOCKS);
    let keep_locked = keep_locked(LOCK_REGISTRY);
    thread::scope(|scope| {
        let holder = scope.spawn(|| rig.app.sql(&keep_locked));
        recovery(|| rig.app.count(REGISTRY_LOCKS) > 0);
        let creates: Vec<_> = (0..40).map(|_| scope.spawn(|| timed(|| rig.create()))).collect();
        for create in creates {
            let (reply, took) = create.join().unwrap();
            assert_unavailable(&reply);
            assert!(took < LIMIT, "{took:?}");
        }
        rig.app.sql(RELEASE);
        holder.join().unwrap();
    });
    recovery(|| rig.create().status == 201);
}

#[test]
fn each_failure_is_one_line_of_json_without_a_backtrace() {
    let rig = Rig::start();
    for proxy in [&rig.cache, &rig.codes, &rig.postgres] {
        proxy.set(Fault::Refuse);
    }
    assert_unavailable(&rig.resolve("unknown"));
    assert_unavailable(&rig.create());
    assert_eq!(rig.app.get("/v1/health/ready").status, 503);
    for operation in ["resolve", "create", "ready", "redis_cache", "redis_codes"] {
        rig.app.wait_for_log(&format!("\"operation\":\"{operation}\""));
    }
    let log = rig.app.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("\"operation\"")).collect();
    for line in lines {
        // Spin puts the name of the component before the line in its own output.
        let json = &line[line.find('{').unwrap_or_default()..];
        let line: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {line}"));
        let cause = line["cause"].as_str().unwrap();
        assert!(!cause.is_empty() && cause.chars().count() <= 300, "{cause}");
    }
    for word in ["Stack backtrace", "Caused by", "\n   0:"] {
        assert!(!log.contains(word), "{word:?} in {log}");
    }
}
