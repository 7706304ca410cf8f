//! Host names of settings.

use std::net::Ipv6Addr;

use shortlink_guest::settings::{SettingError, Variables, required};

/// Reads a variable that is a host. An IPv6 address has brackets, as in a URL: `spin.toml` makes addresses of the same value,
/// and Spin refuses them otherwise.
///
/// # Errors
/// [`SettingError`]
pub async fn host(variables: &impl Variables, name: &str) -> Result<String, SettingError> {
    let host = required(variables, name).await?;
    if host.contains([':', '[', ']']) && unbracketed(&host).is_none() {
        return Err(SettingError::unusable(name, "must be a host; an IPv6 address is written [::1]"));
    }
    Ok(host)
}

/// An IPv6 address without its brackets; `None` for any other host.
pub fn unbracketed(host: &str) -> Option<&str> {
    let inner = host.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().is_ok().then_some(inner)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::settings_fake::Map;

    #[test]
    fn an_ipv6_address_has_brackets() {
        let read = |value| block_on(host(&Map::with(&[("postgres_host", value)]), "postgres_host"));
        for value in ["[::1]", "db.example", "127.0.0.1"] {
            assert_eq!(read(value).unwrap(), value);
        }
        for value in ["::1", "[::1", "::1]", "db.example:5432", "[db.example]"] {
            assert!(read(value).unwrap_err().to_string().contains("[::1]"), "{value}");
        }
        assert_eq!((unbracketed("[fe80::2]"), unbracketed("db.example")), (Some("fe80::2"), None));
    }
}
