//! What a caller of a redirect is told.

use serde::Serialize;
use shortlink_core::{Code, CodeError, Link, RedirectCaching, Timestamp};
use shortlink_guest::answer::{Answer, NO_SNIFF};
use shortlink_spin_adapters::postgres::PublicLink;

/// 302 to the link's target. No cache may keep it past the link's expiry.
pub fn redirect(link: &Link, now: Timestamp, caching: RedirectCaching) -> Answer {
    let RedirectCaching { max_age, edge_ttl } = caching.within(link.expiry, now);
    Answer {
        status: 302,
        headers: vec![
            ("content-length", "0".into()),
            ("cache-control", format!("public, max-age={max_age}, s-maxage={edge_ttl}").into()),
            ("referrer-policy", "strict-origin-when-cross-origin".into()),
            NO_SNIFF,
            ("x-robots-tag", "noindex".into()),
            ("location", link.target.to_string().into()),
        ],
        body: None,
    }
}

#[derive(Serialize)]
struct Previewed<'a> {
    code: &'a str,
    url: &'a str,
    created_at: &'a str,
    expires_at: Option<&'a str>,
}

/// 200 with where a link leads, and since and until when.
pub fn preview(code: &Code, link: &PublicLink) -> Answer {
    let PublicLink { url, created_at, expires_at } = link;
    let data = Previewed { code: code.as_str(), url, created_at, expires_at: expires_at.as_deref() };
    Answer::envelope(200, data)
}

/// 400 for a path that can be no code.
pub fn not_a_code(error: CodeError) -> Answer {
    Answer::error(400, &format!("the code {error}"))
}

/// 404 for a code without a link.
pub fn unknown() -> Answer {
    Answer::error(404, "there is no link with this code")
}

/// 410 for a code whose link has expired, or is disabled or deleted.
pub fn expired() -> Answer {
    Answer::error(410, "the link with this code has expired or was withdrawn")
}

#[cfg(test)]
mod tests {
    use shortlink_core::{Expiry, TargetUrl};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);

    fn cache_control(millis_left: i64) -> String {
        let link = Link {
            target: TargetUrl::parse("https://example.com", &[]).unwrap(),
            expiry: Expiry::stored(Timestamp::from_unix_millis(NOW.unix_millis() + millis_left)),
        };
        let answer = redirect(&link, NOW, RedirectCaching { max_age: 3, edge_ttl: 10 });
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
}
