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
//! A time with a `+` before it counts from the moment at which the input is read.
//!
//! The components' rules are linked here too: what a component answers must be what they say.

mod case;
mod client;
mod dependencies;
mod postgres;
mod redis;
mod server;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use shortlink_core::{Alias, Authority, Code, CodeError, Draft, Link, Lookup, Timestamp, cache_entry};
use shortlink_spin_adapters::postgres::{DbValue, lookups};

use self::{
    case::{Case, now},
    client::Reply,
    server::{SECRET, Server},
};
use crate::{
    domain::{LIMITS, assert_problems},
    sentence::assert_own,
};

/// For how long a shared cache may keep a redirect, in seconds.
const EDGE_TTL: u64 = 10;
/// What a redirect says before that.
const CACHING: &str = "public, max-age=0, s-maxage=";
const NO_SUCH_PATH: &str = "there is nothing at this path";

/// Lets libFuzzer see what it cannot count in another process: each kind of answer is one of these.
#[used]
#[expect(
    unsafe_code,
    reason = "the section's name is how libFuzzer finds it, and nothing else has that name"
)]
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static ANSWERS: [AtomicU8; 4096] = [const { AtomicU8::new(0) }; 4096];

/// What the answer to a case must be.
#[derive(Debug)]
struct Expected {
    status: u16,
    /// The error's sentence, where it is known.
    error: Option<String>,
    /// All of the body, where that is known.
    body: Option<Value>,
    /// The link that is followed, or created.
    link: Option<Link>,
    /// The code of the new link, where it is not up to chance.
    code: Option<Code>,
}

impl Expected {
    fn status(status: u16) -> Self {
        Self { status, error: None, body: None, link: None, code: None }
    }

    fn error(status: u16, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::status(status) }
    }

    fn expired() -> Self {
        Self::error(410, "the link with this code has expired or was withdrawn")
    }

    fn fits(&self, case: &Case, reply: &Reply, began: Timestamp, ended: Timestamp) -> bool {
        let has_body = case.method != "HEAD";
        self.status == reply.status
            && (!has_body || self.error.is_none() || self.error == reply.error())
            && (!has_body || self.body.is_none() || self.body == serde_json::from_slice(&reply.body).ok())
            && (self.status != 302
                || self.link.as_ref().is_some_and(|link| redirects_to(reply, link, began, ended)))
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
    check(&case, |case, now| match (case.method.as_str(), segment(case)) {
        (_, None) => Expected::error(404, NO_SUCH_PATH),
        ("GET" | "HEAD", Some(segment)) => resolved(case, segment, now),
        ("OPTIONS", _) => Expected::status(204),
        _ => Expected::error(405, "this path answers GET, HEAD, OPTIONS"),
    });
}

