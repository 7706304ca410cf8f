//! `GET /v1/shortlink/{code}`.

use shortlink_core::{Code, Lookup, Timestamp, resolve_link};
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

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
    store::PostgresStore,
};

const METHODS: &str = "GET, HEAD, OPTIONS";

struct State {
    caching: CachingSettings,
    origins: AllowedOrigins,
    cache: RedisCache,
    store: PostgresStore,
}

thread_local! {
    static STATE: Slot<State> = const { Slot::new() };
}

impl State {
    async fn build() -> Result<Self, SettingError> {
        let variables = &SpinVariables;
        Ok(Self {
            caching: CachingSettings::read(variables).await?,
            origins: AllowedOrigins::read(variables).await?,
            cache: RedisCache(Redis::new(RedisSettings::read(variables, "redis_cache").await?)),
            store: PostgresStore(Postgres::new(PostgresSettings::read(variables).await?)),
        })
    }

    async fn answer(&self, request: &Incoming, now: Timestamp) -> Answer {
        match request.verb() {
            Verb::Get => self.follow(&request.path(), now).await,
            Verb::Options => Answer::options(METHODS),
            Verb::Post | Verb::Other => Answer::wrong_method(METHODS),
        }
    }

    async fn follow(&self, path: &str, now: Timestamp) -> Answer {
        let code = match Code::parse(path.rsplit('/').next().unwrap_or_default()) {
            Ok(code) => code,
            Err(error) => return Answer::not_a_code(error),
        };
        match resolve_link(&code, now, self.caching.cache_ttl, &self.cache, &self.store).await {
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
            let answer = state.answer(&request, super::now()).await;
            with_cors(answer, &state.origins, super::origin(&request, &state.origins).as_deref())
        }
        Err(answer) => answer,
    };
    http::response(answer)
}
