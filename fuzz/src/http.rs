//! The components over HTTP: compiled, run by `local-host`, with dependencies that answer what the input says.
//!
//! An input is a request as it goes over the wire, without lengths, and after lines of `~` what the cache holds for its
//! code, the entries of the pool, and what Postgres answers:
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
//! The components' rules are linked here too: what a component answers must be what they say.

mod case;
mod client;
mod postgres;
mod redis;
mod server;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use shortlink_core::{Authority, Code, CodeError, Draft, Lookup, Timestamp, cache_entry, ports::Claim};
use shortlink_spin_adapters::fuzz::{DbValue, claims, lookups};

use self::{case::Case, client::Reply, server::Server};
use crate::{
    domain::{LIMITS, assert_problems},
    sentence::assert_own,
};

/// The password of everything: it is in no answer.
const SECRET: &str = "hunter2";

/// Lets libFuzzer see what it cannot count in another process: each kind of answer is one of these.
#[used]
#[expect(
    unsafe_code,
    reason = "the section's name is how libFuzzer finds it, and nothing else has that name"
)]
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static ANSWERS: [AtomicU8; 4096] = [const { AtomicU8::new(0) }; 4096];

/// What the answer to a case must be: one of some statuses, with the error's sentence where it is known.
struct Expected {
    statuses: Vec<u16>,
    error: Option<String>,
    location: Option<String>,
}

impl Expected {
    fn status(status: u16) -> Self {
        Self { statuses: vec![status], error: None, location: None }
    }

    fn refusal() -> Self {
        Self { statuses: vec![204, 400, 404, 405, 415], error: None, location: None }
    }

    fn error(status: u16, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::status(status) }
    }

    fn expired() -> Self {
        Self::error(410, "the link with this code has expired")
    }
}

/// `POST /v1/shortlink`, and whatever else is asked of that path.
pub fn create(data: &[u8]) {
    let case = Case::read(data, "/v1/shortlink", false);
    check(&case, |case, now| match case.method.as_str() {
        "POST" => created(case, now),
        "OPTIONS" => Expected::status(204),
        _ => Expected::error(405, "this path answers POST, OPTIONS"),
    });
}

/// `GET /v1/shortlink/{code}`, and whatever else is asked of such paths.
pub fn resolve(data: &[u8]) {
    let case = Case::read(data, "/v1/shortlink/", true);
    check(&case, |case, now| match case.method.as_str() {
        // Not a path of one code: another component's, or nobody's.
        _ if segments(case) != 1 => Expected::refusal(),
        "GET" | "HEAD" => resolved(case, now),
        "OPTIONS" => Expected::status(204),
        _ => Expected::error(405, "this path answers GET, HEAD, OPTIONS"),
    });
}

/// `GET /v1/health` and `GET /v1/health/ready`.
pub fn health(data: &[u8]) {
    let ready = data.len() % 2 == 1;
    let case = Case::read(data, if ready { "/v1/health/ready" } else { "/v1/health" }, false);
    check(&case, |case, _| match (case.method.as_str(), ready) {
        ("GET" | "HEAD", false) => Expected::status(200),
        ("GET" | "HEAD", true) if case.rows.failure().is_some() => Expected::status(503),
        ("GET" | "HEAD", true) => Expected::status(200),
        _ => Expected::error(405, "this path answers GET, HEAD"),
    });
}

fn created(case: &Case, now: Timestamp) -> Expected {
    let media_type =
        case.header("content-type").and_then(|value| std::str::from_utf8(value).ok()).unwrap_or("");
    if !media_type.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json") {
        return Expected::error(415, "the content type must be application/json");
    }
    if case.body.len() > 32 * 1024 {
        return Expected::error(413, "the body must have at most 32 KiB");
    }
    let own: Vec<Authority> = Authority::parse(&case.host).into_iter().collect();
    let draft = match Draft::from_json(&case.body, now, LIMITS, &own) {
        Ok(draft) => draft,
        Err(problems) => return Expected::error(400, problems.to_string()),
    };
    match case.rows.failure() {
        // So the database calls an expiry that its clock has passed.
        Some("22023") => return Expected::error(400, "`expires_at` must be later than now"),
        Some(_) => return Expected::status(503),
        None => {}
    }
    match (claims(1, case.rows.count()).as_deref(), draft.alias) {
        (Some([Claim::Created]), _) => Expected::status(201),
        (Some([Claim::Taken]), Some(_)) => Expected::status(409),
        _ => Expected::status(503),
    }
}

/// How many parts there are behind `/v1/shortlink/`; one that ends in slashes is none that a code can be in.
fn segments(case: &Case) -> usize {
    let rest = case.path().strip_prefix("/v1/shortlink/").unwrap_or_default();
    rest.split('/').filter(|_| !rest.is_empty()).count()
}

