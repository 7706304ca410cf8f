//! What the host tells a component about a request beside what the client sent.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, request};

use crate::route::{RouteMatch, RoutePattern};

const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");

/// The headers that are the same for all requests of a route.
pub(crate) struct RouteHeaders {
    fixed: [(HeaderName, HeaderValue); 4],
    /// A `:named` segment and its header.
    named: Vec<(String, HeaderName)>,
}

impl RouteHeaders {
    pub(crate) fn new(pattern: &RoutePattern) -> anyhow::Result<Self> {
        let value =
            |text: &str| HeaderValue::from_str(text).with_context(|| format!("route {}", pattern.raw()));
        let named = pattern.names().map(|name| {
            let header = format!("spin-path-match-{}", name.to_ascii_lowercase().replace('_', "-"));
            let header = header.parse().with_context(|| format!("route {}: `:{name}`", pattern.raw()))?;
            Ok((name.to_owned(), header))
        });
        Ok(Self {
            fixed: [
                (MATCHED_ROUTE, value(pattern.based())?),
                (BASE_PATH, HeaderValue::from_static("/")),
                (RAW_COMPONENT_ROUTE, value(pattern.raw())?),
                (COMPONENT_ROUTE, value(pattern.raw_prefix())?),
            ],
            named: named.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Sets the headers, in place of any by these names that the client sent.
    pub(crate) fn insert<T>(
        &self,
        headers: &mut HeaderMap,
        found: &RouteMatch<'_, '_, T>,
        uri: &Uri,
        client: &ClientAddress,
    ) {
        headers.reserve(self.fixed.len() + self.named.len() + 3);
        for (name, value) in &self.fixed {
            headers.insert(name, value.clone());
        }
        headers.insert(CLIENT_ADDR, client.0.clone());
        insert_text(headers, &PATH_INFO, &found.trailing());
        insert_text(headers, &FULL_URL, &uri.to_string());
        for (name, header) in &self.named {
            insert_text(headers, header, found.named(name).unwrap_or_default());
        }
    }
}

/// A part of a URI can hold bytes that a header cannot; then there is no header.
fn insert_text(headers: &mut HeaderMap, name: &HeaderName, text: &str) {
    match HeaderValue::from_maybe_shared(Bytes::copy_from_slice(text.as_bytes())) {
        Ok(value) => drop(headers.insert(name, value)),
        Err(_) => drop(headers.remove(name)),
    }
}

/// The client's address, as a header's value.
#[derive(Clone)]
pub(crate) struct ClientAddress(HeaderValue);

impl ClientAddress {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(HeaderValue::from_str(&address.to_string()).expect("addresses are ASCII"))
    }
}

/// Gives the request the scheme and authority that components see, and takes away what concerns the connection only.
///
/// # Errors
///
/// The request does not say, or not clearly, which host it is for.
pub(crate) fn complete(head: &mut request::Parts) -> anyhow::Result<()> {
    head.headers.remove(CONNECTION);
    let authority = authority(head)?;
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    head.uri = Uri::from_parts(parts)?;
    Ok(())
}

fn authority(head: &request::Parts) -> anyhow::Result<Authority> {
    let host = match head.headers.get(HOST) {
        Some(host) => {
            let bytes = Bytes::copy_from_slice(host.as_bytes());
            Some(Authority::from_maybe_shared(bytes).context("the Host header is no authority")?)
        }
        None => None,
    };
    let authority = match (host, head.uri.authority()) {
        (Some(host), Some(authority)) if host != *authority => {
            bail!("the Host header and the request's target name different hosts")
        }
        (Some(host), _) => host,
        (None, Some(authority)) => authority.clone(),
        (None, None) => bail!("there is no Host header"),
    };
    // Spin's way for one component to call another; from outside it must not look like one.
    ensure!(!authority.host().ends_with(".spin.internal"), "the host is internal");
    Ok(authority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Router;

    fn head(uri: &str, headers: &[(&str, &str)]) -> request::Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn completed(uri: &str, headers: &[(&str, &str)]) -> anyhow::Result<String> {
        let mut head = head(uri, headers);
        complete(&mut head)?;
        assert!(!head.headers.contains_key(CONNECTION));
        Ok(head.uri.to_string())
    }

    #[test]
    fn the_host_is_the_headers_or_the_targets() {
        let host = ("host", "a.example:1");
        assert_eq!(completed("/x?y", &[host, ("connection", "close")]).unwrap(), "http://a.example:1/x?y");
        assert_eq!(completed("http://a.example:1/x", &[]).unwrap(), "http://a.example:1/x");
        assert_eq!(completed("http://a.example:1/x", &[host]).unwrap(), "http://a.example:1/x");
        assert_eq!(completed("http://A.EXAMPLE:1", &[host]).unwrap(), "http://a.example:1/");
    }

    #[test]
    fn a_request_for_no_clear_host_is_refused() {
        for (uri, headers) in [
            ("/x", vec![]),
            ("/x", vec![("host", "a b")]),
            ("/x", vec![("host", "")]),
            ("/x", vec![("host", "b.spin.internal")]),
            ("http://b.spin.internal/x", vec![]),
            ("http://a.example/x", vec![("host", "b.example")]),
            ("a.example:80", vec![("host", "a.example:80")]),
        ] {
            assert!(completed(uri, &headers).is_err(), "{uri} {headers:?}");
        }
    }

    #[test]
    fn a_component_learns_route_path_and_client() {
        let pattern = RoutePattern::new("/u/:user_id/...");
        let route = RouteHeaders::new(&pattern).unwrap();
        let router = Router::build([(pattern, ())]).unwrap();
        let client = ClientAddress::new("127.0.0.1:9".parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.append("spin-client-addr", HeaderValue::from_static("forged"));
        let uri: Uri = "http://h/u/7/x/?q".parse().unwrap();
        route.insert(&mut headers, &router.find(uri.path()).unwrap(), &uri, &client);
        for (name, expected) in [
            ("spin-path-info", "/x/"),
            ("spin-full-url", "http://h/u/7/x/?q"),
            ("spin-matched-route", "/u/:user_id/..."),
            ("spin-base-path", "/"),
            ("spin-raw-component-route", "/u/:user_id/..."),
            ("spin-component-route", "/u/:user_id"),
            ("spin-client-addr", "127.0.0.1:9"),
            ("spin-path-match-user-id", "7"),
        ] {
            let values: Vec<_> = headers.get_all(name).iter().collect();
            assert_eq!(values, [expected], "{name}");
        }
    }
}
