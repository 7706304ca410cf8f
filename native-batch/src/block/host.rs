//! A host, written as in the URLs that are stored.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;
use url::Host;

/// A host in lower case and punycode, without a dot at its end; an IPv6 address has brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedHost(String);

/// Why a text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// A URL, or a part of one.
    #[error("must be a host alone, without scheme, user and path")]
    Url,
    /// A port behind the host.
    #[error("must have no port: a host is blocked on every port")]
    Port,
    /// An IPv6 address without brackets.
    #[error("must have brackets around an IPv6 address, as in [::1]")]
    Brackets,
    /// A wildcard.
    #[error("must have no wildcard: the subdomains of a host are blocked with it")]
    Wildcard,
    /// Two dots in a row, or one at the beginning.
    #[error("must have no empty part between its dots")]
    EmptyLabel,
    /// Anything else.
    #[error("must be a host such as evil.example, 192.0.2.1 or [2001:db8::1]")]
    NotAHost,
}

impl BlockedHost {
    /// The host as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlockedHost {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.contains(['/', '@', '?', '#']) {
            return Err(HostError::Url);
        }
        if text.contains('*') {
            return Err(HostError::Wildcard);
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(HostError::Brackets);
        }
        if text.rsplit_once(':').is_some_and(|(host, port)| is_port(port) && Host::parse(host).is_ok()) {
            return Err(HostError::Port);
        }
        let host = Host::parse(text).map_err(|_| HostError::NotAHost)?.to_string();
        let host = host.strip_suffix('.').unwrap_or(&host);
        if host.split('.').any(str::is_empty) {
            return Err(HostError::EmptyLabel);
        }
        Ok(Self(host.to_owned()))
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for BlockedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use shortlink_core::TargetUrl;

    use super::*;

    #[test]
    fn a_host_is_written_as_in_the_urls_that_are_stored() {
        for (text, expected) in [
            ("evil.example", "evil.example"),
            ("Evil.Example.", "evil.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER。example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
            ("a_b.example", "a_b.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("0xC0000201", "192.0.2.1"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(text.parse::<BlockedHost>().unwrap().as_str(), expected, "{text}");
            let url = TargetUrl::parse(&format!("https://{text}/"), &[]).unwrap();
            assert_eq!(url.as_str().replace("./", "/"), format!("https://{expected}/"));
        }
    }

    #[test]
    fn what_is_no_host_alone_is_refused_with_the_reason() {
        for (text, error) in [
            ("https://evil.example", HostError::Url),
            ("evil.example/path", HostError::Url),
            ("me@evil.example", HostError::Url),
            ("evil.example:443", HostError::Port),
            ("[::1]:443", HostError::Port),
            ("evil.example:", HostError::Port),
            ("::1", HostError::Brackets),
            ("*.evil.example", HostError::Wildcard),
            ("evil..example", HostError::EmptyLabel),
            (".evil.example", HostError::EmptyLabel),
            ("evil.example..", HostError::EmptyLabel),
            (".", HostError::EmptyLabel),
            ("", HostError::NotAHost),
            ("evil example", HostError::NotAHost),
            ("192.0.2.256", HostError::NotAHost),
            ("[::1", HostError::NotAHost),
        ] {
            assert_eq!(text.parse::<BlockedHost>(), Err(error), "{text}");
        }
    }
}
