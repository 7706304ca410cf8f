//! Which port each piece listens on, and whether it is free.

use std::collections::HashSet;
use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

const IN_USE: &str = "is in use: stop what uses it, or choose another port";

/// A piece of the stack that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// nginx, the front door.
    Proxy,
    /// The host of the components.
    Api,
    /// Postgres.
    Postgres,
    /// The Redis that caches links.
    Cache,
    /// The Redis that holds the pool of codes.
    Codes,
}

impl Piece {
    const ALL: [Self; 5] = [Self::Proxy, Self::Api, Self::Postgres, Self::Cache, Self::Codes];

    /// The environment variable that changes this piece's port.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Proxy => "SHORT_LINK_PROXY_PORT",
            Self::Api => "SHORT_LINK_API_PORT",
            Self::Postgres => "SHORT_LINK_POSTGRES_PORT",
            Self::Cache => "SHORT_LINK_CACHE_PORT",
            Self::Codes => "SHORT_LINK_CODES_PORT",
        }
    }

    /// What a person calls this piece.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Proxy => "nginx, the front door",
            Self::Api => "the host of the components",
            Self::Postgres => "Postgres",
            Self::Cache => "Redis, the cache",
            Self::Codes => "Redis, the pool of codes",
        }
    }
}

/// One port for each piece, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// `SHORT_LINK_PROXY_PORT` (8080).
    pub proxy: u16,
    /// `SHORT_LINK_API_PORT` (8000).
    pub api: u16,
    /// `SHORT_LINK_POSTGRES_PORT` (5432).
    pub postgres: u16,
    /// `SHORT_LINK_CACHE_PORT` (6379).
    pub cache: u16,
    /// `SHORT_LINK_CODES_PORT` (6380).
    pub codes: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { proxy: 8080, api: 8000, postgres: 5432, cache: 6379, codes: 6380 }
    }
}

impl Ports {
    /// The defaults, changed by the environment.
    ///
    /// # Errors
    /// A variable that is no port, or two pieces on one port.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| env::var(name).ok())
    }

    /// Five ports that nobody listens on.
    ///
    /// # Errors
    /// None could be found.
    pub fn free() -> Result<Self> {
        Ok(Self {
            proxy: free_port()?,
            api: free_port()?,
            postgres: free_port()?,
            cache: free_port()?,
            codes: free_port()?,
        })
    }

    /// The port of one piece.
    #[must_use]
    pub fn of(&self, piece: Piece) -> u16 {
        match piece {
            Piece::Proxy => self.proxy,
            Piece::Api => self.api,
            Piece::Postgres => self.postgres,
            Piece::Cache => self.cache,
            Piece::Codes => self.codes,
        }
    }

    /// Refuses when somebody already listens on one of the ports, naming the port and the variable that changes it.
    ///
    /// # Errors
    /// Every port that cannot be used, in one message.
    pub fn check_free(&self) -> Result<()> {
        let taken: Vec<String> = Piece::ALL
            .into_iter()
            .filter_map(|piece| {
                let port = self.of(piece);
                let cause = unusable(port)?;
                let variable = piece.variable();
                Some(format!("port {port} for {} {cause}; {variable} changes it", piece.title()))
            })
            .collect();
        ensure!(taken.is_empty(), "{}", taken.join("\n"));
        Ok(())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut ports = Self::default();
        for piece in Piece::ALL {
            let Some(text) = variable(piece.variable()).filter(|text| !text.is_empty()) else { continue };
            let port = parse(&text).with_context(|| format!("{} is {text:?}", piece.variable()))?;
            match piece {
                Piece::Proxy => ports.proxy = port,
                Piece::Api => ports.api = port,
                Piece::Postgres => ports.postgres = port,
                Piece::Cache => ports.cache = port,
                Piece::Codes => ports.codes = port,
            }
        }
        ports.check_distinct()?;
        Ok(ports)
    }

    fn check_distinct(&self) -> Result<()> {
        for (index, first) in Piece::ALL.into_iter().enumerate() {
            for second in Piece::ALL.into_iter().skip(index + 1) {
                let port = self.of(first);
                ensure!(
                    port != self.of(second),
                    "{} and {} are both {port}: each piece needs its own port",
                    first.variable(),
                    second.variable()
                );
            }
        }
        Ok(())
    }
}

fn parse(text: &str) -> Result<u16> {
    match text.trim().parse() {
        Ok(0) | Err(_) => bail!("a port is a number from 1 to 65535"),
        Ok(port) => Ok(port),
    }
}

/// A port on 127.0.0.1 that nobody listens on, and that this process has not handed out before.
///
/// It lies below the range from which systems pick the ports of outgoing connections, so that none of those takes it
/// before its server starts.
///
/// # Errors
/// No free port among many tries.
pub fn free_port() -> Result<u16> {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    for _ in 0..500 {
        let mut random = [0; 2];
        getrandom::fill(&mut random).context("the system gives no random bytes")?;
        let port = 12_000 + u16::from_ne_bytes(random) % 20_000;
        if unusable(port).is_none() && GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
    bail!("found no free port between 12000 and 32000")
}

/// Why a server could not listen on the port, if so. A connection is tried as well: some systems allow to bind an
/// address beside a server that listens on all of them.
fn unusable(port: u16) -> Option<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Some(IN_USE.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Some("is not allowed to this user".to_owned())
        }
        Err(error) => Some(format!("cannot be used ({error})")),
        Ok(listener) => {
            drop(listener);
            TcpStream::connect_timeout(&address, Duration::from_millis(200))
                .is_ok()
                .then(|| IN_USE.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Ports> {
        Ports::from_variables(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_variables_the_ports_are_the_documented_ones() {
        assert_eq!(from(&[("SHORT_LINK_API_PORT", "")]).unwrap(), Ports::default());
    }

    #[test]
    fn a_variable_changes_its_own_port_only() {
        let ports = from(&[("SHORT_LINK_CODES_PORT", "7000")]).unwrap();
        assert_eq!(ports, Ports { codes: 7000, ..Ports::default() });
    }

    #[test]
    fn what_is_no_port_is_refused_by_the_variables_name() {
        for text in ["0", "-1", "65536", "http", "80 80"] {
            let error = from(&[("SHORT_LINK_PROXY_PORT", text)]).unwrap_err();
            assert!(format!("{error:#}").contains("SHORT_LINK_PROXY_PORT"), "{error:#}");
        }
    }

    #[test]
    fn two_pieces_on_one_port_are_refused() {
        let error = from(&[("SHORT_LINK_CODES_PORT", "6379")]).unwrap_err().to_string();
        assert!(error.contains("SHORT_LINK_CACHE_PORT and SHORT_LINK_CODES_PORT"), "{error}");
    }

    #[test]
    fn a_port_in_use_is_named_with_its_piece_and_variable() {
        let ports = Ports::free().unwrap();
        ports.check_free().unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, ports.postgres)).unwrap();
        let error = ports.check_free().unwrap_err().to_string();
        let expected = format!("port {} for Postgres is in use", ports.postgres);
        assert!(error.contains(&expected) && error.contains("SHORT_LINK_POSTGRES_PORT"), "{error}");
    }
}
