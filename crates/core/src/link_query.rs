//! The query of a request for a list of links.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::{
    api_key::KeyId,
    code::Code,
    members::{Problems, problems},
};

/// How many links a page holds when the request does not say.
const DEFAULT_LIMIT: u32 = 50;
/// The most links that a page holds.
const MAX_LIMIT: u32 = 100;
/// The longest text to search for, in characters.
const MAX_SEARCH: usize = 256;
/// The last microsecond of the year 9999.
const LAST_MICROSECOND: i64 = 253_402_300_799_999_999;
/// Bytes of a cursor before the code: the time and the digest.
const CURSOR_HEAD: usize = 16;

/// Which links to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkQuery {
    /// How many at most.
    pub limit: u32,
    /// What their code or URL holds.
    pub search: Option<String>,
    /// Their state; `None` is every one but deleted ones.
    pub state: Option<StateFilter>,
    /// After which link to go on.
    pub after: Option<Position>,
}

/// Which states to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFilter {
    /// Links that lead somewhere.
    Live,
    /// Links that were disabled, and have not expired.
    Disabled,
    /// Links that have expired.
    Expired,
    /// Links that were deleted.
    Deleted,
    /// All of them.
    All,
}

/// The place of a link in a list, which is ordered by creation, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// When it was created, in Unix microseconds.
    pub created_at_micros: i64,
    /// Its code.
    pub code: Code,
}

impl StateFilter {
    const ALL: [Self; 5] = [Self::Live, Self::Disabled, Self::Expired, Self::Deleted, Self::All];

    /// The word for it in a query.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::All => "all",
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| "`state` must be live, disabled, expired, deleted or all".into())
    }
}

impl LinkQuery {
    /// Reads `limit`, `cursor`, `q` and `state` from the query of a URL; other parameters are ignored, and an empty one is an
    /// absent one. `reach`: whose links are listed.
    ///
    /// # Errors
    /// [`Problems`] naming every problem at once.
    pub fn from_query(query: &str, reach: KeyId) -> Result<Self, Problems> {
        let (limit, cursor) = (parameter(query, "limit"), parameter(query, "cursor"));
        let limit = limit.and_then(|limit| limit.map_or(Ok(DEFAULT_LIMIT), |limit| parse_limit(&limit)));
        let state = parameter(query, "state")
            .and_then(|state| state.map(|state| StateFilter::parse(&state)).transpose());
        let search =
            parameter(query, "q").and_then(|search| search.map(|search| parse_search(&search)).transpose());
        match (limit, cursor, search, state) {
            (Ok(limit), Ok(cursor), Ok(search), Ok(state)) => {
                let query = Self { limit, search, state, after: None };
                let after = cursor.map(|cursor| query.position(&cursor, reach)).transpose();
                after.map(|after| Self { after, ..query }).map_err(Problems)
            }
            (limit, cursor, search, state) => {
                Err(problems([limit.err(), cursor.err(), search.err(), state.err()]))
            }
        }
    }

    /// The cursor of the page after the link at this position.
    #[must_use]
    pub fn cursor(&self, last: &Position, reach: KeyId) -> String {
        let mut bytes = last.created_at_micros.to_be_bytes().to_vec();
        bytes.extend(self.digest(last, reach));
        bytes.extend(last.code.as_str().bytes());
        hex::encode(bytes)
    }

    fn position(&self, cursor: &str, reach: KeyId) -> Result<Position, String> {
        let read = || {
            let bytes = hex::decode(cursor).ok()?;
            let (head, code) = bytes.split_at_checked(CURSOR_HEAD)?;
            let (micros, digest) = head.split_first_chunk::<8>()?;
            let code = Code::parse(std::str::from_utf8(code).ok()?).ok()?;
            let position = Position { created_at_micros: i64::from_be_bytes(*micros), code };
            let is_time = (0..=LAST_MICROSECOND).contains(&position.created_at_micros);
            (is_time && self.digest(&position, reach) == digest).then_some(position)
        };
        read().ok_or_else(|| {
            "`cursor` is not the `next_cursor` of a page of this query; begin again without it".into()
        })
    }

