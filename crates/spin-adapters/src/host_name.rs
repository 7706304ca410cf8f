//! Host names of settings.

use std::{borrow::Cow, net::Ipv6Addr};

/// An IPv6 address as a URL spells it, in brackets; anything else as it is.
pub fn bracketed(host: &str) -> Cow<'_, str> {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]").into(),
        Err(_) => host.into(),
    }
}

/// An IPv6 address without the brackets that it may have; anything else as it is.
pub fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.filter(|inner| inner.parse::<Ipv6Addr>().is_ok()).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_may_be_spelled_with_and_without_brackets() {
        assert_eq!(["::1", "[::1]"].map(bare), ["::1", "::1"]);
        assert_eq!(["::1", "fe80::2"].map(bracketed), ["[::1]", "[fe80::2]"]);
        for host in ["db.example", "127.0.0.1", "[db.example]", "[::1", "::1]"] {
            assert_eq!((bare(host), bracketed(host).as_ref()), (host, host));
        }
    }
}
