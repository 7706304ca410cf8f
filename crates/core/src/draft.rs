//! The bodies of requests that create links.

use serde_json::value::RawValue;

use crate::{
    alias::Alias,
    expiry::{Expiry, LifetimeLimits},
    members::{Members, Problems, parse_text, problems},
    target_url::{Authority, TargetUrl},
    time::Timestamp,
};

/// The most links that one request may create.
pub const MAX_LINKS: usize = 100;

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
        Self::read(body, "the body", now, limits, own)
    }

    /// Reads `{"links": [...]}` with up to [`MAX_LINKS`] objects as [`Draft::from_json`] reads them, each with problems of its
    /// own.
    ///
    /// # Errors
    /// [`Problems`] of the body as a whole.
    pub fn several_from_json(
        body: &[u8],
        now: Timestamp,
        limits: LifetimeLimits,
        own: &[Authority],
    ) -> Result<Vec<Result<Self, Problems>>, Problems> {
        let members = Members::read(body, ["links"], "the body")?;
        let Some(links) = members.value("links") else { return Err(Problems("`links` is missing".into())) };
        let links: Vec<&RawValue> = serde_json::from_str(links.get())
            .map_err(|_| Problems("`links` must be an array of objects".into()))?;
        if links.is_empty() || links.len() > MAX_LINKS {
            return Err(Problems(format!("`links` must hold 1 to {MAX_LINKS} links")));
        }
        let read = |link: &RawValue| Self::read(link.get().as_bytes(), "the link", now, limits, own);
        Ok(links.into_iter().map(read).collect())
    }

    fn read(
        text: &[u8],
        subject: &str,
        now: Timestamp,
        limits: LifetimeLimits,
        own: &[Authority],
    ) -> Result<Self, Problems> {
        let members = Members::read(text, ["url", "expires_at", "alias"], subject)?;
        let target = match members.text("url") {
            Ok(None) => Err("`url` is missing".into()),
            given => parse_text("url", given, |url| TargetUrl::parse(url, own)),
        };
        let expiry =
            parse_text("expires_at", members.text("expires_at"), |at| Expiry::parse(at, now, limits));
        let alias = parse_text("alias", members.text("alias"), Alias::parse);
        match (target, expiry, alias) {
            (Ok(Some(target)), Ok(expiry), Ok(alias)) => {
                let expiry = expiry.unwrap_or_else(|| Expiry::default_from(now, limits));
                Ok(Self { target, expiry, alias })
            }
            (target, expiry, alias) => Err(problems([target.err(), expiry.err(), alias.err()])),
        }
    }
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

    #[test]
    fn several_links_have_problems_of_their_own() {
        let several = |body: &str| Draft::several_from_json(body.as_bytes(), NOW, LIMITS, &[]);
        let links = several(
            r#"{"links":[{"url":"https://example.com","alias":"a"},{"url":"x"},7,{"url":"https://e.example","url":""}]}"#,
        );
        let links: Vec<_> =
            links.unwrap().into_iter().map(|link| link.map_err(|problems| problems.to_string())).collect();
        assert_eq!(links[0].as_ref().unwrap().target.as_str(), "https://example.com/");
        let errors: Vec<_> = links.into_iter().skip(1).map(Result::unwrap_err).collect();
        assert_eq!(
            errors,
            [
                "`url` must be an absolute URL with a host",
                "the link must be a JSON object",
                "`url` is given more than once"
            ]
        );
        let many = format!(r#"{{"links":[{}]}}"#, vec!["{}"; MAX_LINKS + 1].join(","));
        for (body, problem) in [
            ("{}", "`links` is missing"),
            (r#"{"links":[]}"#, "`links` must hold 1 to 100 links"),
            (many.as_str(), "`links` must hold 1 to 100 links"),
            (r#"{"links":{}}"#, "`links` must be an array of objects"),
            (r#"{"links":[],"links":[]}"#, "`links` is given more than once"),
            ("[]", "the body must be a JSON object"),
        ] {
            assert_eq!(several(body).unwrap_err().to_string(), problem, "{body}");
        }
    }
}
