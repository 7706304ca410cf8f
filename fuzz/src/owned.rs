//! `shortlink-core`: keys, queries for lists, changes, several links in one body.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shortlink_core::{
    ApiKey, Code, Draft, IdempotencyKey, KeyId, LinkChange, LinkQuery, MAX_LINKS, Position, StateFilter,
};
use url::form_urlencoded;

use crate::{
    domain::{LIMITS, NOW, assert_problems, assert_safe_location, own, printed, written},
    sentence::assert_own,
};

/// Whose links are listed.
const REACH: KeyId = KeyId(7);

/// What is taken for a key has the form of one, is known by its hash alone, and is not shown.
pub fn api_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match ApiKey::parse(text) {
        Ok(key) => {
            let random = text.strip_prefix("slk_").unwrap_or_default();
            assert!(
                random.len() == 43 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{text:?}"
            );
            assert_key(text, &key);
        }
        Err(error) => assert_own(&error.to_string()),
    }
    let random = text.chars().filter(char::is_ascii_alphanumeric).chain(std::iter::repeat('0')).take(43);
    let filled: String = "slk_".chars().chain(random).collect();
    assert_key(&filled, &ApiKey::parse(&filled).expect("it has the form of a key"));
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    match IdempotencyKey::parse(text) {
        Ok(key) => assert!((1..=64).contains(&text.len()) && is_visible && key.as_str() == text, "{text:?}"),
        Err(error) => {
            assert!(text.is_empty() || text.len() > 64 || !is_visible, "{text:?}");
            assert_own(&error.to_string());
        }
    }
}

#[track_caller]
fn assert_key(text: &str, key: &ApiKey) {
    assert_eq!(key.hash().as_slice(), Sha256::digest(text).as_slice(), "{text:?}");
    assert_eq!(format!("{key:?}"), "ApiKey");
}

/// The first line is the query of a list, the second that of another one, the third a code at which a page ends. The cursor
/// after that page leads on in the first list and in no other.
pub fn link_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let (query, other) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let code = Code::parse(lines.next().unwrap_or_default()).unwrap_or_else(|_| Code::from_number(1));
    let Some(parsed) = listed(query, REACH) else { return };
    if let Some(after) = &parsed.after {
        let mut cursors = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| name == "cursor")
            .map(|(_, cursor)| cursor);
        let cursor = cursors.next().unwrap_or_default();
        // Hexadecimal digits may be in upper case.
        assert!(cursor.eq_ignore_ascii_case(&parsed.cursor(after, REACH)), "{cursor:?} leads to {after:?}");
    }
    let mut digits = [0; 8];
    digits.iter_mut().zip(data.iter().rev()).for_each(|(digit, byte)| *digit = *byte);
    // From 1970 to 9999.
    let created_at_micros = i64::from_be_bytes(digits).rem_euclid(253_402_300_800_000_000);
    let position = Position { created_at_micros, code };
    let cursor = parsed.cursor(&position, REACH);
    assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{cursor:?} is not for a URL");
    let leads_on = LinkQuery { after: Some(position), ..parsed.clone() };
    assert_eq!(listed(&with_cursor(&parsed, &cursor), REACH), Some(leads_on), "{query:?}");
    assert_eq!(listed(&with_cursor(&parsed, &cursor), KeyId(8)), None, "{query:?} of another key");
    let place = digits.iter().fold(0, |sum, digit| sum + usize::from(*digit)) % cursor.len();
    let mut changed = cursor.clone().into_bytes();
    changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
    let changed = String::from_utf8_lossy(&changed);
    assert_eq!(listed(&with_cursor(&parsed, &changed), REACH), None, "{changed} in place of {cursor}");
    if let Some(other) = listed(other, REACH) {
        let is_same = (&other.search, other.state) == (&parsed.search, parsed.state);
        assert_eq!(listed(&with_cursor(&other, &cursor), REACH).is_some(), is_same, "{query:?}, {other:?}");
    }
}

/// The query, if it is one: with a limit that a page can have, and a search that Postgres can take.
fn listed(query: &str, reach: KeyId) -> Option<LinkQuery> {
    match LinkQuery::from_query(query, reach) {
        Ok(query) => {
            assert!((1..=100).contains(&query.limit), "{query:?}");
            if let Some(search) = &query.search {
                assert!((1..=256).contains(&search.chars().count()), "{query:?}");
                assert!(!search.contains(char::is_control), "{query:?}");
            }
            Some(query)
        }
        Err(problems) => {
            assert_problems(&problems.to_string());
            None
        }
    }
}

/// The query written down again, with a cursor.
fn with_cursor(query: &LinkQuery, cursor: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("limit", &query.limit.to_string())
        .append_pair("q", query.search.as_deref().unwrap_or_default())
        .append_pair("state", query.state.map_or("", StateFilter::as_str))
        .append_pair("cursor", cursor)
        .finish()
}

/// A change changes something, to what a create would accept too, and means the same when it is written down again.
pub fn link_change(data: &[u8]) {
    let own = own();
    match LinkChange::from_json(data, NOW, LIMITS, &own) {
        Ok(change) => {
            assert_ne!(change, LinkChange { target: None, expiry: None, disabled: None });
            change.target.iter().for_each(assert_safe_location);
            if let Some(expiry) = change.expiry {
                let last = NOW.plus_days(LIMITS.max_ttl_days.unwrap_or_default());
                assert!(expiry.at().is_some_and(|at| at > NOW && at <= last), "{expiry:?}");
            }
            let url = change.target.as_ref().map(ToString::to_string);
            let body =
                json!({ "url": url, "expires_at": change.expiry.map(printed), "disabled": change.disabled });
            let body = body.to_string();
            assert_eq!(LinkChange::from_json(body.as_bytes(), NOW, LIMITS, &own), Ok(change), "{body}");
        }
        Err(problems) => assert_problems(&problems.to_string()),
    }
}

/// Each of several links is read as if it were alone, and those that are good are the same when they are written down again.
pub fn drafts(data: &[u8]) {
    let own = own();
    let several = |body: &[u8]| Draft::several_from_json(body, NOW, LIMITS, &own);
    match several(data) {
        Ok(drafts) => {
            assert!((1..=MAX_LINKS).contains(&drafts.len()), "{} links", drafts.len());
            let mut good = Vec::new();
            for draft in drafts {
                match draft {
                    Ok(draft) => {
                        assert_safe_location(&draft.target);
                        good.push(draft);
                    }
                    Err(problems) => assert_problems(&problems.to_string()),
                }
            }
            if !good.is_empty() {
                let body = json!({ "links": good.iter().map(written).collect::<Vec<Value>>() }).to_string();
                assert_eq!(several(body.as_bytes()), Ok(good.into_iter().map(Ok).collect()), "{body}");
            }
        }
        Err(problems) => assert_problems(&problems.to_string()),
    }
    if let Ok(draft) = Draft::from_json(data, NOW, LIMITS, &own)
        && !data.starts_with("\u{feff}".as_bytes())
    {
        let body = [&b"{\"links\":["[..], data, b"]}"].concat();
        assert_eq!(several(&body), Ok(vec![Ok(draft)]));
    }
}
