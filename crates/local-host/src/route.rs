//! Which trigger answers a path. Matching is `routefinder`'s, the crate that Spin uses too, so that precedence
//! (exact before `:named` before `/...`) and the handling of trailing slashes cannot differ.

use std::borrow::Cow;
use std::collections::HashSet;

use anyhow::{anyhow, bail};

/// What Spin keeps for itself.
pub(crate) const RESERVED_PREFIX: &str = "/.well-known/spin/";

/// A trigger's `route`.
#[derive(Debug, Clone)]
pub(crate) struct RoutePattern {
    raw: String,
    based: String,
}

impl RoutePattern {
    pub(crate) fn new(raw: &str) -> Self {
        let absolute = if raw.starts_with('/') { raw.to_owned() } else { format!("/{raw}") };
        let based = absolute.strip_suffix('/').unwrap_or(&absolute).to_owned();
        Self { raw: raw.to_owned(), based }
    }

    /// As the manifest has it.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// With a slash at the beginning and none at the end.
    pub(crate) fn based(&self) -> &str {
        &self.based
    }

    /// As the manifest has it, without `/...`.
    pub(crate) fn raw_prefix(&self) -> &str {
        self.raw.strip_suffix("/...").unwrap_or(&self.raw)
    }

    /// The names of the `:named` segments.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.based.split('/').filter_map(|segment| segment.strip_prefix(':'))
    }

    fn spec(&self) -> Cow<'_, str> {
        match self.based.strip_suffix("/...") {
            Some(prefix) => Cow::Owned(format!("{prefix}/*")),
            None => Cow::Borrowed(&self.based),
        }
    }
}

/// All routes with what answers each.
pub(crate) struct Router<T> {
    routes: routefinder::Router<T>,
}

impl<T> Router<T> {
    /// # Errors
    ///
    /// A route that cannot be parsed, that is there twice, or that Spin keeps for itself.
    pub(crate) fn build(routes: impl IntoIterator<Item = (RoutePattern, T)>) -> anyhow::Result<Self> {
        let mut seen = HashSet::new();
        let mut matcher = routefinder::Router::new();
        for (pattern, target) in routes {
            let raw = pattern.raw();
            if pattern.based().starts_with(RESERVED_PREFIX) {
                bail!("route {raw}: {RESERVED_PREFIX} is the host's own");
            }
            // The matcher counts characters where it means bytes, and loses the slash behind a name.
            if !raw.is_ascii() {
                bail!("route {raw}: only ASCII will do, percent-encoded as in a request");
            }
            // The matcher takes such a route, and panics when a path gets that far.
            let spec = pattern.spec();
            if spec.trim_end_matches('/').split(['/', '.']).rev().skip(1).any(|part| part == "*") {
                bail!("route {raw}: only the end may be a wildcard");
            }
            if !seen.insert(pattern.spec().into_owned()) {
                bail!("route {raw} is there twice");
            }
            matcher.add(&*pattern.spec(), target).map_err(|error| anyhow!("route {raw}: {error}"))?;
        }
        Ok(Self { routes: matcher })
    }

    /// The best match for `path`, if any.
    pub(crate) fn find<'r, 'p>(&'r self, path: &'p str) -> Option<RouteMatch<'r, 'p, T>> {
        let found = self.routes.best_match(path)?;
        Some(RouteMatch { target: found.handler(), captures: found.captures(), path })
    }
}

/// A path that a route matched.
pub(crate) struct RouteMatch<'r, 'p, T> {
    pub(crate) target: &'r T,
    captures: routefinder::Captures<'r, 'p>,
    path: &'p str,
}

impl<T> RouteMatch<'_, '_, T> {
    /// What a `:named` segment matched.
    pub(crate) fn named(&self, name: &str) -> Option<&str> {
        self.captures.get(name)
    }

