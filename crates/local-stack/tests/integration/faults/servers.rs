//! The real servers, killed, paused and started again.

use std::time::Duration;

use shortlink_local_stack::{RedisKind, Signal};

use super::{assert_unavailable, measured, own::Own, recovery, timed};

/// Creates links until the service answers 503, and returns the ones it promised.
fn create_some(own: &Own, prefix: &str) -> Vec<String> {
    let names = (0..40).map(|number| format!("{prefix}-{number}"));
    names.filter(|name| own.create(name).status == 201).collect()
}

#[test]
fn servers_that_are_killed_paused_and_started_again_lose_no_link() {
    let mut own = Own::start();
    let mut links = create_some(&own, "first");
    assert_eq!(links.len(), 40);

    postgres_killed(&mut own, &mut links);
    postgres_paused(&mut own, &mut links);
    cache_killed_and_paused(&mut own, &mut links);
    codes_killed(&mut own, &mut links);

    drop(own.cache.take());
    own.start_redis(RedisKind::Cache);
    own.assert_links(&links);
}

fn postgres_killed(own: &mut Own, links: &mut Vec<String>) {
    let mut postgres = own.postgres.take().unwrap();
    postgres.process().signal(Signal::Kill);
    drop(postgres);
    own.assert_links(links);
    let (reply, took) = timed(|| own.create("while-killed"));
    assert_unavailable(&reply);
    own.start_postgres();
    let back = recovery(|| own.create("after-kill").status == 201);
    links.push("after-kill".into());
    measured("postgres kill -9, restart", took, back);
    links.extend(create_some(own, "after-kill"));
}

fn postgres_paused(own: &mut Own, links: &mut Vec<String>) {
    own.signal_postgres(Signal::Stop);
    let (reply, took) = timed(|| own.create("while-paused"));
    own.signal_postgres(Signal::Continue);
    assert_unavailable(&reply);
    let back = recovery(|| own.create("after-pause").status == 201);
    links.push("after-pause".into());
    measured("postgres SIGSTOP", took, back);
}

fn cache_killed_and_paused(own: &mut Own, links: &mut Vec<String>) {
    let cache = |own: &mut Own, signal| own.cache.as_mut().unwrap().process().signal(signal);
    cache(own, Signal::Stop);
    let ((), took) = timed(|| own.assert_links(links));
    cache(own, Signal::Continue);
    measured(&format!("cache SIGSTOP, {} redirects", links.len()), took, Duration::ZERO);
    cache(own, Signal::Kill);
    own.assert_links(links);
    links.extend(create_some(own, "without-cache"));
    drop(own.cache.take());
    own.start_redis(RedisKind::Cache);
    own.assert_links(links);
}

fn codes_killed(own: &mut Own, links: &mut Vec<String>) {
    own.codes.as_mut().unwrap().process().signal(Signal::Kill);
    links.extend(create_some(own, "without-codes"));
    drop(own.codes.take());
    own.start_redis(RedisKind::Codes);
    links.extend(create_some(own, "with-codes"));
}
