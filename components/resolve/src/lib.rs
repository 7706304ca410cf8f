//! `GET /{code}` and `GET /v1/shortlink/{code}`: redirect to a link's target. `GET /{code}+`: says where the link leads.
//!
//! A link that this instance resolved in the last seconds is in its memory ([`HotLinks`]). Any other one is looked up by
//! [`resolve_link`]: in the redirect cache in Redis, then in Postgres, which fills the cache.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a panic in a guest fails the requests beside it too"
    )
)]

mod answers;
mod bindings;

use std::{cell::OnceCell, rc::Rc, time::Duration};

use shortlink_core::{
    Code, CodeError, HotLinks, Link, Lookup, NewLink, Timestamp, is_reserved,
    ports::{Claim, LinkStore, StoreError},
    resolve_link,
};
use shortlink_guest::{
    answer::{Answer, LINKS},
    deadline::Deadline,
    host,
    http::{self, Incoming, Prepared, Verb},
    instance::{self, Slot},
    settings::{AllowedOrigins, CachingSettings, SettingError, SpinVariables},
};
use shortlink_spin_adapters::{
    postgres::{Postgres, PostgresSettings, PostgresStore, Preview},
    redis::{Redis, RedisCache, RedisSettings},
};
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

const METHODS: &str = "GET, HEAD, OPTIONS";
/// How long a request may take until its last statement begins. That statement takes 4 s at most, and a front door waits
/// for 15 s.
const BUDGET: Duration = Duration::from_secs(10);

struct State {
    caching: CachingSettings,
    origins: AllowedOrigins,
    hot: HotLinks<Rc<HotLink>>,
    cache: RedisCache,
    store: PostgresStore,
}

/// A link in the instance's memory.
struct HotLink {
    link: Link,
    /// Its redirect, once a second request has asked for it, for as long as it is the same for everybody.
    prepared: OnceCell<Prepared>,
}

thread_local! {
    static STATE: Slot<State> = const { Slot::new() };
}

impl State {
    async fn build() -> Result<Self, SettingError> {
        let variables = &SpinVariables;
        let caching = CachingSettings::read(variables).await?;
        Ok(Self {
            hot: HotLinks::new(caching.hot_link_ttl),
            caching,
            origins: AllowedOrigins::read(variables).await?,
            cache: RedisCache::new(Redis::new(RedisSettings::read(variables, "redis_cache").await?)),
            // It creates no links, and needs no quarantine for their codes.
            store: PostgresStore::new(Postgres::new(PostgresSettings::read(variables).await?), 0),
        })
    }

    async fn respond(
        &self,
        request: Incoming,
        place: Place,
        deadline: Deadline,
    ) -> Result<Response, ErrorCode> {
        let origin = request.origin(&self.origins);
        let answer = match request.verb() {
            Verb::Get => match place {
                Place::Link(code) => {
                    let now = host::now();
                    match self.hot.get(&code, now) {
                        Some(hot) => return self.redirect_hot(&hot, now, origin.as_deref()),
                        None => self.resolve(&code, now, deadline).await.unwrap_or_else(|refusal| refusal),
                    }
                }
                Place::Preview(code) => self.preview(&code, deadline).await,
                Place::NoCode(error) => answers::not_a_code(error),
            },
            Verb::Options => Answer::options(METHODS),
            Verb::Post | Verb::Patch | Verb::Delete | Verb::Other => {
                request.refuse(Answer::wrong_method(METHODS)).await
            }
        };
        http::response(answer.with_cors(&self.origins, origin.as_deref()))
    }

    /// The answer for a code that is not in the instance's memory.
    async fn resolve(&self, code: &Code, asked: Timestamp, deadline: Deadline) -> Result<Answer, Answer> {
        let store = MemoryFirst { hot: &self.hot, asked, store: self.store.until(deadline) };
        let lookup = resolve_link(code, asked, self.caching.cache_ttl, &self.cache, &store).await;
        match lookup.map_err(|error| Answer::store_failed("resolve", &error))? {
            Lookup::Live(link) => {
                // The look-up may have taken seconds, in which the link came nearer to its end.
                let now = host::now();
                if link.expiry.is_expired(now) {
                    return Err(answers::expired());
                }
                let answer = answers::redirect(&link, now, self.caching.redirect);
                let expiry = link.expiry;
                self.hot.put(code, Rc::new(HotLink { link, prepared: OnceCell::new() }), expiry, asked);
                Ok(answer)
            }
            Lookup::Expired => Err(answers::expired()),
            Lookup::Unknown => Err(answers::unknown()),
        }
    }

    /// What the link of a code is. Only Postgres knows all of it.
    async fn preview(&self, code: &Code, deadline: Deadline) -> Answer {
        match self.store.until(deadline).preview(code).await {
            Ok(Preview::Live(link)) => answers::preview(code, &link),
            Ok(Preview::Expired) => answers::expired(),
            Ok(Preview::Unknown) => answers::unknown(),
            Err(error) => Answer::store_failed("preview", &error),
        }
    }

