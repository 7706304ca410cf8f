//! What holds of every answer.

use serde_json::{Value, json};
use shortlink_core::Code;

use super::{case::Case, client::Reply, creates, expected::Expected, links, redirects, server::SECRET};
use crate::{domain::assert_problems, sentence::assert_own};

/// What is said of headers and paths, and not of a body or a query.
const NOT_OF_FIELDS: [&str; 4] = [
    "the code ",
    "only one API key may be sent",
    "only one Idempotency-Key may be sent",
    "the Idempotency-Key must be 1 to 64 visible ASCII characters",
];

/// The code in the answer to a create: the one that is expected, or else a well-formed one.
pub fn assert_created(expected: &Expected, reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let code = Code::parse(body["data"]["code"].as_str().unwrap_or_default());
    let code = code.unwrap_or_else(|error| panic!("the code {error}: {reply:?}"));
    assert!(expected.code.as_ref().is_none_or(|expected| *expected == code), "{expected:?}, {reply:?}");
    assert_eq!(body, json!({ "status": 201, "data": { "code": code.as_str() } }));
    assert_eq!(reply.header("location"), Some(format!("/v1/shortlink/{code}").as_str()));
    code.to_string()
}

/// Whether pages of other origins may use this path.
fn is_of_links(case: &Case) -> bool {
    let path = case.path();
    path == creates::PATH || redirects::place(path).is_some() || links::place(path).is_some()
}

pub fn assert_contract(case: &Case, reply: &Reply) {
    let context = || format!("{reply:?} to {case:?}");
    let text = String::from_utf8(reply.body.clone()).unwrap_or_else(|_| panic!("no text: {}", context()));
    let error = reply.error();
    // A caller may have chosen what a `Location` and the body of a success say, and Postgres what is said of a link that was
    // created before; they are compared with what they should be.
    let problems = error.as_ref().map(|error| format!("problems {error}"));
    let is_repeated = problems.is_some() && case.rows.texts().contains(&problems);
    let is_given = matches!(reply.status, 200 | 201) || is_repeated;
    let others: Vec<_> = reply.headers.iter().filter(|(name, _)| name != "location").collect();
    let shown = format!("{others:?} {}", if is_given { "" } else { &text });
    for hidden in [SECRET, "127.0.0.1", "select ", "short_link", "Err(", "panicked"] {
        assert!(!shown.contains(hidden), "{hidden}: {}", context());
    }
    assert!(!text.contains(SECRET), "{}", context());
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{}", context());
    let allowed = is_of_links(case).then_some("*");
    assert_eq!(reply.header("access-control-allow-origin"), allowed, "{}", context());
    let is_under_way = reply.status == 409 && error.as_ref().is_some_and(|error| error.contains("under way"));
    assert_eq!(reply.header("retry-after").is_some(), reply.status == 503 || is_under_way, "{}", context());
    let scheme = (reply.status == 401).then_some("Bearer");
    assert_eq!(reply.header("www-authenticate"), scheme, "{}", context());
    let has_allow = reply.status == 405 || case.method == "OPTIONS" && reply.status == 204;
    assert_eq!(reply.header("allow").is_some(), has_allow, "{}", context());
    if reply.status == 204 {
        assert!(text.is_empty() && matches!(case.method.as_str(), "OPTIONS" | "DELETE"), "{}", context());
        return assert_eq!(reply.header("cache-control"), Some("no-store"), "{}", context());
    }
    assert!(reply.header("content-length").is_some(), "{}", context());
    if reply.status == 302 {
        let location = reply.header("location").unwrap_or_else(|| panic!("leads nowhere: {}", context()));
        assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{}", context());
        assert!(location.starts_with("http://") || location.starts_with("https://"), "{}", context());
        assert_eq!((text.as_str(), reply.header("content-length")), ("", Some("0")), "{}", context());
        assert_eq!(reply.header("x-robots-tag"), Some("noindex"), "{}", context());
        let policy = reply.header("referrer-policy");
        return assert_eq!(policy, Some("strict-origin-when-cross-origin"), "{}", context());
    }
    assert_eq!(reply.header("content-type"), Some("application/json"), "{}", context());
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{}", context());
    if case.method == "HEAD" {
        return assert!(text.is_empty(), "{}", context());
    }
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {}", context()));
    let is_health = case.target.starts_with("/v1/health") && matches!(reply.status, 200 | 503);
    if is_health {
        return;
    }
    assert_eq!(body["status"], reply.status, "{}", context());
    if is_given {
        return;
    }
    let error = error.unwrap_or_else(|| panic!("no error: {}", context()));
    assert_own(&error);
    if reply.status == 400 && !NOT_OF_FIELDS.iter().any(|sentence| error.starts_with(sentence)) {
        assert_problems(&error);
    }
}
