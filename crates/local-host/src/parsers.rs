//! The root of another crate, which holds what this one parses and nothing of wasmtime: building that with coverage
//! counters would take minutes. It is for the fuzz targets in `fuzz/`, and `fuzz/host-parsers/Cargo.toml` is its manifest.

mod allowed_hosts;
mod headers;
mod manifest;
mod route;
mod template;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use self::allowed_hosts::AllowedHosts;
use self::headers::RouteHeaders;
use self::manifest::{Manifest, TriggerTarget};
use self::route::{RoutePattern, Router};
use self::variables::{AppVariables, VariableSources};

mod postgres {
    mod address;

    pub(crate) fn permitted(
        allowed: &crate::AllowedHosts,
        address: &str,
    ) -> Result<tokio_postgres::Config, String> {
        let crate::bindings::postgres::Error::ConnectionFailed(message) =
            match address::permitted(allowed, address) {
                Ok(config) => return Ok(config),
                Err(error) => error,
            };
        Err(message)
    }
}

/// In place of the interfaces that wasmtime makes.
mod bindings {
    pub(crate) mod postgres {
        #[derive(Debug)]
        pub enum Error {
            ConnectionFailed(String),
        }
    }
}

/// Reads a manifest and all in it that is a language of its own: variables, allowed hosts, routes.
///
/// # Errors
/// What is wrong with it.
pub fn manifest(text: &str) -> anyhow::Result<()> {
    let manifest = Manifest::parse(text, PathBuf::new())?;
    let variables = AppVariables::resolve(&manifest.variables, &VariableSources::default())?;
    for (id, component) in &manifest.components {
        AllowedHosts::parse(id, &component.allowed_outbound_hosts, &variables)?;
        let _ = variables.for_component(&component.variables)?.get("postgres_host");
    }
    let mut routes = Vec::new();
    for trigger in &manifest.triggers {
        if let TriggerTarget::Static(response) = trigger.target()? {
            let _ = (&response.status_code, &response.headers, &response.body);
        }
        let pattern = RoutePattern::new(&trigger.route);
        RouteHeaders::new(&pattern)?;
        routes.push((pattern, ()));
    }
    Router::build(routes).map(|_| ())
}

/// Which of the routes answers a path, and what its `/...` stands for.
///
/// # Errors
/// The routes make no sense.
pub fn find(routes: &[&str], path: &str) -> anyhow::Result<Option<(usize, String)>> {
    let routes = routes.iter().enumerate().map(|(number, route)| (RoutePattern::new(route), number));
    let router = Router::build(routes)?;
    Ok(router.find(path).map(|found| (*found.target, found.trailing().into_owned())))
}

/// Gives a request the authority that components see, as the host does with each one.
///
/// # Errors
/// It names no host, or not clearly.
pub fn complete(head: &mut http::request::Parts) -> anyhow::Result<()> {
    headers::complete(head)
}

/// What a component with these `allowed_outbound_hosts` may reach.
pub struct Allowed(AllowedHosts);

impl Allowed {
    /// # Errors
    /// An entry makes no sense.
    pub fn parse(entries: &[String]) -> anyhow::Result<Self> {
        let variables = AppVariables::resolve(&BTreeMap::new(), &VariableSources::default())?;
        AllowedHosts::parse("web", entries, &variables).map(Self)
    }

    /// Whether it may reach what this address of a Redis seems to mean.
    #[must_use]
    pub fn redis(&self, address: &str) -> bool {
        self.0.allows_url(address, "redis")
    }

    /// Whether it may reach this port of this host.
    #[must_use]
    pub fn host(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        self.0.allows_host(scheme, host, port)
    }

    /// Where it would connect with this address of a Postgres, if it may.
    ///
    /// # Errors
    /// It may not, or the address makes no sense.
    pub fn postgres(&self, address: &str) -> Result<tokio_postgres::Config, String> {
        postgres::permitted(&self.0, address)
    }
}
