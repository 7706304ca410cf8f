//! Which server an address means, and whether the component may reach it.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::allowed_hosts::AllowedHosts;
use crate::bindings::postgres::Error;

/// The address as the client understands it, if every server that it names is allowed.
pub(super) fn permitted(allowed: &AllowedHosts, address: &str) -> Result<Config, Error> {
    let config: Config = address.parse().map_err(|error| failed(format!("{error}")))?;
    // `hostaddr` says where to connect, whatever `host` says. Spin does not look at it: a component that uses it for more
    // than to spell an IPv6 address would reach any server there.
    for (index, addr) in config.get_hostaddrs().iter().enumerate() {
        let is_the_host = match config.get_hosts().get(index) {
            Some(Host::Tcp(name)) => name.trim_matches(['[', ']']).parse() == Ok(*addr),
            _ => false,
        };
        if !is_the_host {
            return Err(failed("hostaddr is not the address that host names".to_owned()));
        }
    }
    for (index, host) in config.get_hosts().iter().enumerate() {
        let Host::Tcp(name) = host else {
            return Err(failed("Unix sockets are not supported".to_owned()));
        };
        // One port is for all hosts; otherwise there is one for each.
        let port = match config.get_ports() {
            [only] => Some(*only),
            ports => ports.get(index).copied(),
        };
        // Checked as the text of a URL, as Spin does: an IPv6 address without brackets is none.
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        if !allowed.allows_url(&format!("{name}{port}"), "postgres") {
            return Err(failed(format!("address postgres://{name}{port} is not permitted")));
        }
    }
    Ok(config)
}

fn failed(message: String) -> Error {
    Error::ConnectionFailed(message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::variables::{AppVariables, VariableSources};

    fn check(address: &str) -> Result<(), String> {
        let variables = AppVariables::resolve(&BTreeMap::new(), &VariableSources::default()).unwrap();
        let entries =
            ["postgres://db:5432", "postgres://db2:6000", "postgres://[::1]:5432"].map(str::to_owned);
        let allowed = AllowedHosts::parse("web", &entries, &variables).unwrap();
        match permitted(&allowed, address) {
            Ok(_) => Ok(()),
            Err(Error::ConnectionFailed(message)) => Err(message),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn every_server_of_an_address_must_be_allowed() {
        for allowed in [
            "postgres://u:p@db/x",
            "postgresql://u:p@db:5432/x",
            "postgres://u:p@db:5432,db2:6000/x",
            "host=db user=u",
        ] {
            assert_eq!(check(allowed), Ok(()), "{allowed}");
        }
        let refused = |address| check(address).unwrap_err();
        assert_eq!(refused("postgres://u@db:5433/x"), "address postgres://db:5433 is not permitted");
        assert_eq!(refused("host=other user=u"), "address postgres://other is not permitted");
        assert_eq!(
            refused("postgres://u@db:5432,db2:5432/x"),
            "address postgres://db2:5432 is not permitted"
        );
    }

    #[test]
    fn an_ipv6_address_has_brackets_as_host_and_none_as_hostaddr() {
        assert_eq!(check("host=[::1] hostaddr=::1 port=5432 user=u"), Ok(()));
        assert!(check("host=[::1] hostaddr=::2 port=5432 user=u").unwrap_err().contains("hostaddr"));
        assert!(check("host=::1 port=5432 user=u").unwrap_err().contains("not permitted"));
        assert!(check("postgres://u@[::1]:5432/x").unwrap_err().contains("not permitted"));
    }

    #[test]
    fn there_is_no_way_around_the_check() {
        assert!(check("host=db hostaddr=10.0.0.1 user=u").unwrap_err().contains("hostaddr"));
        assert!(check("hostaddr=10.0.0.1 user=u").unwrap_err().contains("hostaddr"));
        assert!(check("host=/var/run/postgresql user=u").unwrap_err().contains("Unix"));
        assert!(check("no address").is_err());
    }
}
