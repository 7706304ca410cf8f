//! What the answer to a case must be.

use serde_json::Value;
use shortlink_core::{Code, Draft, KeyId, Link, Lookup, Timestamp};
use shortlink_guest::answer::Answer;

use super::{
    case::{Case, Rows},
    client::Reply,
    dependencies::Asked,
};

/// For how long a shared cache may keep a redirect, in seconds.
const EDGE_TTL: u64 = 10;
/// What a redirect says before that.
const CACHING: &str = "public, max-age=0, s-maxage=";

/// An answer, and what goes with it.
#[derive(Debug)]
pub struct Expected {
    pub status: u16,
    /// The error's sentence, where it is known.
    pub error: Option<String>,
    /// All of the body, where that is known.
    pub body: Option<Value>,
    /// The link that is followed.
    pub link: Option<Link>,
    /// The code of the new link, where it is not up to chance.
    pub code: Option<Code>,
    /// What Postgres is asked to do.
    pub question: Question,
    /// What the cache holds of a link in the end.
    pub cached: Option<(Code, Lookup)>,
}

/// What Postgres is asked, apart from who a key is and where links lead.
#[derive(Clone, Debug)]
pub enum Question {
    Nothing,
    /// Whatever it takes.
    Any,
    Exactly(Asked),
    /// To store a link.
    Create {
        draft: Draft,
        owner: KeyId,
    },
    /// To store several links, each or not.
    CreateEach {
        items: Vec<Result<Draft, String>>,
        owner: KeyId,
        /// The idempotency key, and the hash of the request.
        once: Option<(String, Vec<u8>)>,
    },
}

impl Expected {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            error: None,
            body: None,
            link: None,
            code: None,
            question: Question::Nothing,
            cached: None,
        }
    }

    pub fn error(status: u16, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::status(status) }
    }

    pub fn body(status: u16, body: Value) -> Self {
        Self { body: Some(body), ..Self::status(status) }
    }

    /// An answer that the components have a function for.
    pub fn answer(answer: &Answer) -> Self {
        Self { body: json(answer), ..Self::status(answer.status) }
    }

    pub fn wrong_method(methods: &str) -> Self {
        Self::error(405, format!("this path answers {methods}"))
    }

    pub fn no_such_path() -> Self {
        Self::error(404, "there is nothing at this path")
    }

    pub fn asking(self, question: Question) -> Self {
        Self { question, ..self }
    }

    /// The answer when a statement fails with this SQLSTATE.
    pub fn failed(sqlstate: &str) -> Self {
        // So the database calls a code or a URL that only the component accepts.
        Self::status(if matches!(sqlstate, "SL001" | "SL002") { 500 } else { 503 })
    }

    pub fn fits(&self, case: &Case, reply: &Reply, began: Timestamp, ended: Timestamp) -> bool {
        let has_body = case.method != "HEAD";
        self.status == reply.status
            && (!has_body || self.error.is_none() || self.error == reply.error())
            && (!has_body || self.body.is_none() || self.body == serde_json::from_slice(&reply.body).ok())
            && (self.status != 302
                || self.link.as_ref().is_some_and(|link| redirects_to(reply, link, began, ended)))
    }
}

/// The body of an answer.
pub fn json(answer: &Answer) -> Option<Value> {
    serde_json::from_str(answer.body.as_deref()?).ok()
}

/// The array that Postgres answers; `None` is null.
pub fn array(rows: &Rows) -> Result<Option<Vec<Option<String>>>, Expected> {
    match rows.failure() {
        Some(sqlstate) => Err(Expected::failed(sqlstate)),
        None => Ok((!rows.is_none()).then(|| rows.texts())),
    }
}

/// Whether it is a redirect to the link. No shared cache may keep one to the second in which the link ends.
fn redirects_to(reply: &Reply, link: &Link, began: Timestamp, ended: Timestamp) -> bool {
    let may_keep = |now| (link.expiry.millis_left(now) / 1000).saturating_sub(1).min(EDGE_TTL);
    let caching = reply.header("cache-control").and_then(|caching| caching.strip_prefix(CACHING));
    let edge_ttl: Option<u64> = caching.and_then(|seconds| seconds.parse().ok());
    reply.header("location") == Some(link.target.to_string().as_str())
        && edge_ttl.is_some_and(|edge_ttl| (may_keep(ended)..=may_keep(began)).contains(&edge_ttl))
}
