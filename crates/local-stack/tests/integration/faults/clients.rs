//! Clients that misbehave, and the others, which must not notice.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{measured, timed};
use crate::{
    app::{App, rfc3339_in},
    http::{parse, raw},
};

const HEAD: &str = "POST /v1/shortlink HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

fn open(app: &App, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

#[test]
fn slow_broken_and_vanishing_clients_do_not_disturb_the_others() {
    let app = App::own();
    app.create(&json!({ "url": "https://example.com", "alias": "calm" })).code();
    let mut slow: Vec<_> =
        (0..24).map(|_| open(&app, &format!("{HEAD}content-length: 100\r\n\r\n{{"))).collect();
    for _ in 0..50 {
        drop(open(&app, &format!("{HEAD}content-length: 100\r\n\r\n{{\"url\":")));
        drop(open(&app, "GET /v1/shortlink/calm HTTP/1.1\r\nhost: localhost\r\n\r\n"));
        drop(open(&app, "GET /v1/short"));
    }
    let ((), took) = timed(|| {
        for _ in 0..50 {
            assert_eq!(app.get("/v1/shortlink/calm").status, 302);
            assert_eq!(app.create(&json!({ "url": "https://example.com" })).status, 201);
        }
    });
    assert!(took < Duration::from_secs(15), "{took:?}");
    measured("24 slow bodies, 150 vanished clients, 100 requests", took, Duration::ZERO);

    let began = Instant::now();
    let mut answer = Vec::new();
    slow[0].read_to_end(&mut answer).unwrap_or_default();
    let status = parse(&answer, false).map(|reply| reply.status);
    assert!(matches!(status, Some(408) | None), "{status:?}");
    measured("a body that never comes", began.elapsed() + took, Duration::ZERO);
}

#[test]
fn a_body_larger_than_said_and_pipelined_junk_reach_no_other_request() {
    let app = App::shared();
    let body = r#"{"url":"https://example.com"}"#;
    let junk = "DELETE /nonsense\r\n\u{0}\u{1}\r\n\r\n";
    for tail in ["trailing bytes that nobody announced", junk, "\r\n\r\n\r\n"] {
        let request = format!("{HEAD}content-length: {}\r\n\r\n{body}{tail}", body.len());
        let answer = raw_closed(app, &request);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer:.100}");
        assert!(answer.matches("HTTP/1.1 2").count() == 1, "the rest was taken for a request: {answer}");
    }
    let short =
        raw(app.addr(), format!("{HEAD}connection: close\r\ncontent-length: 9\r\n\r\n{body}").as_bytes());
    assert_eq!(parse(&short, false).map(|reply| reply.status), Some(400));
    assert_eq!(app.get("/v1/health").status, 200);
}

/// What comes back before the client closes its side.
fn raw_closed(app: &App, request: &str) -> String {
    let mut stream = open(app, request);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sets the registry's clock so that the next month begins that many seconds from now.
fn shift_clock(app: &App, seconds: u32) {
    app.sql(&format!(
        "create table shortlink.shift as select date_trunc('month', now() at time zone 'UTC') at time zone 'UTC'
            + interval '1 month' - interval '{seconds} seconds' - clock_timestamp() as by;
         create function shortlink.shifted() returns timestamptz language sql volatile security definer
            as 'select clock_timestamp() + by from shortlink.shift';
         do $$ begin execute replace(pg_get_functiondef(
            'shortlink.create_short_link(text, text, timestamptz, boolean, int, int)'::regprocedure),
            'clock_timestamp()', 'shortlink.shifted()'); end $$;
         grant execute on function shortlink.shifted to public"
    ));
}

#[test]
fn a_race_for_one_alias_across_the_end_of_a_month_has_one_winner() {
    let app = App::own();
    app.batch(&["partitions", "create", "--ahead", "2"]).success();
    app.create(&json!({ "url": "https://example.com" })).code();
    shift_clock(&app, 2);
    let (expires_at, _) = rfc3339_in(Duration::from_hours(24 * 90));
    for round in 0..10 {
        let (alias, start) = (format!("turn-{round}"), Barrier::new(100));
        let statuses: Vec<u16> = thread::scope(|scope| {
            let racers: Vec<_> = (0..100)
                .map(|racer| {
                    let (app, alias, start, expires_at) = (&app, &alias, &start, &expires_at);
                    let url = format!("https://racer-{racer}.example");
                    let body = json!({ "url": url, "alias": alias, "expires_at": expires_at });
                    scope.spawn(move || {
                        start.wait();
                        app.create(&body).status
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 99, "{statuses:?}");
        if app.count("select count(distinct tableoid) from shortlink.short_link") >= 3 {
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
}
