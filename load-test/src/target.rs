//! Where the load goes. A load test of somebody else's machine is an attack, so it only goes to this one.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use url::{Host, Url};

/// The base of a service on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// Accepts `http://` with a loopback address or `localhost`, and nothing behind the port.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text).context("not a URL such as http://127.0.0.1:8080")?;
        ensure!(url.scheme() == "http", "only http:// is tested: the service does not speak TLS itself");
        let local = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        ensure!(local, "only this machine may be tested: give 127.0.0.1, [::1] or localhost");
        ensure!(
            url.username().is_empty() && url.password().is_none(),
            "without a user or a password, please"
        );
        ensure!(
            url.path() == "/" && url.query().is_none() && url.fragment().is_none(),
            "without a path, please"
        );
        Ok(Self(url))
    }

    /// The URL of a path of the service.
    ///
    /// # Errors
    /// The path is none.
    pub fn join(&self, path: &str) -> Result<Url> {
        Ok(self.0.join(path)?)
    }

    /// The base itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_accepted() {
        for text in
            ["http://127.0.0.1:8080", "http://127.1.2.3", "http://[::1]:80/", "http://localhost:8080/"]
        {
            assert!(Target::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_other_machine_is_refused() {
        let texts = [
            "http://example.com",
            "http://10.0.0.1:8080",
            "http://0.0.0.0:8080",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com",
            "http://[2001:db8::1]",
            "http://169.254.0.1",
        ];
        for text in texts {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains("only this machine"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for text in ["127.0.0.1:8080", "https://127.0.0.1", "http://127.0.0.1/v1", "http://me@127.0.0.1", ""]
        {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }
}
