//! The endpoints: one file each, all of the same shape. `respond` takes a request of the bindings, gets the instance's
//! state, calls the use case and turns what came of it into an answer.
//!
//! The host's router takes `//v1/shortlink/` for `/v1/shortlink`. A front door does not, and would neither limit nor keep
//! what is asked so; hence each endpoint answers its own paths only, byte for byte.

pub mod create;
pub mod health;
pub mod resolve;

use std::time::{SystemTime, UNIX_EPOCH};

use shortlink_core::Timestamp;

use crate::{answer::Answer, http::Incoming, settings::AllowedOrigins};

/// The time of the request.
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The origin of the page that asks, where the answer depends on it.
fn origin(request: &Incoming, allowed: &AllowedOrigins) -> Option<String> {
    match allowed {
        AllowedOrigins::Any => None,
        AllowedOrigins::Listed(_) => request.header("origin"),
    }
}

/// Adds the headers by which a browser lets a page of another origin read the answer. Credentials are never allowed.
fn with_cors(answer: Answer, allowed: &AllowedOrigins, origin: Option<&str>) -> Answer {
    const ALLOW: &str = "access-control-allow-origin";
    match (allowed, origin) {
        (AllowedOrigins::Any, _) => answer.with(ALLOW, "*"),
        (AllowedOrigins::Listed(list), Some(origin)) if list.iter().any(|listed| listed == origin) => {
            answer.with(ALLOW, origin.to_owned()).with("vary", "origin")
        }
        (AllowedOrigins::Listed(_), _) => answer.with("vary", "origin"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow_origin(allowed: &AllowedOrigins, origin: &str) -> Option<String> {
        let answer = with_cors(Answer::unknown(), allowed, Some(origin));
        let header = answer.headers.into_iter().find(|(name, _)| *name == "access-control-allow-origin");
        header.map(|(_, value)| value.into_owned())
    }

    #[test]
    fn only_a_listed_origin_is_echoed() {
        let listed = AllowedOrigins::Listed(vec!["https://a.example".into()]);
        assert_eq!(allow_origin(&listed, "https://a.example").as_deref(), Some("https://a.example"));
        assert_eq!(allow_origin(&listed, "https://b.example"), None);
        assert_eq!(allow_origin(&AllowedOrigins::Any, "https://b.example").as_deref(), Some("*"));
    }
}
