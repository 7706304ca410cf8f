//! What a component wants to reach.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

/// Scheme, host and port of an outbound connection; never its credentials.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) scheme: String,
    pub(crate) host: Host,
    port: Option<u16>,
}

impl Address {
    pub(crate) fn new(scheme: &str, host: &str, port: Option<u16>) -> Option<Self> {
        let host = match host.parse() {
            Ok(ip) => Host::Ipv6(ip),
            Err(_) => Host::parse(host).ok()?,
        };
        Some(Self { scheme: scheme.to_owned(), host, port })
    }

    /// Parses a URL, or what is one once `scheme` stands in front. User name and password may hold characters
    /// that a URL does not allow there.
    pub(crate) fn parse(text: &str, scheme: &str) -> Option<Self> {
        let text = with_encoded_credentials(text);
        let url = Url::parse(&text)
            .ok()
            .filter(Url::has_host)
            .or_else(|| Url::parse(&format!("{scheme}://{text}")).ok())?;
        Self::new(url.scheme(), url.host_str()?, url.port())
    }

    /// The port, or the one that the scheme stands for.
    pub(crate) fn effective_port(&self) -> Option<u16> {
        self.port.or_else(|| default_port(&self.scheme))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The ports that schemes stand for in `allowed_outbound_hosts`. Spin's list, in which `rediss` is missing.
pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "redis" => Some(6379),
        "mqtt" => Some(1883),
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn with_encoded_credentials(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(start);
    match rest.split_once('@') {
        Some((credentials, host)) if !credentials.contains('/') => {
            format!("{scheme}{}@{host}", utf8_percent_encode(credentials, NON_ALPHANUMERIC))
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_passed_over() {
        for text in [
            "redis://host:1",
            "redis://u:p@host:1/0",
            "redis://u:p#?%x@host:1",
            "u:p@host:1",
            "host:1",
            "redis://host:1/a@b:2",
        ] {
            assert_eq!(Address::parse(text, "redis").unwrap().to_string(), "redis://host:1", "{text}");
        }
    }

    #[test]
    fn ip_addresses_are_recognised_in_every_spelling() {
        assert_eq!(Address::new("redis", "::1", None).unwrap().to_string(), "redis://[::1]");
        assert_eq!(Address::new("redis", "[::1]", None).unwrap().to_string(), "redis://[::1]");
        assert_eq!(Address::new("redis", "127.1", None).unwrap().to_string(), "redis://127.0.0.1");
    }

    #[test]
    fn what_has_no_host_is_no_address() {
        assert!(Address::parse("", "redis").is_none());
        assert!(Address::parse("/path", "redis").is_none());
        assert!(Address::new("redis", "a b", None).is_none());
    }
}
