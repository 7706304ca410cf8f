//! `GET /v1/shortlink/{code}`.

use std::time::Duration;

use shortlink_core::{Code, HotLinks, Lookup, Timestamp, resolve_link};
use spin_sdk::{
    time::sleep,
    wasip3::http::types::{ErrorCode, Request, Response},
};

use super::with_cors;
use crate::{
    answer::Answer,
    cache::RedisCache,
    http::{self, Incoming, Verb},
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
/// How often a request looks whether another one's look-up of the same code is over.
const FLIGHT_POLL: Duration = Duration::from_millis(2);

struct State {
    caching: CachingSettings,
    origins: AllowedOrigins,
    hot: HotLinks,
    cache: RedisCache,
    store: SingleFlight<PostgresStore>,
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
            store: SingleFlight::new(store, || Box::pin(sleep(FLIGHT_POLL))),
        })
    }

    async fn answer(&self, request: Incoming, now: Timestamp) -> Answer {
        match request.verb() {
            Verb::Get => self.follow(&request.path(), now).await,
            Verb::Options => Answer::options(METHODS),
            Verb::Post | Verb::Other => request.refuse(Answer::wrong_method(METHODS)).await,
        }
    }

    async fn follow(&self, path: &str, now: Timestamp) -> Answer {
        let code = match Code::parse(path.rsplit('/').next().unwrap_or_default()) {
            Ok(code) => code,
            Err(error) => return Answer::not_a_code(error),
        };
        match resolve_link(&code, now, self.caching.cache_ttl, &self.hot, &self.cache, &self.store).await {
            Ok(Lookup::Live(link)) => Answer::redirect(&link, now, self.caching.redirect),
            Ok(Lookup::Expired) => Answer::expired(),
            Ok(Lookup::Unknown) => Answer::unknown(),
            Err(error) => Answer::store_failed("resolve", &error),
        }
    }
}

/// Answers a request.
///
/// # Errors
/// [`ErrorCode`] only when the bindings refuse the answer itself.
pub async fn respond(request: Request) -> Result<Response, ErrorCode> {
    let request = Incoming::new(request);
    let answer = match instance::state(&STATE, State::build).await {
        Ok(state) => {
            let origin = super::origin(&request, &state.origins);
            with_cors(state.answer(request, super::now()).await, &state.origins, origin.as_deref())
        }
        Err(answer) => answer,
    };
    http::response(answer)
}