    /// What `/...` matched: empty, or beginning with a slash. A slash at the end of the path is kept.
    pub(crate) fn trailing(&self) -> Cow<'_, str> {
        let Some(rest) = self.captures.wildcard() else { return Cow::Borrowed("") };
        match (rest.is_empty(), self.path.ends_with('/')) {
            (true, false) => Cow::Borrowed(""),
            (true, true) => Cow::Borrowed("/"),
            (false, false) => Cow::Owned(format!("/{rest}")),
            (false, true) => Cow::Owned(format!("/{rest}/")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[&'static str]) -> Router<&'static str> {
        Router::build(routes.iter().map(|route| (RoutePattern::new(route), *route))).unwrap()
    }

    fn refusal(routes: &[&'static str]) -> String {
        match Router::build(routes.iter().map(|route| (RoutePattern::new(route), *route))) {
            Ok(_) => panic!("{routes:?} were accepted"),
            Err(error) => error.to_string(),
        }
    }

    fn found(router: &Router<&'static str>, path: &str) -> Option<&'static str> {
        router.find(path).map(|found| *found.target)
    }

    #[test]
    fn an_exact_route_beats_a_name_which_beats_a_wildcard() {
        let router = router(&["/...", "/v1/:code", "/v1/health", "/v1/health/ready", "/v1/..."]);
        for (path, expected) in [
            ("/v1/health", "/v1/health"),
            ("/v1/health/ready", "/v1/health/ready"),
            ("/v1/abc", "/v1/:code"),
            ("/v1/abc/def", "/v1/..."),
            ("/v1", "/v1/..."),
            ("/v2", "/..."),
            ("/", "/..."),
        ] {
            assert_eq!(found(&router, path), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_slash_at_the_end_changes_nothing() {
        let router = router(&["/", "/a", "/b/", "/c/:d"]);
        for (path, expected) in [
            ("/", Some("/")),
            ("/a", Some("/a")),
            ("/a/", Some("/a")),
            ("/b", Some("/b/")),
            ("/c/x/", Some("/c/:d")),
            ("/c", None),
            ("/a/b", None),
        ] {
            assert_eq!(found(&router, path), expected, "{path}");
        }
    }

    #[test]
    fn the_longest_wildcard_wins_in_any_order() {
        for routes in [["/a/...", "/a/b/..."], ["/a/b/...", "/a/..."]] {
            assert_eq!(found(&router(&routes), "/a/b/c"), Some("/a/b/..."));
        }
    }

    #[test]
    fn names_and_the_rest_of_the_path_are_captured() {
        let router = router(&["/u/:user/...", "/s/:code"]);
        assert_eq!(router.find("/s/a%2Fb").unwrap().named("code"), Some("a%2Fb"));
        for (path, rest) in [("/u/7", ""), ("/u/7/", "/"), ("/u/7/x/y", "/x/y"), ("/u/7/x/", "/x/")] {
            let found = router.find(path).unwrap();
            assert_eq!((found.named("user"), &*found.trailing()), (Some("7"), rest), "{path}");
        }
    }

    #[test]
    fn doubled_and_reserved_routes_are_refused() {
        assert!(refusal(&["/a", "/a/"]).contains("twice"));
        assert!(refusal(&["/.well-known/spin/x"]).contains("own"));
    }

    #[test]
    fn a_route_is_written_as_a_request_has_it() {
        assert!(refusal(&["/\u{fc}/:a/b"]).contains("ASCII"));
        assert_eq!(found(&router(&["/%C3%BC/:a/b"]), "/%C3%BC/x/b"), Some("/%C3%BC/:a/b"));
    }

    #[test]
    fn a_wildcard_stands_at_the_end_or_nowhere() {
        for route in ["/a/*/b", "/*/...", "/*.b", "/*."] {
            assert!(refusal(&[route]).contains("wildcard"), "{route}");
        }
        assert_eq!(found(&router(&["/a/*/"]), "/a/b/c"), Some("/a/*/"));
    }

    #[test]
    fn a_pattern_knows_its_forms() {
        let pattern = RoutePattern::new("a/:b/...");
        assert_eq!((pattern.raw(), pattern.based(), pattern.raw_prefix()), ("a/:b/...", "/a/:b/...", "a/:b"));
        assert_eq!(pattern.names().collect::<Vec<_>>(), ["b"]);
        assert_eq!(RoutePattern::new("/").based(), "");
    }
}
