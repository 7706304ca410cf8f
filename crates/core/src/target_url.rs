//! Where a link leads, and which places it must not lead to.

use std::fmt;

use thiserror::Error;
use url::{Host, Url};

/// The longest URL, in bytes, both as given and as stored.
pub const MAX_LENGTH: usize = 8192;

/// An absolute http or https URL in its WHATWG serialised form: printable ASCII (punycode host, percent-encoded), no
/// user name or password, at most [`MAX_LENGTH`] bytes. It may stand in a `Location` header as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUrl(Box<str>);

/// Why a text is no target. Each message completes the sentence "`url` …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// More than [`MAX_LENGTH`] bytes, as given or percent-encoded.
    #[error("must have at most {MAX_LENGTH} bytes, percent-encoded")]
    TooLong,
    /// A line break, tab or other control character, or white space inside.
    #[error("must not hold control characters or white space")]
    Unprintable,
    /// Not an absolute URL.
    #[error("must be an absolute URL with a host")]
    NotAbsolute,
    /// Neither http nor https.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// A user name or a password before the host.
    #[error("must not hold a user name or password")]
    Credentials,
    /// The authority is this service's own.
    #[error("must not lead back to this service")]
    Loop,
}

impl TargetUrl {
    /// Reads a target that a creator asks for. `own` lists the service's own authorities.
    ///
    /// # Errors
    /// [`UrlError`] naming the rule that is broken.
    pub fn parse(text: &str, own: &[Authority]) -> Result<Self, UrlError> {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(UrlError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UrlError::Unprintable);
        }
        let url = Url::parse(text).map_err(|_| UrlError::NotAbsolute)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if own.iter().any(|authority| authority.holds(&url)) {
            return Err(UrlError::Loop);
        }
        Self::serialised(&url)
    }

    /// Reads a target back from Postgres or the cache. `None` when it does not have the form that [`TargetUrl::parse`]
    /// gives. The text is not parsed again, which on each redirect would cost more than all the rest: what it has to be
    /// is safe.
    #[must_use]
    pub fn stored(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let (authority, _) = rest.split_once('/')?;
        let is_safe = !authority.is_empty()
            && !authority.bytes().any(|byte| b"@\\?#".contains(&byte))
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && text.len() <= MAX_LENGTH;
        is_safe.then(|| Self(text.into()))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn serialised(url: &Url) -> Result<Self, UrlError> {
        let text = url.as_str();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Unprintable);
        }
        if text.len() > MAX_LENGTH {
            return Err(UrlError::TooLong);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host and port that the service itself answers on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: Host<String>,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host` or `host:port`, as in a `Host` header. `None` when it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains(['/', '?', '#', '@', '\\']) {
            return None;
        }
        // A scheme without a default port keeps `:80` and `:443` apart from no port at all.
        let url = Url::parse(&format!("x://{text}/")).ok()?;
        let host = url.host_str().and_then(|host| Host::parse(host).ok())?;
        Some(Self { host: without_root_dot(host), port: url.port() })
    }

    /// Whether the URL leads here. An authority without a port answers on the default port of either scheme.
    fn holds(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return false };
        without_root_dot(host.to_owned()) == self.host
            && match self.port {
                None => url.port().is_none(),
                Some(port) => url.port_or_known_default() == Some(port),
            }
    }
}

/// `example.com.` and `example.com` are one host.
fn without_root_dot(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<String, UrlError> {
        TargetUrl::parse(text, &[]).map(|url| url.to_string())
    }

    #[test]
    fn the_serialised_form_is_kept() {
        for (given, stored) in [
            ("https://example.com", "https://example.com/"),
            ("HTTP://EXAMPLE.com:80/a/../b", "http://example.com/b"),
            ("  https://example.com/x  ", "https://example.com/x"),
            ("https://bücher.example/ü?q=ß#é", "https://xn--bcher-kva.example/%C3%BC?q=%C3%9F#%C3%A9"),
            ("https://example.com/%0d%0aSet-Cookie:x", "https://example.com/%0d%0aSet-Cookie:x"),
            ("http://[::1]:9/", "http://[::1]:9/"),
        ] {
            assert_eq!(parse(given).as_deref(), Ok(stored));
        }
    }

    #[test]
    fn each_rule_has_its_own_error() {
        for (given, error) in [
            ("", UrlError::Empty),
            ("   ", UrlError::Empty),
            ("https://example.com/\r\nX: y", UrlError::Unprintable),
            ("https://example.com/a b", UrlError::Unprintable),
            ("https://exam\tple.com/", UrlError::Unprintable),
            ("https://example.com/\n", UrlError::Unprintable),
            ("https://example.com/\u{2028}", UrlError::Unprintable),
            ("example.com/a", UrlError::NotAbsolute),
            ("/a", UrlError::NotAbsolute),
            ("https://", UrlError::NotAbsolute),
            ("javascript:alert(1)", UrlError::Scheme),
            ("data:text/html,x", UrlError::Scheme),
            ("ftp://example.com/", UrlError::Scheme),
            ("https://user@example.com/", UrlError::Credentials),
            ("https://user:pw@example.com/", UrlError::Credentials),
            ("https://:pw@example.com/", UrlError::Credentials),
        ] {
            assert_eq!(parse(given), Err(error), "{given:?}");
        }
    }

    #[test]
    fn the_limit_of_8192_bytes_holds_before_and_after_encoding() {
        let url = format!("https://example.com/{}", "a".repeat(MAX_LENGTH - 20));
        assert!(parse(&url).is_ok());
        assert_eq!(parse(&format!("{url}a")), Err(UrlError::TooLong));
        assert_eq!(parse(&format!("https://example.com/{}", "ü".repeat(2000))), Err(UrlError::TooLong));
    }

    #[test]
    fn urls_of_this_service_are_refused() {
        let own = ["localhost:8080", "Sho.RT", "xn--bcher-kva.example", "[::1]:8080"]
            .map(|a| Authority::parse(a).unwrap());
        for url in [
            "http://localhost:8080/v1/shortlink/a",
            "https://sho.rt/x",
            "http://sho.rt./x",
            "http://SHO.rt:80/",
            "https://bücher.example",
            "http://[0:0::1]:8080",
        ] {
            assert_eq!(TargetUrl::parse(url, &own), Err(UrlError::Loop), "{url}");
        }
        for url in ["http://localhost/", "https://sho.rt:8443/", "https://a.sho.rt/"] {
            assert!(TargetUrl::parse(url, &own).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_authority_with_an_explicit_default_port_matches_the_url_without_it() {
        let own = [Authority::parse("sho.rt:443").unwrap()];
        assert_eq!(TargetUrl::parse("https://sho.rt/", &own), Err(UrlError::Loop));
        assert!(TargetUrl::parse("http://sho.rt/", &own).is_ok());
    }

    #[test]
    fn text_that_is_no_authority_is_none() {
        for text in ["", "a/b", "user@host", "host:port", "ho st", "[::1", "a?b"] {
            assert_eq!(Authority::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_stored_text_that_was_tampered_with_is_not_a_target() {
        assert!(TargetUrl::stored("https://example.com/").is_some());
        for text in [
            "https://example.com",
            "http://",
            "https:///path",
            "https://example.com/\r\nX: y",
            "https://example.com/a b",
            "https://example.com/\u{fc}",
            "https://user:password@example.com/",
            "https://example.com\\@evil.example/",
            "https://example.com?query/",
            "ftp://example.com/",
            "javascript:x",
            "garbage",
            "",
        ] {
            assert_eq!(TargetUrl::stored(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_in_a_location_header_and_read_back(
            text in "\\PC{0,60}|https?://[^/]{1,20}(/\\PC{0,40})?|[\\x00-\\x7f]{0,40}"
        ) {
            if let Ok(url) = TargetUrl::parse(&text, &[]) {
                prop_assert!(url.as_str().bytes().all(|b| b.is_ascii_graphic()));
                prop_assert!(url.as_str().starts_with("http://") || url.as_str().starts_with("https://"));
                prop_assert!(url.as_str().len() <= MAX_LENGTH);
                prop_assert_eq!(TargetUrl::stored(url.as_str()), Some(url));
            }
        }

        #[test]
        fn authorities_never_panic(text in "\\PC{0,60}") {
            let _ = Authority::parse(&text);
        }

        #[test]
        fn a_url_at_an_own_authority_is_always_refused(host in "[a-z][a-z0-9]{0,10}\\.(com|rt)", port in 1_u16.., path in "[a-z/]{0,10}") {
            let own = [Authority::parse(&format!("{host}:{port}")).unwrap()];
            let url = format!("http://{host}:{port}/{path}");
            prop_assert_eq!(TargetUrl::parse(&url, &own), Err(UrlError::Loop));
        }
    }
}