    /// Binds a cursor to its query. It is no secret: whoever makes up a cursor sees no other links with it.
    fn digest(&self, position: &Position, reach: KeyId) -> [u8; 8] {
        let mut hash = Sha256::new();
        hash.update(position.created_at_micros.to_be_bytes());
        hash.update(reach.0.to_be_bytes());
        for text in [
            position.code.as_str(),
            self.state.map_or("", StateFilter::as_str),
            self.search.as_deref().unwrap_or(""),
        ] {
            hash.update(text);
            hash.update([0]);
        }
        let mut digest = [0; 8];
        digest.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        digest
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, String> {
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter_map(|(found, value)| (found == name).then_some(value));
    let value = values.next().filter(|value| !value.is_empty());
    if values.next().is_some() { Err(format!("`{name}` is given more than once")) } else { Ok(value) }
}

fn parse_limit(text: &str) -> Result<u32, String> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("`limit` must be a whole number from 1 to {MAX_LIMIT}"))
}

fn parse_search(text: &str) -> Result<String, String> {
    if text.chars().count() > MAX_SEARCH {
        return Err(format!("`q` must have at most {MAX_SEARCH} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("`q` must not hold control characters".into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyId = KeyId(7);

    fn read(query: &str) -> Result<LinkQuery, String> {
        LinkQuery::from_query(query, KEY).map_err(|problems| problems.to_string())
    }

    #[test]
    fn every_parameter_may_be_absent() {
        let all = LinkQuery { limit: 50, search: None, state: None, after: None };
        for query in ["", "limit=&q=&state=&cursor=", "page=3&_=1"] {
            assert_eq!(read(query), Ok(all.clone()), "{query}");
        }
        let query = read("q=100%25+%27%22&state=disabled&limit=100").unwrap();
        assert_eq!((query.limit, query.state), (100, Some(StateFilter::Disabled)));
        assert_eq!(query.search.as_deref(), Some("100% '\""));
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let long = "q=".to_owned() + &"a".repeat(257);
        for (query, problem) in [
            (
                "limit=0&q=%00&state=dead",
                "`limit` must be a whole number from 1 to 100; `q` must not hold control characters; \
                 `state` must be live, disabled, expired, deleted or all",
            ),
            ("limit=101", "`limit` must be a whole number from 1 to 100"),
            ("limit=ten", "`limit` must be a whole number from 1 to 100"),
            ("limit=1&limit=1", "`limit` is given more than once"),
            (long.as_str(), "`q` must have at most 256 characters"),
        ] {
            assert_eq!(read(query), Err(problem.into()), "{query}");
        }
    }

    #[test]
    fn a_cursor_leads_on_in_its_own_query_only() {
        let position =
            Position { created_at_micros: 1_795_860_318_634_879, code: Code::parse("a-B_9").unwrap() };
        let cursor = read("q=x&state=live").unwrap().cursor(&position, KEY);
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{cursor}");
        let next = read(&format!("q=x&state=live&limit=3&cursor={cursor}")).unwrap();
        assert_eq!(next.after, Some(position));
        let refused = "`cursor` is not the `next_cursor` of a page of this query; begin again without it";
        for query in ["q=y&state=live", "q=x", "state=live", ""] {
            assert_eq!(read(&format!("{query}&cursor={cursor}")), Err(refused.into()), "{query}");
        }
        let other = LinkQuery::from_query(&format!("q=x&state=live&cursor={cursor}"), KeyId(8));
        assert_eq!(other.unwrap_err().to_string(), refused);
        for place in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(read(&format!("q=x&state=live&cursor={changed}")), Err(refused.into()), "{changed}");
        }
        for cursor in ["x", "00", "é", &cursor[1..], &cursor[..40]] {
            assert_eq!(read(&format!("q=x&state=live&cursor={cursor}")), Err(refused.into()), "{cursor}");
        }
    }
}
