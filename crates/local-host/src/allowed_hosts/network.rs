//! A range of IP addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `10.0.0.0/8`, `fd00::/8`.
#[derive(Debug)]
pub(super) struct Network {
    base: IpAddr,
    prefix: u32,
}

impl Network {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/')?;
        let (base, prefix): (IpAddr, u32) = (base.parse().ok()?, prefix.parse().ok()?);
        let longest = if base.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
        (prefix <= longest).then_some(Self { base, prefix })
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        match (self.base, ip) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                (base.to_bits() ^ ip.to_bits()).checked_shr(Ipv4Addr::BITS - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                (base.to_bits() ^ ip.to_bits()).checked_shr(Ipv6Addr::BITS - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_decides() {
        for (network, ip, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("10.0.0.1/32", "10.0.0.2", false),
            ("fd00::/8", "fdff::1", true),
            ("::/0", "fe80::1", true),
            ("::/0", "10.0.0.1", false),
            ("::1/128", "::2", false),
        ] {
            assert_eq!(
                Network::parse(network).unwrap().contains(ip.parse().unwrap()),
                expected,
                "{network} {ip}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_none() {
        for text in ["10.0.0.1", "10.0.0.0/33", "::/129", "a/8", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(Network::parse(text).is_none(), "{text}");
        }
    }
}
