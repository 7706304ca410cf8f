//! `shortlink-core`: codes, URLs, times, bodies, cache entries.

use std::time::Duration;

use serde_json::{Value, json};
use shortlink_core::{
    Alias, Authority, Code, Draft, Expiry, LifetimeLimits, Link, Lookup, TargetUrl, Timestamp, cache_entry,
    is_reserved,
};
use url::Url;

use crate::sentence::assert_own;

/// When all of it happens: 2027-01-15T08:00:00Z.
pub const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
/// The defaults of `spin.toml`.
pub const LIMITS: LifetimeLimits = LifetimeLimits { default_ttl_days: 14, max_ttl_days: Some(1826) };

/// A code is kept to the letter, can be a path segment and a key, and what is no code is refused in words.
pub fn code(data: &[u8]) {
    let from_pool = Code::from_pool(data);
    if let Ok(code) = &from_pool {
        assert_eq!((code.as_str().as_bytes(), code.as_str().len()), (data, 7));
        assert_eq!(Code::parse(code.as_str()).as_ref(), Ok(code), "the pool's codes are codes");
    }
    let Ok(text) = std::str::from_utf8(data) else { return assert!(from_pool.is_err()) };
    match Code::parse(text) {
        Ok(code) => {
            assert_eq!((code.as_str(), code.to_string().as_str()), (text, text));
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            assert!((1..=64).contains(&text.len()) && text.bytes().all(allowed));
        }
        Err(error) => assert_own(&error.to_string()),
    }
    match Alias::parse(text) {
        Ok(alias) => {
            assert_eq!(Code::parse(text), Ok(alias.into_code()), "every alias is a code");
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            assert!((1..=32).contains(&text.len()) && text.bytes().all(allowed));
            assert!(!text.starts_with('-') && !text.ends_with('-') && !is_reserved(text));
        }
        Err(error) => assert_own(&error.to_string()),
    }
    if let Some(number) = data.first_chunk().copied().map(u64::from_le_bytes) {
        assert!(Code::from_pool(Code::from_number(number).as_str().as_bytes()).is_ok());
    }
}

/// Nothing that could end a header, and nothing that a browser would take for another place.
#[track_caller]
pub fn assert_safe_location(target: &TargetUrl) {
    let text = target.as_str();
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "unsafe in a header: {text:?}");
    assert!(text.len() <= 8192 && (text.starts_with("http://") || text.starts_with("https://")), "{text}");
    assert_eq!(TargetUrl::stored(text).as_ref(), Some(target), "what is stored is read back");
    if let Ok(url) = Url::parse(text) {
        assert!(matches!(url.scheme(), "http" | "https") && url.has_host(), "{text}");
        assert!(url.username().is_empty() && url.password().is_none(), "credentials in {text}");
    }
}

/// The first line is one of the service's own authorities, the rest a URL.
pub fn target_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (authority, text) = text.split_once('\n').unwrap_or(("sho.rt", text));
    let own: Vec<Authority> = Authority::parse(authority).into_iter().collect();
    match TargetUrl::parse(text, &own) {
        Ok(target) => {
            assert_safe_location(&target);
            assert_eq!(
                TargetUrl::parse(target.as_str(), &own).as_ref(),
                Ok(&target),
                "the normal form is one"
            );
            assert!(Url::parse(target.as_str()).is_ok(), "{target}");
        }
        Err(error) => assert_own(&error.to_string()),
    }
    if let Some(target) = TargetUrl::stored(text) {
        assert_eq!(target.as_str(), text);
        assert_safe_location(&target);
    }
    if !own.is_empty() {
        for scheme in ["http", "https", "HTTPS"] {
            let url = format!("{scheme}://{}/x", authority.trim());
            // Some authorities, such as an empty port's, are none in a URL; they lead nowhere then.
            let Ok(parsed) = Url::parse(&url) else { continue };
            let is_default = parsed.port().is_none();
            let meant = authority
                .trim()
                .rsplit_once(':')
                .is_none_or(|(_, port)| port.is_empty() || port.ends_with(']'));
            if meant || !is_default {
                assert!(TargetUrl::parse(&url, &own).is_err(), "{url} leads back to {authority:?}");
            }
        }
    }
}