fn resolved(case: &Case, now: Timestamp) -> Expected {
    let segment = case.path().rsplit('/').next().unwrap_or_default();
    let code = match Code::parse(segment) {
        Ok(code) => code,
        Err(error @ (CodeError::Empty | CodeError::TooLong | CodeError::Character | CodeError::Hyphen)) => {
            return Expected::error(400, format!("the code {error}"));
        }
        Err(error) => panic!("{error} is about the pool"),
    };
    let cached = case.cache.as_deref().and_then(|value| cache_entry::decode(value, now));
    let lookup = match (cached, case.rows.failure()) {
        (Some(lookup), _) => Some(lookup),
        (None, Some(_)) => return Expected::status(503),
        (None, None) => {
            let found = (!case.rows.is_none()).then(|| DbValue::ArrayStr(case.rows.texts()));
            lookups(&[code], found).into_iter().next().and_then(Result::ok)
        }
    };
    match lookup {
        // Live when the database looked, and over by the component's clock.
        Some(Lookup::Live(link)) if link.expiry.is_over(now) => Expected::expired(),
        Some(Lookup::Live(link)) => {
            Expected { location: Some(link.target.to_string()), ..Expected::status(302) }
        }
        Some(Lookup::Unknown) => Expected::error(404, "there is no link with this code"),
        Some(Lookup::Expired) => Expected::expired(),
        // Links that nobody may be sent to: only the operator can mend that.
        None => Expected::status(500),
    }
}

/// Sends the case and compares what comes back. A failure of any kind ends the process: what else it was up to is moot.
fn check(case: &Case, expect: impl Fn(&Case, Timestamp) -> Expected) {
    static SERVER: Mutex<Option<Server>> = Mutex::new(None);
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let server = server.get_or_insert_with(Server::start);
    let before = expect(case, now());
    let reply = server.answer(case);
    let after = expect(case, now());
    tell(&reply);
    if !case.is_plain && reply.status == 400 && reply.body.is_empty() {
        // The host found nothing in it that it could hand to a component.
        return server.assert_alive();
    }
    assert_contract(case, &reply);
    // Where the clock has just passed an expiry, either will do.
    let fits = |expected: &Expected| {
        expected.statuses.contains(&reply.status)
            && (case.method == "HEAD" || expected.error.is_none() || expected.error == reply.error())
            && (expected.location.is_none() || expected.location.as_deref() == reply.header("location"))
    };
    assert!(
        fits(&before) || fits(&after),
        "expected {:?} {:?} {:?}, got {reply:?} to {case:?}",
        after.statuses,
        after.error,
        after.location
    );
    server.now_and_then_assert_alive();
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

fn tell(reply: &Reply) {
    let mut kind = DefaultHasher::new();
    (reply.status, reply.error(), reply.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
        .hash(&mut kind);
    let counter = usize::try_from(kind.finish() % ANSWERS.len() as u64).unwrap_or(0);
    ANSWERS[counter].fetch_add(1, Ordering::Relaxed);
}

/// What holds of every answer.
fn assert_contract(case: &Case, reply: &Reply) {
    let context = || format!("{reply:?} to {case:?}");
    let text = String::from_utf8(reply.body.clone()).unwrap_or_else(|_| panic!("no text: {}", context()));
    let head = format!("{:?}", reply.headers);
    for hidden in [SECRET, "127.0.0.1", "select ", "short_link", "Err(", "panicked"] {
        let is_callers = case.holds(hidden) && reply.header("location").is_some();
        assert!(is_callers || !(head.contains(hidden) || text.contains(hidden)), "{hidden}: {}", context());
    }
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{}", context());
    if reply.status == 204 {
        assert!(text.is_empty() && reply.header("allow").is_some(), "{}", context());
        return;
    }
    assert!(reply.header("content-length").is_some(), "{}", context());
    if reply.status == 302 {
        let location = reply.header("location").unwrap_or_else(|| panic!("leads nowhere: {}", context()));
        assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{}", context());
        assert!(location.starts_with("http://") || location.starts_with("https://"), "{}", context());
        assert_eq!((text.as_str(), reply.header("content-length")), ("", Some("0")), "{}", context());
        assert!(
            reply
                .header("cache-control")
                .is_some_and(|value| value.starts_with("public, max-age=0, s-maxage="))
        );
        assert_eq!(reply.header("x-robots-tag"), Some("noindex"), "{}", context());
        return;
    }
    assert_eq!(reply.header("content-type"), Some("application/json"), "{}", context());
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{}", context());
    assert_eq!(reply.header("allow").is_some(), reply.status == 405, "{}", context());
    assert_eq!(reply.header("retry-after").is_some(), reply.status == 503, "{}", context());
    if case.method == "HEAD" {
        return assert!(text.is_empty(), "{}", context());
    }
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {}", context()));
    if case.target.starts_with("/v1/health") && matches!(reply.status, 200 | 503) {
        return assert!(matches!(body["status"].as_str(), Some("ok" | "unavailable")), "{}", context());
    }
    assert_eq!(body["status"], reply.status, "{}", context());
    if reply.status == 201 {
        let code = body["data"]["code"].as_str().unwrap_or_default();
        assert!(Code::parse(code).is_ok(), "{}", context());
        assert_eq!(reply.header("location"), Some(format!("/v1/shortlink/{code}").as_str()), "{}", context());
        return;
    }
    let error = body["data"]["error"].as_str().unwrap_or_else(|| panic!("no error: {}", context()));
    assert_own(error);
    if reply.status == 400 && case.method == "POST" {
        assert_problems(error);
    }
}
