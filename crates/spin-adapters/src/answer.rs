//! What a caller is told: status, headers and body of every answer this service gives.

use std::borrow::Cow;

use serde::Serialize;
use shortlink_core::{Code, CodeError, CreateError, Expiry, Link, Problems, Timestamp, ports::StoreError};

use crate::log;

/// The path under which links are: each has its code for a further segment.
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

/// For how long a redirect may be kept, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectCaching {
    /// By the caller's own browser.
    pub max_age: u32,
    /// By a shared cache in front, such as nginx or a content delivery network.
    pub edge_ttl: u32,
}

impl RedirectCaching {
    /// Whether a link ends so soon that a redirect to it may not be kept as long as others.
    pub fn is_cut_by(self, expiry: Expiry, now: Timestamp) -> bool {
        self.within(expiry, now) != self
    }

    /// What is left of both for a link that ends at `expiry`.
    fn within(self, expiry: Expiry, now: Timestamp) -> Self {
        // Caches count whole seconds, and nginx keeps an answer to the end of the last one: that second is left free.
        let left = expiry.millis_left(now).checked_div(1000).unwrap_or_default().saturating_sub(1);
        let at_most = |seconds: u32| seconds.min(u32::try_from(left).unwrap_or(u32::MAX));
        Self { max_age: at_most(self.max_age), edge_ttl: at_most(self.edge_ttl) }
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    status: u16,
    data: T,
}

#[derive(Serialize)]
struct Created<'a> {
    code: &'a str,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
}

const NO_STORE: (&str, Cow<'static, str>) = ("cache-control", Cow::Borrowed("no-store"));
const NO_SNIFF: (&str, Cow<'static, str>) = ("x-content-type-options", Cow::Borrowed("nosniff"));

impl Answer {
    /// 302 to the link's target. No cache may keep it past the link's expiry.
    pub fn redirect(link: &Link, now: Timestamp, caching: RedirectCaching) -> Self {
        Self::redirect_to_none(caching.within(link.expiry, now)).with("location", link.target.to_string())
    }

    /// What the redirects to all links that may be kept so long have in common.
    pub fn redirect_to_none(caching: RedirectCaching) -> Self {
        let RedirectCaching { max_age, edge_ttl } = caching;
        Self {
            status: 302,
            headers: vec![
                ("content-length", "0".into()),
                ("cache-control", format!("public, max-age={max_age}, s-maxage={edge_ttl}").into()),
                ("referrer-policy", "strict-origin-when-cross-origin".into()),
                NO_SNIFF,
                ("x-robots-tag", "noindex".into()),
            ],
            body: None,
        }
    }

    /// 201 with the code of a new link.
    pub fn created(code: &Code) -> Self {
        Self::envelope(201, Created { code: code.as_str() }).with("location", format!("{LINKS}/{code}"))
    }

    /// 204 to an `OPTIONS` request.
    pub fn options(methods: &'static str) -> Self {
        Self { status: 204, headers: vec![NO_STORE, NO_SNIFF], body: None }
            .with("allow", methods)
            .with("access-control-allow-methods", methods)
            .with("access-control-allow-headers", "content-type")
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
    pub fn error(status: u16, sentence: &str) -> Self {
        Self::envelope(status, Refused { error: sentence })
    }

    /// 400 for a path that can be no code.
    pub fn not_a_code(error: CodeError) -> Self {
        Self::error(400, &format!("the code {error}"))
    }

    /// 400 naming all that is wrong with a body.
    pub fn invalid(problems: &Problems) -> Self {
        Self::error(400, &problems.to_string())
    }

    /// 404 for a code without a link.
    pub fn unknown() -> Self {
        Self::error(404, "there is no link with this code")
    }

    /// 410 for a code whose link is over.
    pub fn expired() -> Self {
        Self::error(410, "the link with this code has expired")
    }

    /// 404 for a path that nothing has, in the words of the manifest's last route.
    pub fn no_such_path() -> Self {
        Self::error(404, "there is nothing at this path")
    }

    /// 405 for any method but these.
    pub fn wrong_method(methods: &'static str) -> Self {
        Self::error(405, &format!("this path answers {methods}")).with("allow", methods)
    }

    /// 503 with the time after which to try again.
    pub fn unavailable() -> Self {
        Self::error(503, "the service is unavailable for the moment; try again in a second")
            .with("retry-after", "1")
    }

    /// 500 for what only the operator can mend.
    pub fn internal() -> Self {
        Self::error(500, "the service is not working as it should; its operator has been told")
    }

    /// The answer to a create that failed; logs what the caller is not told.
    pub fn create_failed(error: &CreateError) -> Self {
        match error {
            CreateError::AliasTaken => Self::error(409, "`alias` is in use; choose another"),
            CreateError::Over => Self::error(400, "`expires_at` must be later than now"),
            CreateError::NoFreeCode => {
                log::failure("create", &error.to_string());
                Self::unavailable()
            }
            CreateError::Store(error) => Self::store_failed("create", error),
        }
    }

    /// The answer when the store failed; logs what the caller is not told.
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

    fn envelope(status: u16, data: impl Serialize) -> Self {
        Self::json(status, &Envelope { status, data })
    }
}

#[cfg(test)]
mod tests {
    use shortlink_core::TargetUrl;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

    fn cache_control(millis_left: i64) -> String {
        let link = Link {
            target: TargetUrl::parse("https://example.com", &[]).unwrap(),
            expiry: Expiry::stored(Timestamp::from_unix_millis(NOW.unix_millis() + millis_left)),
        };
        let answer = Answer::redirect(&link, NOW, RedirectCaching { max_age: 3, edge_ttl: 10 });
        let header = answer.headers.iter().find(|(name, _)| *name == "cache-control");
        header.unwrap().1.to_string()
    }

    #[test]
    fn no_cache_keeps_a_redirect_past_its_expiry() {
        assert_eq!(cache_control(60_000), "public, max-age=3, s-maxage=10");
        assert_eq!(cache_control(5_999), "public, max-age=3, s-maxage=4");
        assert_eq!(cache_control(1_999), "public, max-age=0, s-maxage=0");
        assert_eq!(cache_control(-1), "public, max-age=0, s-maxage=0");
    }

    #[test]
    fn a_redirect_is_the_same_until_the_link_nears_its_end() {
        let caching = RedirectCaching { max_age: 3, edge_ttl: 10 };
        let is_cut = |left| {
            caching
                .is_cut_by(Expiry::stored(Timestamp::from_unix_millis(left)), Timestamp::from_unix_millis(0))
        };
        assert_eq!([11_000, 10_999, 0].map(is_cut), [false, true, true]);
    }

    #[test]
    fn an_error_is_the_envelope_and_never_cached() {
        let answer = Answer::unknown();
        assert_eq!(
            answer.body.as_deref(),
            Some(r#"{"status":404,"data":{"error":"there is no link with this code"}}"#)
        );
        assert!(answer.headers.contains(&("cache-control", "no-store".into())));
        assert!(answer.headers.contains(&("content-length", "65".into())));
    }

    #[test]
    fn what_the_store_said_is_not_told_to_callers() {
        let answer = Answer::store_failed("resolve", &StoreError::Unavailable("secret".into()));
        assert_eq!(answer.status, 503);
        assert!(!format!("{answer:?}").contains("secret"));
    }
}