/// The first line is the present in Unix milliseconds, the rest a time.
pub fn expiry(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (now, text) = text.split_once('\n').unwrap_or(("", text));
    let now = now.parse().map_or(NOW, Timestamp::from_unix_millis);
    match Expiry::parse(text, now, LIMITS) {
        Ok(expiry) => {
            let Some(at) = expiry.at() else { panic!("{text:?} has no end") };
            assert!(at > now && at <= now.plus_days(LIMITS.max_ttl_days.unwrap_or_default()));
            assert!(!expiry.is_expired(now) && expiry.is_expired(at) && expiry.millis_left(now) > 0);
            if let Some(printed) = rfc3339(at) {
                assert_eq!(Expiry::parse(&printed, now, LIMITS), Ok(expiry), "{printed}");
            }
        }
        Err(error) => assert_own(&error.to_string()),
    }
}

/// The time as text, where four digits are enough for its year.
fn rfc3339(at: Timestamp) -> Option<String> {
    let time = chrono::DateTime::from_timestamp_millis(at.unix_millis())?.to_rfc3339();
    Timestamp::parse_rfc3339(&time).map(|_| time)
}

/// A draft means what it says when it is written down again, and a refusal names fields and nothing else.
pub fn draft(data: &[u8]) {
    let own = own();
    match Draft::from_json(data, NOW, LIMITS, &own) {
        Ok(draft) => {
            assert_safe_location(&draft.target);
            let body = written(&draft).to_string();
            assert_eq!(Draft::from_json(body.as_bytes(), NOW, LIMITS, &own), Ok(draft), "{body}");
        }
        Err(problems) => assert_problems(&problems.to_string()),
    }
}

/// The service's own authority in bodies.
#[must_use]
pub fn own() -> Vec<Authority> {
    Authority::parse("sho.rt").into_iter().collect()
}

/// A body that asks for this draft.
#[must_use]
#[track_caller]
pub fn written(draft: &Draft) -> Value {
    let alias = draft.alias.clone().map(Alias::into_code);
    json!({ "url": draft.target.as_str(), "alias": alias, "expires_at": printed(draft.expiry) })
}

/// An expiry as a request gives it.
#[must_use]
#[track_caller]
pub fn printed(expiry: Expiry) -> String {
    expiry.at().and_then(rfc3339).unwrap_or_else(|| panic!("{expiry:?} cannot be printed"))
}

/// Sentences about what the caller sent, each part of it once, and no word of the caller's.
#[track_caller]
pub fn assert_problems(problems: &str) {
    assert_own(problems);
    let mut subjects = vec![
        "`url` ",
        "`expires_at` ",
        "`alias` ",
        "`disabled` ",
        "`links` ",
        "`limit` ",
        "`cursor` ",
        "`q` ",
        "`state` ",
        "the body ",
        "the link ",
        "only `url`, `expires_at` and `disabled` can be changed",
        "nothing to change: ",
    ];
    // These two have a semicolon of their own.
    let sentences = problems.replace("; choose another", "").replace("; begin again without it", "");
    for sentence in sentences.split("; ") {
        let subject = subjects.iter().position(|subject| sentence.starts_with(subject));
        let Some(subject) = subject else { panic!("{sentence:?} in {problems:?} is about nothing") };
        subjects.remove(subject);
    }
}

/// Only what is live and safe comes out of the cache, and its own form is read back.
pub fn cache_entry(data: &[u8]) {
    let hour = Duration::from_hours(1);
    let code = Code::from_number(data.len() as u64);
    let Some(lookup) = cache_entry::decode(data, NOW) else { return };
    if let Lookup::Live(link) = &lookup {
        assert!(!link.expiry.is_expired(NOW));
        assert_safe_location(&link.target);
    }
    let Some(entry) = cache_entry::filling(&code, &lookup, NOW, hour) else {
        panic!("{lookup:?} is not cached")
    };
    assert!(entry.lifetime > Duration::ZERO && entry.lifetime <= hour);
    assert_eq!(cache_entry::decode(entry.value.as_bytes(), NOW), Some(lookup.clone()));
    if let Lookup::Live(Link { expiry, .. }) = lookup {
        assert!(entry.lifetime.as_millis() <= u128::from(expiry.millis_left(NOW)), "cached past its end");
        if let Some(at) = expiry.at() {
            assert_eq!(cache_entry::decode(entry.value.as_bytes(), at), None, "an expired link is a miss");
        }
    }
}
