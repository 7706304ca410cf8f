//! `GET /v1/shortlink/{code}`.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
};

use shortlink_core::{Code, HotLinks, Link, Lookup, Timestamp, resolve_link};
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

use super::with_cors;
use crate::{
    answer::{Answer, LINKS},
    cache::RedisCache,
    http::{self, Incoming, Prepared, Verb},
    instance::{self, Slot},
    postgres::Postgres,
    redis::Redis,
    settings::{
        AllowedOrigins, CachingSettings, PostgresSettings, RedisSettings, SettingError, SpinVariables,
    },
    single_flight::SingleFlight,
    store::PostgresStore,
};

const METHODS: &str = "GET, HEAD, OPTIONS";

struct State {
    caching: CachingSettings,
    origins: AllowedOrigins,
    hot: HotLinks<Rc<Redirect>>,
    cache: RedisCache,
    store: SingleFlight<PostgresStore>,
    /// What most redirects have in common.
    redirect_to_none: OnceCell<Prepared>,
}

/// A link that was followed.
struct Redirect {
    link: Link,
    /// Whether it was followed before: a link that is followed once needs no prepared answer.
    followed: Cell<bool>,
    /// The answer, for as long as it is the same for everybody.
    prepared: OnceCell<Prepared>,
}

thread_local! {
    static STATE: Slot<State> = const { Slot::new() };
}

impl State {
    async fn build() -> Result<Self, SettingError> {
        let variables = &SpinVariables;
        let caching = CachingSettings::read(variables).await?;
        let store = PostgresStore::new(Postgres::new(PostgresSettings::read(variables).await?));
        Ok(Self {
            hot: HotLinks::new(caching.hot_link_ttl),
            caching,
            origins: AllowedOrigins::read(variables).await?,
            cache: RedisCache::new(Redis::new(RedisSettings::read(variables, "redis_cache").await?)),
            store: SingleFlight::new(store),
            redirect_to_none: OnceCell::new(),
        })
    }

    async fn respond(&self, request: Incoming, segment: &str) -> Result<Response, ErrorCode> {
        let origin = super::origin(&request, &self.origins);
        let answer = match request.verb() {
            Verb::Get => match self.follow(segment).await {
                Ok((redirect, now)) => return self.redirect(&redirect, now, origin.as_deref()),
                Err(answer) => answer,
            },
            Verb::Options => Answer::options(METHODS),
            Verb::Post | Verb::Other => request.refuse(Answer::wrong_method(METHODS)).await,
        };
        http::response(with_cors(answer, &self.origins, origin.as_deref()))
    }

    /// Where a path with this segment leads, and the time at which that was found out.
    async fn follow(&self, segment: &str) -> Result<(Rc<Redirect>, Timestamp), Answer> {
        let code = Code::parse(segment).map_err(Answer::not_a_code)?;
        let make = |link| Rc::new(Redirect { link, followed: Cell::new(false), prepared: OnceCell::new() });
        let asked = super::now();
        match resolve_link(&code, asked, self.caching.cache_ttl, make, &self.hot, &self.cache, &self.store)
            .await
        {
            Ok(Lookup::Live(redirect)) => {
                // The look-up may have taken seconds, in which the link came nearer to its end.
                let now = super::now();
                if redirect.link.expiry.is_over(now) { Err(Answer::expired()) } else { Ok((redirect, now)) }
            }
            Ok(Lookup::Expired) => Err(Answer::expired()),
            Ok(Lookup::Unknown) => Err(Answer::unknown()),
            Err(error) => Err(Answer::store_failed("resolve", &error)),
        }
    }

    fn redirect(
        &self,
        redirect: &Redirect,
        now: Timestamp,
        origin: Option<&str>,
    ) -> Result<Response, ErrorCode> {
        let caching = self.caching.redirect;
        let is_again = redirect.followed.replace(true);
        if self.origins != AllowedOrigins::Any || caching.is_cut_by(redirect.link.expiry, now) {
            let answer = Answer::redirect(&redirect.link, now, caching);
            return http::response(with_cors(answer, &self.origins, origin));
        }
        if let Some(prepared) = redirect.prepared.get() {
            return prepared.response();
        }
        let common = if let Some(common) = self.redirect_to_none.get() {
            common
        } else {
            let answer = with_cors(Answer::redirect_to_none(caching), &self.origins, origin);
            let common = Prepared::new(answer)?;
            self.redirect_to_none.get_or_init(|| common)
        };
        let prepared = common.with("location", &redirect.link.target.to_string())?;
        if is_again {
            redirect.prepared.get_or_init(|| prepared).response()
        } else {
            prepared.into_response()
        }
    }
}

/// Answers a request.
///
/// # Errors
/// [`ErrorCode`] only when the bindings refuse the answer itself.
pub async fn respond(request: Request) -> Result<Response, ErrorCode> {
    let request = Incoming::new(request);
    let path = request.path();
    let Some(segment) = segment(&path) else {
        return http::response(request.refuse(Answer::no_such_path()).await);
    };
    match instance::state(&STATE, State::build).await {
        Ok(state) => state.respond(request, segment).await,
        Err(answer) => http::response(answer),
    }
}

/// The one segment of a path that should be a code; whether it is one, is another question.
fn segment(path: &str) -> Option<&str> {
    path.strip_prefix(LINKS)?.strip_prefix('/').filter(|segment| !segment.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_code_is_all_there_is_behind_the_prefix() {
        assert_eq!(segment("/v1/shortlink/abc"), Some("abc"));
        assert_eq!(segment("/v1/shortlink/a%2Fb"), Some("a%2Fb"));
        for path in [
            "//v1/shortlink/abc",
            "/v1/shortlink/abc/",
            "/v1/shortlink//abc",
            "/v1/shortlink",
            "/v1/shortlinkabc",
            "abc",
        ] {
            assert_eq!(segment(path), None, "{path}");
        }
    }
}
