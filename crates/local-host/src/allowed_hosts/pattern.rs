//! One entry of `allowed_outbound_hosts`: `scheme://host:port`, each of which may be a wildcard.

use std::ops::Range;

use anyhow::{Context, bail, ensure};
use url::Host;

use super::address::{Address, default_port};
use super::network::Network;

/// An entry, parsed.
#[derive(Debug)]
pub(crate) struct HostPattern {
    /// `None` for any.
    scheme: Option<String>,
    host: HostPart,
    ports: PortPart,
}

#[derive(Debug)]
enum HostPart {
    Any,
    /// `.example.com` for `*.example.com`.
    Subdomains(String),
    Exactly(Host),
    Network(Network),
    /// The application itself, which no Redis or Postgres address can mean.
    Itself,
}

#[derive(Debug)]
enum PortPart {
    Any,
    Exactly(u16),
    Within(Range<u16>),
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let text = text.trim();
        let (scheme, rest) = text
            .split_once("://")
            .context("must be scheme://host[:port], with `*` for any scheme, host or port")?;
        let (host, port) = split_port(rest);
        Ok(Self {
            scheme: parse_scheme(scheme)?,
            host: HostPart::parse(host)?,
            ports: PortPart::parse(port, scheme)?,
        })
    }

    pub(crate) fn matches(&self, address: &Address) -> bool {
        self.scheme.as_ref().is_none_or(|scheme| *scheme == address.scheme)
            && self.host.matches(&address.host)
            && self.ports.matches(address.effective_port())
    }
}

/// Host and port; the port is empty if there is none. `[::1]` and a CIDR's prefix hold no port.
fn split_port(rest: &str) -> (&str, &str) {
    match rest.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && HostPart::parse(rest).is_err() => {
            (host, port.strip_suffix('/').unwrap_or(port))
        }
        Some((host, "")) => (host, ""),
        _ => (rest, ""),
    }
}

fn parse_scheme(scheme: &str) -> anyhow::Result<Option<String>> {
    if scheme == "*" {
        return Ok(None);
    }
    ensure!(
        !scheme.is_empty() && scheme.chars().all(char::is_alphabetic),
        "the scheme `{scheme}` is neither `*` nor made of letters"
    );
    Ok(Some(scheme.to_owned()))
}

impl HostPart {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let text = text.trim();
        match text {
            "*" => return Ok(Self::Any),
            "self" | "self.alt" => return Ok(Self::Itself),
            _ => {}
        }
        if let Some(network) = Network::parse(text) {
            return Ok(Self::Network(network));
        }
        let text = text.strip_suffix('/').unwrap_or(text);
        ensure!(!text.contains('/'), "the host `{text}` has a path behind it");
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        ensure!(!name.contains('*'), "in the host `{text}` a `*` may only stand for whole leading parts");
        let host = Host::parse(name).with_context(|| format!("`{text}` is no host"))?;
        match (wildcard, host) {
            (false, host) => Ok(Self::Exactly(host)),
            (true, Host::Domain(domain)) => Ok(Self::Subdomains(format!(".{domain}"))),
            (true, _) => bail!("an IP address has no subdomains: `{text}`"),
        }
    }

    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Subdomains(suffix), Host::Domain(domain)) => domain.ends_with(suffix),
            (Self::Exactly(exact), host) => exact == host,
            (Self::Network(network), Host::Ipv4(ip)) => network.contains((*ip).into()),
            (Self::Network(network), Host::Ipv6(ip)) => network.contains((*ip).into()),
            (Self::Subdomains(_) | Self::Network(_) | Self::Itself, _) => false,
        }
    }
}

impl PortPart {
    fn parse(text: &str, scheme: &str) -> anyhow::Result<Self> {
        let number = |text: &str| text.parse::<u16>().with_context(|| format!("`{text}` is no port"));
        match text {
            "" => default_port(scheme)
                .map(Self::Exactly)
                .with_context(|| format!("there is no port, and `{scheme}` does not stand for one")),
            "*" => Ok(Self::Any),
            _ => match text.split_once("..") {
                Some((from, to)) => Ok(Self::Within(number(from)?..number(to)?)),
                None => Ok(Self::Exactly(number(text)?)),
            },
        }
    }

    fn matches(&self, port: Option<u16>) -> bool {
        match (self, port) {
            (Self::Any, _) => true,
            (Self::Exactly(exact), Some(port)) => *exact == port,
            (Self::Within(range), Some(port)) => range.contains(&port),
            (_, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, address: &str) -> bool {
        HostPattern::parse(pattern).unwrap().matches(&Address::parse(address, "x").unwrap())
    }

    #[test]
    fn scheme_host_and_port_all_count() {
        for (pattern, address, expected) in [
            ("redis://cache:6379", "redis://cache:6379", true),
            ("redis://cache", "redis://cache", true),
            ("redis://cache/", "redis://cache:6379", true),
            ("redis://cache:6379/", "redis://cache", true),
            ("redis://cache:6380", "redis://cache", false),
            ("rediss://cache:6379", "redis://cache:6379", false),
            ("redis://cache:6379", "redis://other:6379", false),
            ("*://*:*", "anything://at.all:1", true),
            ("*://cache:6379", "rediss://cache:6379", true),
            ("redis://cache:*", "redis://cache:1", true),
            ("redis://cache:10..12", "redis://cache:11", true),
            ("redis://cache:10..12", "redis://cache:12", false),
            ("redis://*.example.com:1", "redis://a.b.example.com:1", true),
            ("redis://*.example.com:1", "redis://example.com:1", false),
            ("redis://*:6379", "redis://10.1.2.3", true),
            ("redis://self:6379", "redis://self:6379", false),
        ] {
            assert_eq!(matches(pattern, address), expected, "{pattern} {address}");
        }
    }

    #[test]
    fn networks_hold_their_addresses_and_no_names() {
        for (pattern, address, expected) in [
            ("redis://10.0.0.0/8:6379", "redis://10.9.8.7", true),
            ("redis://10.0.0.0/8", "redis://11.0.0.1", false),
            ("redis://0.0.0.0/0:6379", "redis://11.0.0.1", true),
            ("redis://10.0.0.1/32:6379", "redis://10.0.0.1", true),
            ("redis://10.0.0.0/8:6379", "redis://ten.example", false),
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379", true),
            ("redis://[::1]:6379", "redis://[::1]", true),
            ("redis://[::1]", "redis://[::1]", true),
        ] {
            assert_eq!(matches(pattern, address), expected, "{pattern} {address}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            "*",
            "cache",
            "cache:6379",
            "insecure:allow-all",
            "://cache:1",
            "rediss://cache",
            "redis://cache:port",
            "redis://cache:99999",
            "redis://cache:6379/path",
            "redis://cache/path",
            "redis://a*b:1",
            "redis://*.*.com:1",
            "redis://*.10.0.0.1:1",
            "redis://10.0.0.0/33:1",
            "re-dis://cache:1",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
