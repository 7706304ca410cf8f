//! The host: killed, asked to stop, and short of file descriptors.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;
use shortlink_local_stack::{Signal, host::Program};

use super::{
    LOCK_REGISTRY, LOCKS, REGISTRY_LOCKS, RELEASE, keep_locked, measured, own::Own, recovery, timed,
};
use crate::{app::on_spin, http::parse};

/// A create whose answer may never come.
fn try_create(addr: SocketAddr, alias: &str) -> Option<u16> {
    let body = json!({ "url": format!("https://{alias}.example"), "alias": alias }).to_string();
    let request = format!(
        "POST /v1/shortlink HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Whether anybody listens is a question here.
    let mut stream = TcpStream::connect(addr).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(12))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut reply = Vec::new();
    let _may_break = stream.read_to_end(&mut reply);
    parse(&reply, false).map(|reply| reply.status)
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets eight clients create links while `disturb` runs. Returns what was promised, and what was answered otherwise.
fn under_load(own: &mut Own, prefix: &str, disturb: impl FnOnce(&mut Own)) -> (Vec<String>, Vec<u16>) {
    let (addr, over) = (own.addr(), AtomicBool::new(false));
    let (made, others) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for client in 0..8 {
            let (over, made, others) = (&over, &made, &others);
            scope.spawn(move || {
                for number in 0.. {
                    let alias = format!("{prefix}-{client}-{number}");
                    match try_create(addr, &alias) {
                        Some(201) => made.lock().unwrap().push(alias),
                        Some(status) => others.lock().unwrap().push(status),
                        None => {}
                    }
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        // A test that fails here must not wait for clients that nobody tells to stop.
        let _over = SetOnDrop(&over);
        recovery(|| made.lock().unwrap().len() >= 16);
        disturb(own);
    });
    (made.into_inner().unwrap(), others.into_inner().unwrap())
}

#[test]
fn a_host_that_is_killed_or_asked_to_stop_under_load_loses_no_link() {
    let mut own = Own::start();
    let (links, others) = under_load(&mut own, "killed", |own| {
        let mut host = own.host.take().unwrap();
        host.process().signal(Signal::Kill);
        drop(host);
    });
    assert!(!links.is_empty() && others.is_empty(), "{others:?}");
    let ((), back) = timed(|| own.start_host(&Program::find().unwrap()));
    own.assert_links(&links);
    measured(&format!("host kill -9, {} links", links.len()), Duration::ZERO, back);

    let mut took = Duration::ZERO;
    let (links, others) = under_load(&mut own, "ended", |own| {
        let host = own.host.take().unwrap();
        took = timed(|| host.stop().unwrap()).1;
    });
    assert!(!links.is_empty() && others.is_empty(), "{others:?}");
    own.start_host(&Program::find().unwrap());
    own.assert_links(&links);
    measured(&format!("host SIGTERM, {} links", links.len()), took, Duration::ZERO);

    requests_in_flight_finish(&mut own);
}

/// Creates that wait for a lock in Postgres when the host is asked to stop are answered all the same; not by Spin, which
/// closes their connections at once.
fn requests_in_flight_finish(own: &mut Own) {
    let addr = own.addr();
    let postgres = own.postgres.take().unwrap();
    let mut host = own.host.take().unwrap();
    let lock = keep_locked(LOCK_REGISTRY);
    thread::scope(|scope| {
        postgres.sql("short_link", LOCKS).unwrap();
        let holder = scope.spawn(|| postgres.sql("short_link", &lock).unwrap());
        let count = |sql: &str| postgres.sql("short_link", sql).unwrap().parse::<u32>().unwrap();
        recovery(|| count(REGISTRY_LOCKS) > 0);
        let create = scope.spawn(move || try_create(addr, "in-flight"));
        recovery(|| {
            count(
                "select count(*) from pg_stat_activity where usename = 'shortlink_app' and wait_event_type = 'Lock'",
            ) > 0
        });
        host.process().signal(Signal::Term);
        postgres.sql("short_link", RELEASE).unwrap();
        let answer = create.join().unwrap();
        // On a busy machine it may have waited for the lock for longer than its statement may.
        let is_finished = matches!(answer, Some(201 | 503)) || (on_spin() && answer.is_none());
        assert!(is_finished, "the request in flight: {answer:?}");
        holder.join().unwrap();
    });
    recovery(|| !host.process().is_running());
}

#[test]
fn a_host_without_file_descriptors_serves_again_when_it_has_some() {
    let mut own = Own::start();
    drop(own.host.take());
    own.start_host(&starved(&own));
    assert_eq!(own.create("before").status, 201);
    let held: Vec<_> = (0..160)
        .filter_map(|_| TcpStream::connect_timeout(&own.addr(), Duration::from_millis(100)).ok())
        .collect();
    let host = own.host.as_mut().unwrap().process();
    let descriptors = format!("/proc/{}/fd", host.pid());
    // Until it has no descriptor left, or has ended.
    recovery(|| fs::read_dir(&descriptors).is_ok_and(|open| open.count() >= LIMIT) || !host.is_running());
    let lives = host.is_running();
    drop(held);
    if on_spin() {
        // Spin ends when it cannot accept a connection, and whatever runs it starts it again.
        if !lives {
            drop(own.host.take());
            own.start_host(&Program::find().unwrap());
        }
    } else {
        assert!(lives, "the host lives on");
    }
    let back = recovery(|| try_create(own.addr(), "after") == Some(201));
    own.assert_links(&["before".into(), "after".into()]);
    let log = fs::read_to_string(own.host_log()).unwrap_or_default();
    // Spin says so of each instance that is there when it ends.
    assert!(on_spin() || !log.contains("panicked"), "{log}");
    measured("host without file descriptors", Duration::ZERO, back);
}

/// How many files the host may have open in that test.
const LIMIT: usize = 120;

/// The same host, that may have few files open.
fn starved(own: &Own) -> Program {
    let starve = |real: &std::path::Path| {
        let path = own.site.dir().join("starved-host");
        fs::write(&path, format!("#!/bin/sh\nulimit -n {LIMIT}\nexec '{}' \"$@\"\n", real.display()))
            .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    match Program::find().unwrap() {
        Program::Spin(real) => Program::Spin(starve(&real)),
        Program::LocalHost(real) => Program::LocalHost(starve(&real)),
    }
}
