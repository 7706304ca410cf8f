//! What `resolve` answers.

use serde_json::json;
use shortlink_core::{Code, CodeError, Lookup, TargetUrl, Timestamp, cache_entry, is_reserved};
use shortlink_spin_adapters::postgres::{DbValue, lookups};

use super::{
    case::{Case, Rows, Target},
    expected::{Expected, array},
};

/// What a path asks for.
pub enum Place {
    Link(Code),
    Preview(Code),
    NoCode(CodeError),
}

/// `/v1/shortlink/` and the input's text, or the text behind a colon at the root, unless another component or the host
/// itself answers there.
pub fn target(rest: &str) -> Target {
    let at_root = rest.strip_prefix(':').filter(|rest| {
        let path = rest.trim_start_matches('/');
        !path.starts_with("v1/") && !path.starts_with(".well-known/")
    });
    at_root.map_or_else(|| Target::below("/v1/shortlink/", rest), |rest| Target::below("/", rest))
}

/// Neither slashes nor anything else may surround a code below `/v1/shortlink`; at the root a slash may follow.
pub fn place(path: &str) -> Option<Place> {
    if let Some(segment) = path.strip_prefix("/v1/shortlink/") {
        // What has no segment is the path of the other component.
        return (!segment.is_empty() && !segment.contains('/'))
            .then(|| Code::parse(segment).map_or_else(Place::NoCode, Place::Link));
    }
    let segment = path.strip_prefix('/')?;
    let segment = segment.strip_suffix('/').unwrap_or(segment);
    let (segment, is_preview) = match segment.strip_suffix('+') {
        Some(segment) => (segment, true),
        None => (segment, false),
    };
    let code = Code::parse(segment).ok().filter(|_| !is_reserved(segment))?;
    Some(if is_preview { Place::Preview(code) } else { Place::Link(code) })
}

pub fn expected(case: &Case, now: Timestamp) -> Expected {
    match (case.method.as_str(), place(case.path())) {
        (_, None) => Expected::no_such_path(),
        ("GET" | "HEAD", Some(Place::Link(code))) => resolved(case, &code, now),
        ("GET" | "HEAD", Some(Place::Preview(code))) => {
            previewed(case, &code).unwrap_or_else(|refusal| refusal)
        }
        ("GET" | "HEAD", Some(Place::NoCode(error))) => no_code(error),
        ("OPTIONS", _) => Expected::status(204),
        _ => Expected::wrong_method("GET, HEAD, OPTIONS"),
    }
}

pub fn expired() -> Expected {
    Expected::error(410, "the link with this code has expired or was withdrawn")
}

pub fn no_code(error: CodeError) -> Expected {
    match error {
        CodeError::Empty | CodeError::TooLong | CodeError::Character => {
            Expected::error(400, format!("the code {error}"))
        }
        CodeError::Generated => panic!("{error} is about the pool"),
    }
}

/// Where a code leads, as Postgres answers; an error is an answer that is none.
pub fn lookup(code: &Code, rows: &Rows) -> Result<Option<Lookup>, Expected> {
    let found = array(rows)?.map(DbValue::ArrayStr);
    Ok(lookups(std::slice::from_ref(code), found).into_iter().next().and_then(Result::ok))
}

fn unknown() -> Expected {
    Expected::error(404, "there is no link with this code")
}

fn resolved(case: &Case, code: &Code, now: Timestamp) -> Expected {
    let cached = case.cache.as_deref().and_then(|value| cache_entry::decode(value, now));
    let lookup = match cached.map_or_else(|| lookup(code, &case.later), |lookup| Ok(Some(lookup))) {
        Ok(lookup) => lookup,
        Err(failed) => return failed,
    };
    match lookup {
        // Live when the database looked, and expired by the component's clock.
        Some(Lookup::Live(link)) if link.expiry.is_expired(now) => expired(),
        Some(Lookup::Live(link)) => Expected { link: Some(link), ..Expected::status(302) },
        Some(Lookup::Unknown) => unknown(),
        Some(Lookup::Expired) => expired(),
        // A stored link that is not valid: only the operator can repair that.
        None => Expected::status(500),
    }
}

fn previewed(case: &Case, code: &Code) -> Result<Expected, Expected> {
    let Some(fields) = array(&case.rows)? else { return Ok(unknown()) };
    Ok(match fields.as_slice() {
        [] => expired(),
        [Some(url), Some(created_at), expires_at, ..] if TargetUrl::stored(url).is_some() => {
            let data =
                json!({ "code": code, "url": url, "created_at": created_at, "expires_at": expires_at });
            Expected::body(200, json!({ "status": 200, "data": data }))
        }
        _ => Expected::status(500),
    })
}
