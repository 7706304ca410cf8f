//! `local-host`: the manifest, routes, the authority of a request, and what a component may reach.

use http::{HeaderValue, Request};
use shortlink_host_parsers::{Allowed, complete, find, manifest};
use tokio_postgres::config::Host;

/// A manifest is read or refused.
pub fn manifests(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = manifest(text) {
        assert!(!format!("{error:#}").is_empty());
    }
}

/// The first line is a path, the second a `Host` header, the rest are routes.
pub fn requests(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let (path, host) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let routes: Vec<&str> = lines.collect();
    let is_path = path.starts_with('/');
    if is_path && let Ok(Some((number, trailing))) = find(&routes, path) {
        assert!(routes[number].contains(['*', '.']) || trailing.is_empty());
        assert!(trailing.is_empty() || trailing.starts_with('/'));
    }
    let Ok(request) = Request::builder().uri(path).body(()) else { return };
    let mut head = request.into_parts().0;
    if let Ok(value) = HeaderValue::from_bytes(host.as_bytes()) {
        head.headers.insert("host", value);
    }
    let before = head.uri.clone();
    if complete(&mut head).is_ok() {
        let authority = head.uri.authority().expect("a completed request has an authority");
        assert!(!authority.host().ends_with(".spin.internal"), "from outside nobody calls a component");
        assert_eq!(head.uri.path_and_query(), before.path_and_query());
    }
}

/// The first line is an address, the rest are entries of `allowed_outbound_hosts`. What is allowed is where it leads.
pub fn addresses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (address, entries) = text.split_once('\n').unwrap_or((text, "postgres://db:5432"));
    let entries: Vec<String> = entries.split('\n').map(str::to_owned).collect();
    let Ok(allowed) = Allowed::parse(&entries) else { return };
    let _ = allowed.redis(address);
    let Ok(config) = allowed.postgres(address) else { return };
    for (index, addr) in config.get_hostaddrs().iter().enumerate() {
        let Host::Tcp(name) = &config.get_hosts()[index] else { panic!("{config:?}") };
        assert_eq!(name.trim_matches(['[', ']']).parse(), Ok(*addr), "{config:?}");
    }
    for (index, host) in config.get_hosts().iter().enumerate() {
        let Host::Tcp(name) = host else { panic!("{host:?} was permitted") };
        let port = config.get_ports().get(index).or(config.get_ports().first()).copied();
        // What is no host is never reached, whatever Spin makes of its text.
        let is_host = url::Host::parse(name).is_ok();
        assert!(
            !is_host || allowed.host("postgres", name, port),
            "{name} {port:?} was permitted by {entries:?}"
        );
    }
}