/// `GET /v1/health`, and where the query begins with `ready`, `GET /v1/health/ready`.
pub fn health(data: &[u8]) {
    let mut case = Case::read(data, "/v1/health", false);
    let rest = case.target.strip_prefix("/v1/health?ready").map(|rest| format!("/v1/health/ready?{rest}"));
    let ready = rest.is_some();
    case.target = rest.unwrap_or(case.target);
    check(&case, |case, _| match (case.method.as_str(), ready) {
        ("GET" | "HEAD", false) => {
            Expected { body: Some(json!({ "status": "ok" })), ..Expected::status(200) }
        }
        ("GET" | "HEAD", true) => readiness(case),
        _ => Expected::error(405, "this path answers GET, HEAD"),
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
    Expected { body: Some(body), ..Expected::status(status) }
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
        // So it calls a code or a URL that only the component accepts.
        Some("SL001" | "SL002") => return Expected::status(500),
        Some(_) => return Expected::status(503),
        None => {}
    }
    let alias = draft.alias.map(Alias::into_code);
    match (case.rows.count(), alias) {
        (1.., alias) => Expected {
            link: Some(Link { target: draft.target, expiry: draft.expiry }),
            // The pool gives the same entry each time.
            code: alias.or_else(|| Code::from_pool(case.pool.first()?).ok()),
            ..Expected::status(201)
        },
        (0, Some(_)) => Expected::status(409),
        (0, None) => Expected::status(503),
    }
}

/// What stands in the place of a code, if the path has one: neither slashes nor anything else may surround it.
fn segment(case: &Case) -> Option<&str> {
    let rest = case.path().strip_prefix("/v1/shortlink/")?;
    (!rest.is_empty() && !rest.contains('/')).then_some(rest)
}

fn resolved(case: &Case, segment: &str, now: Timestamp) -> Expected {
    let code = match Code::parse(segment) {
        Ok(code) => code,
        Err(error @ (CodeError::Empty | CodeError::TooLong | CodeError::Character)) => {
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
        // Live when the database looked, and expired by the component's clock.
        Some(Lookup::Live(link)) if link.expiry.is_expired(now) => Expected::expired(),
        Some(Lookup::Live(link)) => Expected { link: Some(link), ..Expected::status(302) },
        Some(Lookup::Unknown) => Expected::error(404, "there is no link with this code"),
        Some(Lookup::Expired) => Expected::expired(),
        // A stored link that is not valid: only the operator can repair that.
        None => Expected::status(500),
    }
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
        expected.push(Expected::expired());
    }
    let fitting = expected.iter().find(|expected| expected.fits(case, &reply, began, ended));
    let fitting = fitting.unwrap_or_else(|| {
        panic!("expected {:?} to {:?}, got {reply:?} to {case:?}", expected.first(), expected.last())
    });
    if let (201, Some(link)) = (reply.status, &fitting.link) {
        let code = assert_created(fitting, &reply);
        let stored = server.created();
        let [stored] = stored.as_slice() else { panic!("{stored:?} for one link of {case:?}") };
        assert_eq!((&stored.code, &stored.url), (&code, &link.target.to_string()), "{case:?}");
        // That of a link whose creator names none counts from some time in between.
        let apart = stored.expires_at.abs_diff(link.expiry.at().map_or(i64::MAX, Timestamp::unix_millis));
        assert!(apart <= ended.millis_since(began), "{stored:?}, {apart} ms from {link:?} of {case:?}");
    } else {
        assert!(
            server.created().is_empty(),
            "{:?} was created without a 201, after {reply:?}",
            server.created()
        );
    }
    server.assert_alive_sometimes();
}

fn count_answer(reply: &Reply) {
    let mut kind = DefaultHasher::new();
    (reply.status, reply.error(), reply.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
        .hash(&mut kind);
    let counter = usize::try_from(kind.finish() % ANSWERS.len() as u64).unwrap_or(0);
    ANSWERS[counter].fetch_add(1, Ordering::Relaxed);
}

/// Whether it is a redirect to the link. No shared cache may keep one to the second in which the link ends.
fn redirects_to(reply: &Reply, link: &Link, began: Timestamp, ended: Timestamp) -> bool {
    let may_keep = |now| (link.expiry.millis_left(now) / 1000).saturating_sub(1).min(EDGE_TTL);
    let caching = reply.header("cache-control").and_then(|caching| caching.strip_prefix(CACHING));
    let edge_ttl: Option<u64> = caching.and_then(|seconds| seconds.parse().ok());
    reply.header("location") == Some(link.target.to_string().as_str())
        && edge_ttl.is_some_and(|edge_ttl| (may_keep(ended)..=may_keep(began)).contains(&edge_ttl))
}

/// The code in the answer to a create: the one that is expected, or else a well-formed one.
fn assert_created(expected: &Expected, reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let code = Code::parse(body["data"]["code"].as_str().unwrap_or_default());
    let code = code.unwrap_or_else(|error| panic!("the code {error}: {reply:?}"));
    assert!(expected.code.as_ref().is_none_or(|expected| *expected == code), "{expected:?}, {reply:?}");
    assert_eq!(body, json!({ "status": 201, "data": { "code": code.as_str() } }));
    assert_eq!(reply.header("location"), Some(format!("/v1/shortlink/{code}").as_str()));
    code.to_string()
}

/// What holds of every answer.
fn assert_contract(case: &Case, reply: &Reply) {
    let context = || format!("{reply:?} to {case:?}");
    let text = String::from_utf8(reply.body.clone()).unwrap_or_else(|_| panic!("no text: {}", context()));
    // A caller may have chosen what a `Location` and the body of a 201 say; they are compared with what they should be.
    let others: Vec<_> = reply.headers.iter().filter(|(name, _)| name != "location").collect();
    let shown = format!("{others:?} {}", if reply.status == 201 { "" } else { &text });
    for hidden in [SECRET, "127.0.0.1", "select ", "short_link", "Err(", "panicked"] {
        assert!(!shown.contains(hidden), "{hidden}: {}", context());
    }
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{}", context());
    let is_of_links = case.path() == "/v1/shortlink" || segment(case).is_some();
    assert_eq!(reply.header("access-control-allow-origin"), is_of_links.then_some("*"), "{}", context());
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
        assert_eq!(reply.header("x-robots-tag"), Some("noindex"), "{}", context());
        let policy = reply.header("referrer-policy");
        assert_eq!(policy, Some("strict-origin-when-cross-origin"), "{}", context());
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
    if reply.status == 201 || case.target.starts_with("/v1/health") && matches!(reply.status, 200 | 503) {
        return;
    }
    assert_eq!(body["status"], reply.status, "{}", context());
    let error = body["data"]["error"].as_str().unwrap_or_else(|| panic!("no error: {}", context()));
    assert_own(error);
    if reply.status == 400 && case.method == "POST" {
        assert_problems(error);
    }
}
