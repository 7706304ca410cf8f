//! The cache: without it redirects are slower and nothing else.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use shortlink_local_stack::fault_proxy::Fault;

use super::{OUTAGES, Rig, assert_skipped, measured, recovery, timed};

const REQUESTS: u32 = 20;

#[test]
fn without_the_cache_redirects_come_from_postgres_and_it_is_used_again_by_itself() {
    let rig = Rig::start();
    rig.link("kept");
    for fault in OUTAGES {
        rig.cache.set(fault);
        let took = assert_skipped(&rig.cache, &format!("{fault:?}"), REQUESTS, || {
            (0..REQUESTS).for_each(|_| rig.follow("kept"));
        });
        assert_eq!(rig.create().status, 201, "{fault:?}");
        rig.cache.set(Fault::None);
        rig.app.uncache("kept");
        let back = recovery(|| {
            rig.follow("kept");
            rig.app.cached("kept").is_some()
        });
        measured(&format!("cache {fault:?}, {REQUESTS} redirects"), took, back);
    }
}

#[test]
fn readiness_calls_a_lost_cache_degraded() {
    let rig = Rig::start();
    rig.cache.set(Fault::Refuse);
    let reply = rig.app.get("/v1/health/ready");
    assert_eq!((reply.status, &reply.json()["checks"]["redis_cache"]), (200, &"degraded".into()));
    rig.cache.set(Fault::None);
    recovery(|| rig.app.get("/v1/health/ready").json()["checks"]["redis_cache"] == "ok");
}

#[test]
fn a_cache_that_is_flushed_under_load_costs_no_redirect() {
    let rig = Rig::start();
    let aliases: Vec<String> = (0..8).map(|number| format!("hot-{number}")).collect();
    for alias in &aliases {
        rig.link(alias);
    }
    let over = AtomicBool::new(false);
    let redirects: u32 = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client: usize| {
                let (rig, aliases, over) = (&rig, &aliases, &over);
                scope.spawn(move || {
                    let mut redirects = 0;
                    while !over.load(Ordering::Relaxed) {
                        rig.follow(&aliases[client]);
                        redirects += 1;
                    }
                    redirects
                })
            })
            .collect();
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(100));
            let () = redis::cmd("FLUSHDB").query(&mut rig.app.cache()).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    println!("measured: cache flushed 10 times: {redirects} redirects, no other answer");
}

/// Lets the database count look-ups.
const COUNT_LOOK_UPS: &str = "
    create sequence shortlink.look_ups;
    alter function shortlink.resolve_short_link(text) rename to resolve_counted;
    create function shortlink.resolve_short_link(p_code text)
    returns table (url text, expires_at timestamptz, expired boolean)
    language plpgsql security definer as $$
    begin
        perform nextval('shortlink.look_ups');
        return query select * from shortlink.resolve_counted(p_code);
    end $$;
    grant execute on function shortlink.resolve_short_link(text) to shortlink_app";

#[test]
fn a_hot_link_that_leaves_the_cache_under_1000_clients_is_looked_up_for_all_of_an_instance_together() {
    let rig = Rig::with(&[("hot_link_ttl_millis", "2000")]);
    rig.app.store("hot");
    rig.app.sql(COUNT_LOOK_UPS);
    let (start, requests) = (Barrier::new(1000), AtomicU32::new(0));
    let follow = || {
        start.wait();
        // On a busy machine a look-up may exceed its deadline, and the client is told to come back.
        recovery(|| {
            requests.fetch_add(1, Ordering::Relaxed);
            let reply = rig.resolve("hot");
            assert!(matches!(reply.status, 302 | 503), "{}: {}", reply.status, reply.body);
            reply.status == 302
        });
    };
    let ((), took) = timed(|| {
        thread::scope(|scope| {
            for _ in 0..1000 {
                thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, follow).unwrap();
            }
        });
    });
    // The host keeps a pool of 64 for each component.
    assert!(rig.postgres.open_connections() <= 128, "the pool of connections is bounded");
    // Each request would be one, if none waited for another's; the host has a few dozen instances at once.
    let look_ups = rig.app.count("select last_value from shortlink.look_ups");
    let requests = requests.into_inner();
    assert!(look_ups <= i64::from(requests / 2), "{look_ups} look-ups for {requests} requests");
    println!(
        "measured: a hot link expires under 1000 clients: {} ms for all, {look_ups} look-ups for {requests} requests",
        took.as_millis()
    );
}
