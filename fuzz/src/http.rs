//! The components over HTTP: compiled, run by `local-host`, with dependencies that answer what the input says.
//!
//! An input is a request as it goes over the wire, without lengths, and after lines of `~` what the cache holds for its
//! code, the entries of the pool, what Postgres answers, and what it says then of where a link leads:
//!
//! ```text
//! POST ?query
//! content-type: application/json
//!
//! {"url":"https://example.com"}
//! ~
//! 1900000000000 https://example.com/
//! ~
//! 0aZ9bC1
//! ~
//! 1
//! ```
//!
//! A time with a `+` before it counts from the moment at which the input is read. A header `key: a` stands for an API key
//! that Postgres knows; see [`keys`].
//!
//! The components' rules are linked here too: what a component answers must be what they say.

mod case;
mod client;
mod contract;
mod creates;
mod dependencies;
mod expected;
mod keys;
mod links;
mod postgres;
mod questions;
mod redirects;
mod redis;
mod server;
mod statement;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;
use shortlink_core::{Link, Timestamp};

use self::{
    case::{Case, Target, now},
    client::Reply,
    contract::{assert_contract, assert_created},
    expected::Expected,
    questions::{Span, assert_asked, assert_cached},
    server::Server,
};

/// Lets libFuzzer see what it cannot count in another process: each kind of answer is one of these.
#[used]
#[expect(
    unsafe_code,
    reason = "the section's name is how libFuzzer finds it, and nothing else has that name"
)]
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static ANSWERS: [AtomicU8; 4096] = [const { AtomicU8::new(0) }; 4096];

/// `POST /v1/shortlink`, and whatever else is asked of that path.
pub fn create(data: &[u8]) {
    let case = Case::read(data, |rest| Target::with_query(creates::PATH, rest));
    check(&case, creates::expected);
}

/// `GET /v1/shortlink/{code}`, and where the target begins with a colon, `GET /{code}`; and whatever else is asked of such
/// paths.
pub fn resolve(data: &[u8]) {
    let mut case = Case::read(data, redirects::target);
    case.later = case.rows.clone();
    check(&case, redirects::expected);
}

/// `/v1/links`, and where the target begins with a slash, what is below; by the key of an administrator where the input
/// names none.
pub fn manage(data: &[u8]) {
    let mut case = Case::read(data, links::target);
    let is_silent = ["authorization", "x-api-key"].iter().all(|name| case.headers(name).next().is_none());
    if is_silent && !case.is_anonymous {
        let bearer = format!("Bearer {}", keys::text(keys::ADMIN));
        case.headers.push(("authorization".into(), bearer.into_bytes()));
    }
    check(&case, links::expected);
}

/// `GET /v1/health`, and where the query begins with `ready`, `GET /v1/health/ready`.
pub fn health(data: &[u8]) {
    let mut case = Case::read(data, |rest| Target::with_query("/v1/health", rest));
    let rest = case.target.strip_prefix("/v1/health?ready").map(|rest| format!("/v1/health/ready?{rest}"));
    let ready = rest.is_some();
    case.target = rest.unwrap_or(case.target);
    check(&case, |case, _| match (case.method.as_str(), ready) {
        ("GET" | "HEAD", false) => Expected::body(200, json!({ "status": "ok" })),
        ("GET" | "HEAD", true) => readiness(case),
        _ => Expected::wrong_method("GET, HEAD"),
    });
}

fn readiness(case: &Case) -> Expected {
    let fine = |is_fine: bool| if is_fine { "ok" } else { "degraded" };
    let (status, word, partition) = match case.rows.failure() {
        Some(_) => (503, "unavailable", "unavailable"),
        None => (200, "ok", fine(!case.rows.is_none())),
    };
    let checks = json!({
        "postgres": word,
        "redis_cache": "ok",
        "redis_codes": fine(!case.pool.is_empty()),
        "partition": partition,
    });
    let body = json!({ "status": word, "checks": checks, "codes_available": case.pool.len() });
    Expected::body(status, body)
}

/// Sends the case. An answer that took as long as Redis may take shows a slow machine: without the cache or the pool another
/// answer is right. After a failure a component skips Redis for a cooldown of a second, so the case waits too.
fn answer(server: &mut Server, case: &Case) -> Option<(Timestamp, Reply, Timestamp)> {
    const REDIS_BUDGET_MILLIS: u64 = 250;
    for _ in 0..10 {
        let began = now();
        let reply = server.answer(case)?;
        let ended = now();
        if ended.millis_since(began) < REDIS_BUDGET_MILLIS {
            return Some((began, reply, ended));
        }
        thread::sleep(Duration::from_millis(1100));
    }
    panic!("every answer takes as long as Redis may take, the last one to {case:?}");
}

/// Sends the case and compares what comes back. A failure of any kind ends the process, so a poisoned lock does no harm.
fn check(case: &Case, expect: impl Fn(&Case, Timestamp) -> Expected) {
    static SERVER: Mutex<Option<Server>> = Mutex::new(None);
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let server = server.get_or_insert_with(Server::start);
    let Some((began, reply, ended)) = answer(server, case) else { return server.assert_alive() };
    count_answer(&reply);
    if !case.is_plain && reply.status == 400 && reply.body.is_empty() {
        // The host found nothing in it that it could hand to a component.
        return server.assert_alive();
    }
    assert_contract(case, &reply);
    // The right answer may have changed while the request was in flight: that of any moment in between counts.
    let moments = began.unix_millis()..=ended.unix_millis().max(began.unix_millis());
    let mut expected: Vec<_> = moments.map(|at| expect(case, Timestamp::from_unix_millis(at))).collect();
    let ends = |link: &Link| link.expiry.is_expired(ended);
    if expected.iter().any(|expected| expected.status == 302 && expected.link.as_ref().is_some_and(ends)) {
        // It was found, and then it expired.
        expected.push(redirects::expired());
    }
    let fitting = expected.iter().find(|expected| expected.fits(case, &reply, began, ended));
    let fitting = fitting.unwrap_or_else(|| {
        panic!("expected {:?} to {:?}, got {reply:?} to {case:?}", expected.first(), expected.last())
    });
    let code = (reply.status == 201).then(|| assert_created(fitting, &reply));
    let (told, span) = (server.told(), Span { began, ended });
    assert_asked(fitting, &told, code.as_deref(), span);
    assert_cached(fitting, &told, span);
    server.assert_alive_sometimes();
}

fn count_answer(reply: &Reply) {
    let mut kind = DefaultHasher::new();
    (reply.status, reply.error(), reply.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
        .hash(&mut kind);
    let counter = usize::try_from(kind.finish() % ANSWERS.len() as u64).unwrap_or(0);
    ANSWERS[counter].fetch_add(1, Ordering::Relaxed);
}
