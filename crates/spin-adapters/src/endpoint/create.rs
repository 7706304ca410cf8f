//! `POST /v1/shortlink`.

use std::time::Duration;

use shortlink_core::{Authority, Draft, create_link};
use spin_sdk::wasip3::{
    http::types::{ErrorCode, Request, Response},
    random::random::get_random_u64,
};

use super::with_cors;
use crate::{
    answer::{Answer, LINKS},
    cache::RedisCache,
    http::{self, BodyError, Incoming, Verb},
    instance::{self, Slot, Term},
    pool::RedisPool,
    postgres::Postgres,
    redis::Redis,
    settings::{
        self, AllowedOrigins, LinkSettings, PostgresSettings, RedisSettings, SettingError, SpinVariables,
    },
    store::PostgresStore,
};

const METHODS: &str = "POST, OPTIONS";
/// The longest body, in bytes.
const BODY_LIMIT: usize = 32 * 1024;

/// How many requests an instance takes. Measured with 32 clients: `docs/performance.md`.
const REQUESTS: u32 = 256;

struct State {
    links: LinkSettings,
    cache_ttl: Duration,
    origins: AllowedOrigins,
    cache: RedisCache,
    pool: RedisPool,
    store: PostgresStore,
}

thread_local! {
    static STATE: Slot<State> = const { Slot::new() };
    static TERM: Term = const { Term::new(REQUESTS) };
}

impl State {
    async fn build() -> Result<Self, SettingError> {
        let variables = &SpinVariables;
        Ok(Self {
            links: LinkSettings::read(variables).await?,
            cache_ttl: settings::cache_ttl(variables).await?,
            origins: AllowedOrigins::read(variables).await?,
            cache: RedisCache::new(Redis::new(RedisSettings::read(variables, "redis_cache").await?)),
            pool: RedisPool::new(
                Redis::new(RedisSettings::read(variables, "redis_codes").await?),
                settings::pool_prefetch(variables).await?,
            ),
            store: PostgresStore::new(Postgres::new(PostgresSettings::read(variables).await?)),
        })
    }

    async fn answer(&self, request: Incoming) -> Answer {
        match request.verb() {
            Verb::Post => self.create(request).await.unwrap_or_else(|refusal| refusal),
            Verb::Options => Answer::options(METHODS),
            Verb::Get | Verb::Other => request.refuse(Answer::wrong_method(METHODS)).await,
        }
    }

    async fn create(&self, request: Incoming) -> Result<Answer, Answer> {
        if let Some(refusal) = refusal(&request) {
            return Err(request.refuse(refusal).await);
        }
        let mut own = self.links.public_hosts.clone();
        own.extend(request.authority().as_deref().and_then(Authority::parse));
        let body = request.body(BODY_LIMIT).await.map_err(|error| match error {
            BodyError::TooLong => too_long(),
            BodyError::Incomplete => Answer::error(408, "the body did not arrive whole and in time"),
        })?;
        let now = super::now();
        let draft =
            Draft::from_json(&body, now, self.links.limits, &own).map_err(|error| Answer::invalid(&error))?;
        create_link(draft, now, self.cache_ttl, &self.store, &self.cache, &self.pool, get_random_u64)
            .await
            .map(|code| Answer::created(&code))
            .map_err(|error| Answer::create_failed(&error))
    }
}

fn too_long() -> Answer {
    Answer::error(413, "the body must have at most 32 KiB")
}

/// The answer to a request whose headers alone show that it is wrong.
fn refusal(request: &Incoming) -> Option<Answer> {
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Some(Answer::error(415, "the content type must be application/json"));
    }
    request.content_length().is_some_and(|length| length > BODY_LIMIT).then(too_long)
}

/// Answers a request.
///
/// # Errors
/// [`ErrorCode`] only when the bindings refuse the answer itself.
pub async fn respond(request: Request) -> Result<Response, ErrorCode> {
    TERM.with(Term::count);
    let request = Incoming::new(request);
    if request.path() != LINKS {
        return http::response(request.refuse(Answer::no_such_path()).await);
    }
    let answer = match instance::state(&STATE, State::build).await {
        Ok(state) => {
            let origin = super::origin(&request, &state.origins);
            with_cors(state.answer(request).await, &state.origins, origin.as_deref())
        }
        Err(answer) => answer,
    };
    http::response(answer)
}
