//! The body of a request to create a link.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
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
    /// Reads `{"url", "expires_at"?, "alias"?}`, with or without a byte-order mark before it. `null` stands for an absent
    /// member; unknown members are ignored. A member that stands twice is refused: readers differ in which one counts.
    ///
    /// # Errors
    /// [`Problems`] naming every problem at once.
    pub fn from_json(
        body: &[u8],
        now: Timestamp,
        limits: LifetimeLimits,
        own: &[Authority],
    ) -> Result<Self, Problems> {
        let Members { url, expires_at, alias, repeated } = members(body)?;
        if let Some(name) = repeated {
            return Err(Problems(format!("{name} is given more than once")));
        }
        let target = match text("url", url) {
            Ok(None) => Err("`url` is missing".into()),
            given => parsed("url", given, |url| TargetUrl::parse(url, own)),
        };
        let expiry =
            parsed("expires_at", text("expires_at", expires_at), |at| Expiry::parse(at, now, limits));
        let alias = parsed("alias", text("alias", alias), Alias::parse);
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

/// The members of a body. Their values are read when their names are known: what is ignored may be anything that JSON
/// allows, however deep and however large a number.
#[derive(Default)]
struct Members<'a> {
    url: Option<&'a RawValue>,
    expires_at: Option<&'a RawValue>,
    alias: Option<&'a RawValue>,
    /// A member that stands more than once, as a message names it.
    repeated: Option<&'static str>,
}

/// A member's name, borrowed where it holds no escape.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let value: &RawValue = map.next_value()?;
            let shown = match &*name.0 {
                "url" => {
                    members.url = Some(value);
                    "`url`"
                }
                "expires_at" => {
                    members.expires_at = Some(value);
                    "`expires_at`"
                }
                "alias" => {
                    members.alias = Some(value);
                    "`alias`"
                }
                _ => "the body has a member that",
            };
            if !names.insert(name) {
                members.repeated.get_or_insert(shown);
            }
        }
        Ok(members)
    }
}

fn members(body: &[u8]) -> Result<Members<'_>, Problems> {
    let not_json = || Problems("the body is not valid JSON".into());
    let body = std::str::from_utf8(body).map_err(|_| not_json())?;
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    serde_json::from_str(body).map_err(|_| {
        if serde_json::from_str::<IgnoredAny>(body).is_err() {
            not_json()
        } else if body.trim_start().starts_with('{') {
            Problems("the body has a member whose name holds half of a surrogate pair".into())
        } else {
            Problems("the body must be a JSON object".into())
        }
    })
}

/// The text of a member; `None` when it is absent or null.
fn text(name: &str, value: Option<&RawValue>) -> Result<Option<String>, String> {
    let Some(value) = value.map(RawValue::get) else { return Ok(None) };
    serde_json::from_str(value).map_err(|_| {
        let is_string = value.starts_with('"');
        let problem = if is_string { "holds half of a surrogate pair" } else { "must be a string" };
        format!("`{name}` {problem}")
    })
}

fn parsed<T, E: fmt::Display>(
    name: &str,
    given: Result<Option<String>, String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, String> {
    given?.as_deref().map(parse).transpose().map_err(|error| format!("`{name}` {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
    const LIMITS: LifetimeLimits = LifetimeLimits { default_ttl_days: 14, max_ttl_days: Some(1826) };

    fn read(body: &str) -> Result<Draft, String> {
        Draft::from_json(body.as_bytes(), NOW, LIMITS, &[]).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_url_is_enough_and_the_link_then_lives_14_days() {
        let draft = read(r#"{"url":"https://example.com","alias":null,"expires_at":null,"more":1}"#).unwrap();
        assert_eq!(draft.target.as_str(), "https://example.com/");
        assert_eq!(draft.expiry, Expiry::At(NOW.plus_days(14)));
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
    fn a_member_that_stands_twice_is_refused_however_it_is_spelled() {
        for (body, name) in [
            (r#"{"url":"https://a.example/","url":"https://b.example/"}"#, "`url`"),
            (r#"{"url":"https://a.example/","\u0075rl":"https://a.example/"}"#, "`url`"),
            (r#"{"url":"https://a.example/","alias":null,"alias":"a"}"#, "`alias`"),
            (r#"{"url":"https://a.example/","x":1,"y":2,"x":1}"#, "the body has a member that"),
        ] {
            assert_eq!(read(body).unwrap_err(), format!("{name} is given more than once"));
        }
    }

    #[test]
    fn a_byte_order_mark_before_the_body_is_accepted() {
        assert!(read("\u{feff}{\"url\":\"https://a.example/\"}").is_ok());
        assert_eq!(read("\u{feff}\u{feff}{}").unwrap_err(), "the body is not valid JSON");
        assert_eq!(read("{\u{feff}}").unwrap_err(), "the body is not valid JSON");
    }

    #[test]
    fn what_is_ignored_may_be_any_json() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        for ignored in [deep.as_str(), "1e400", r#""\ud800""#, "{\"a\":[1,{\"url\":2}]}"] {
            let body = format!(r#"{{"url":"https://a.example/","more":{ignored}}}"#);
            assert!(read(&body).is_ok(), "{body}");
        }
    }

    #[test]
    fn json_beyond_what_is_read_is_told_from_what_is_no_json() {
        for (body, problem) in [
            (r#"{"url":"\ud800"}"#, "`url` holds half of a surrogate pair"),
            (r#"{"url":1e400}"#, "`url` must be a string"),
            (
                r#"{"url":"https://a.example/","\ud800":1}"#,
                "the body has a member whose name holds half of a surrogate pair",
            ),
            (&format!("{}{}", "[".repeat(127), "]".repeat(127)), "the body must be a JSON object"),
            (&format!("{{\"url\":{}{}}}", "[".repeat(127), "]".repeat(127)), "`url` must be a string"),
        ] {
            assert_eq!(read(body).unwrap_err(), problem);
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_not_json() {
        assert!(Draft::from_json(b"{\"url\":\"https://example.com/\xff\"}", NOW, LIMITS, &[]).is_err());
        assert!(
            Draft::from_json(b"{\"url\":\"https://example.com/\",\"x\":\"\xff\"}", NOW, LIMITS, &[]).is_err()
        );
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
