//! The body of a request to create a link.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    alias::Alias,
    expiry::{Expiry, LifetimeLimits},
    target_url::{Authority, TargetUrl},
    time::Timestamp,
};

/// A link that a caller asks for, checked against every rule but whether its alias is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Where the link is to lead.
    pub target: TargetUrl,
    /// When it is to end.
    pub expiry: Expiry,
    /// The code it is to have; `None` for a generated one.
    pub alias: Option<Alias>,
}

/// All that is wrong with a body: sentences a caller can act on, joined by `; `.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Problems(String);

impl Draft {
    /// Reads `{"url", "expires_at"?, "alias"?}`. `null` stands for an absent field; unknown fields are passed over.
    ///
    /// # Errors
    /// [`Problems`] naming every problem at once.
    pub fn from_json(
        body: &[u8],
        now: Timestamp,
        limits: LifetimeLimits,
        own: &[Authority],
    ) -> Result<Self, Problems> {
        let value =
            serde_json::from_slice(body).map_err(|_| Problems("the body is not valid JSON".into()))?;
        let Value::Object(fields) = value else {
            return Err(Problems("the body must be a JSON object".into()));
        };
        let target = match text(&fields, "url") {
            Ok(None) => Err("`url` is missing".into()),
            given => parsed("url", given, |url| TargetUrl::parse(url, own)),
        };
        let expiry = parsed("expires_at", text(&fields, "expires_at"), |at| Expiry::parse(at, now, limits));
        let alias = parsed("alias", text(&fields, "alias"), Alias::parse);
        match (target, expiry, alias) {
            (Ok(Some(target)), Ok(expiry), Ok(alias)) => {
                let expiry = expiry.unwrap_or_else(|| Expiry::default_from(now, limits));
                Ok(Self { target, expiry, alias })
            }
            (target, expiry, alias) => {
                let problems = [target.err(), expiry.err(), alias.err()];
                Err(Problems(problems.into_iter().flatten().collect::<Vec<_>>().join("; ")))
            }
        }
    }
}

/// The text of a field; `None` when it is absent or null.
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` must be a string")),
    }
}

fn parsed<T, E: std::fmt::Display>(
    name: &str,
    given: Result<Option<&str>, String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, String> {
    given?.map(parse).transpose().map_err(|error| format!("`{name}` {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
    const LIMITS: LifetimeLimits = LifetimeLimits { default_ttl_days: 14, max_ttl_days: 1826 };

    fn read(body: &str) -> Result<Draft, String> {
        Draft::from_json(body.as_bytes(), NOW, LIMITS, &[]).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_url_is_enough_and_the_link_then_lives_14_days() {
        let draft = read(r#"{"url":"https://example.com","alias":null,"expires_at":null,"more":1}"#).unwrap();
        assert_eq!(draft.target.as_str(), "https://example.com/");
        assert_eq!(draft.expiry.at(), NOW.plus_days(14));
        assert_eq!(draft.alias, None);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let problems = read(r#"{"url":7,"alias":"","expires_at":"2020-01-01T00:00:00Z"}"#).unwrap_err();
        assert_eq!(
            problems,
            "`url` must be a string; `expires_at` must be later than now; `alias` must not be empty"
        );
    }

    #[test]
    fn a_body_of_another_shape_is_refused() {
        let deep = "[".repeat(10_000);
        for (body, problem) in [
            ("", "the body is not valid JSON"),
            ("{\"url\":", "the body is not valid JSON"),
            ("{} x", "the body is not valid JSON"),
            (deep.as_str(), "the body is not valid JSON"),
            ("[]", "the body must be a JSON object"),
            ("\"https://example.com\"", "the body must be a JSON object"),
            ("{}", "`url` is missing"),
            (r#"{"url":null}"#, "`url` is missing"),
            (r#"{"url":""}"#, "`url` must not be empty"),
            (r#"{"url":["https://example.com"]}"#, "`url` must be a string"),
        ] {
            assert_eq!(read(body).unwrap_err(), problem);
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_not_json() {
        assert!(Draft::from_json(b"{\"url\":\"https://example.com/\xff\"}", NOW, LIMITS, &[]).is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Draft::from_json(&body, NOW, LIMITS, &[]);
        }

        #[test]
        fn problems_are_one_line(url in "\\PC{0,20}", alias in "\\PC{0,20}", at in "\\PC{0,20}") {
            let body = serde_json::json!({ "url": url, "alias": alias, "expires_at": at });
            if let Err(problems) = read(&body.to_string()) {
                prop_assert!(!problems.is_empty() && !problems.contains(['\r', '\n']));
            }
        }
    }
}