    /// The redirect to a link in the instance's memory: the same response again, where it is the same for everybody.
    fn redirect_hot(
        &self,
        hot: &HotLink,
        now: Timestamp,
        origin: Option<&str>,
    ) -> Result<Response, ErrorCode> {
        let caching = self.caching.redirect;
        let answer = || answers::redirect(&hot.link, now, caching).with_cors(&self.origins, origin);
        if self.origins != AllowedOrigins::Any || caching.is_cut_by(hot.link.expiry, now) {
            return http::response(answer());
        }
        if let Some(prepared) = hot.prepared.get() {
            prepared.response()
        } else {
            let prepared = Prepared::new(answer())?;
            hot.prepared.get_or_init(|| prepared).response()
        }
    }
}

/// The store behind the instance's memory, which another request may have filled while this one asked the cache: when a hot
/// link leaves the cache, most requests for it would ask Postgres otherwise.
struct MemoryFirst<'a, S> {
    hot: &'a HotLinks<Rc<HotLink>>,
    asked: Timestamp,
    store: S,
}

impl<S: LinkStore> LinkStore for MemoryFirst<'_, S> {
    async fn create(&self, link: &NewLink) -> Result<Claim, StoreError> {
        self.store.create(link).await
    }

    async fn find(&self, code: &Code) -> Result<Lookup, StoreError> {
        match self.hot.get(code, self.asked) {
            Some(hot) => Ok(Lookup::Live(hot.link.clone())),
            None => self.store.find(code).await,
        }
    }
}

/// Answers a request.
async fn respond(request: Request) -> Result<Response, ErrorCode> {
    let deadline = Deadline::after(BUDGET);
    let request = Incoming::new(request);
    let path = request.path();
    let Some(place) = Place::at(&path) else {
        return http::response(request.refuse(Answer::no_such_path()).await);
    };
    match instance::state(&STATE, deadline, State::build).await {
        Ok(state) => state.respond(request, place, deadline).await,
        Err(answer) => http::response(answer),
    }
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A redirect.
    Link(Code),
    /// What a link is.
    Preview(Code),
    /// A redirect, by what is no code.
    NoCode(CodeError),
}

impl Place {
    /// What `/v1/shortlink/<code>`, `/<code>` or `/<code>+` asks for, the latter two also with a slash at the end; `None` for
    /// any other path. The host's router takes `//v1/shortlink/a/` for a path of this component too. A front door does not,
    /// and would not cache such requests.
    fn at(path: &str) -> Option<Self> {
        if let Some(segment) = path.strip_prefix(LINKS).and_then(|rest| rest.strip_prefix('/')) {
            // Here the path says that a code must follow.
            return (!segment.contains('/'))
                .then(|| Code::parse(segment).map_or_else(Self::NoCode, Self::Link));
        }
        let segment = path.strip_prefix('/')?;
        let segment = segment.strip_suffix('/').unwrap_or(segment);
        let (segment, place): (_, fn(Code) -> Self) = match segment.strip_suffix('+') {
            Some(segment) => (segment, Self::Preview),
            None => (segment, Self::Link),
        };
        // A word that the service keeps for its own paths is no link at the root.
        if is_reserved(segment) {
            return None;
        }
        Code::parse(segment).ok().map(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        Code::parse(text).unwrap()
    }

    #[test]
    fn a_link_has_two_paths_and_a_preview() {
        for path in ["/v1/shortlink/abc", "/abc", "/abc/"] {
            assert_eq!(Place::at(path), Some(Place::Link(code("abc"))), "{path}");
        }
        for path in ["/abc+", "/abc+/"] {
            assert_eq!(Place::at(path), Some(Place::Preview(code("abc"))), "{path}");
        }
        assert_eq!(Place::at("/v1/shortlink/docs"), Some(Place::Link(code("docs"))));
    }

    #[test]
    fn what_is_no_code_is_told_where_a_code_must_stand_and_is_no_path_at_the_root() {
        for segment in ["a%2Fb", "", "a+", "a.b"] {
            let place = Place::at(&format!("/v1/shortlink/{segment}"));
            assert!(matches!(place, Some(Place::NoCode(_))), "{segment}: {place:?}");
        }
        for path in [
            "//v1/shortlink/abc",
            "/v1/shortlink/abc/",
            "/v1/shortlink//abc",
            "/v1/abc",
            "//abc",
            "/abc//",
            "/abc++",
            "/+",
            "/a.b",
            "/a%62c",
            "/docs",
            "/v1",
            "/v1+",
            "/",
            "abc",
            "",
        ] {
            assert_eq!(Place::at(path), None, "{path}");
        }
    }
}
