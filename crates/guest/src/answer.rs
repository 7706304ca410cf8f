//! The form of every answer: status, headers and a body in the envelope `{"status":<HTTP status>,"data":{...}}`. Answers
//! that more than one component gives are here; the others are in the component that gives them.

use std::borrow::Cow;

use serde::Serialize;
use shortlink_core::ports::StoreError;

use crate::{log, settings::AllowedOrigins};

/// The path of links: each has its code for a further segment.
pub const LINKS: &str = "/v1/shortlink";

/// A header's name, in lower case, and its value.
pub type Header = (&'static str, Cow<'static, str>);

/// An answer, apart from the bindings that send it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// All of them, `content-length` included.
    pub headers: Vec<Header>,
    /// The body; `None` is an empty one.
    pub body: Option<String>,
}

#[derive(Serialize)]
struct Envelope<T> {
    status: u16,
    data: T,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
}

/// What a page of another origin may send. Keys are no credentials that a browser adds by itself.
const ALLOWED_HEADERS: &str = "content-type, authorization, x-api-key, idempotency-key";
const NO_STORE: (&str, Cow<'static, str>) = ("cache-control", Cow::Borrowed("no-store"));
/// Keeps browsers from guessing a content type.
pub const NO_SNIFF: (&str, Cow<'static, str>) = ("x-content-type-options", Cow::Borrowed("nosniff"));

impl Answer {
    /// 204 to an `OPTIONS` request.
    #[must_use]
    pub fn options(methods: &'static str) -> Self {
        Self::no_content()
            .with("allow", methods)
            .with("access-control-allow-methods", methods)
            .with("access-control-allow-headers", ALLOWED_HEADERS)
            .with("access-control-max-age", "86400")
    }

    /// JSON outside the envelope, as the health checks answer.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        // Only a map with keys that are no text fails to serialise, and no answer holds one.
        let body = serde_json::to_string(body).unwrap_or_default();
        Self {
            status,
            headers: vec![
                ("content-type", "application/json".into()),
                ("content-length", body.len().to_string().into()),
                NO_STORE,
                NO_SNIFF,
            ],
            body: Some(body),
        }
    }

    /// An error with one sentence that the caller can act on.
    #[must_use]
    pub fn error(status: u16, sentence: &str) -> Self {
        Self::envelope(status, Refused { error: sentence })
    }

    /// 404 for a path that nothing has, in the words of the manifest's last route.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::error(404, "there is nothing at this path")
    }

    /// 405 for any method but these.
    #[must_use]
    pub fn wrong_method(methods: &'static str) -> Self {
        Self::error(405, &format!("this path answers {methods}")).with("allow", methods)
    }

    /// 401 with one sentence about the API key.
    #[must_use]
    pub fn unauthorized(sentence: &str) -> Self {
        Self::error(401, sentence).with("www-authenticate", "Bearer")
    }

    /// 204.
    #[must_use]
    pub fn no_content() -> Self {
        Self { status: 204, headers: vec![NO_STORE, NO_SNIFF], body: None }
    }

    /// 503 with the time after which to try again.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::error(503, "the service is unavailable for the moment; try again in a second")
            .with("retry-after", "1")
    }

    /// 500 for what only the operator can mend.
    #[must_use]
    pub fn internal() -> Self {
        Self::error(500, "the service is not working as it should; its operator has been told")
    }

    /// The answer when the store failed; logs what the caller is not told.
    #[must_use]
    pub fn store_failed(operation: &str, error: &StoreError) -> Self {
        log::failure(operation, &error.to_string());
        match error {
            StoreError::Unavailable(_) => Self::unavailable(),
            StoreError::Unusable(_) => Self::internal(),
        }
    }

    /// This answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The envelope around `data`.
    #[must_use]
    pub fn envelope(status: u16, data: impl Serialize) -> Self {
        Self::json(status, &Envelope { status, data })
    }

    /// This answer with the headers by which a browser lets a page of another origin read it. Credentials are never
    /// allowed.
    #[must_use]
    pub fn with_cors(self, allowed: &AllowedOrigins, origin: Option<&str>) -> Self {
        const ALLOW: &str = "access-control-allow-origin";
        match (allowed, origin) {
            (AllowedOrigins::Any, _) => self.with(ALLOW, "*"),
            (AllowedOrigins::Listed(list), Some(origin)) if list.iter().any(|listed| listed == origin) => {
                self.with(ALLOW, origin.to_owned()).with("vary", "origin")
            }
            (AllowedOrigins::Listed(_), _) => self.with("vary", "origin"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow_origin(allowed: &AllowedOrigins, origin: &str) -> Option<String> {
        let answer = Answer::unavailable().with_cors(allowed, Some(origin));
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

    #[test]
    fn an_error_is_the_envelope_and_never_cached() {
        let answer = Answer::no_such_path();
        assert_eq!(
            answer.body.as_deref(),
            Some(r#"{"status":404,"data":{"error":"there is nothing at this path"}}"#)
        );
        assert!(answer.headers.contains(&("cache-control", "no-store".into())));
        assert!(answer.headers.contains(&("content-length", "63".into())));
    }

    #[test]
    fn what_the_store_said_is_not_told_to_callers() {
        let answer = Answer::store_failed("resolve", &StoreError::Unavailable("secret".into()));
        assert_eq!(answer.status, 503);
        assert!(!format!("{answer:?}").contains("secret"));
    }
}
