//! `POST /v1/shortlink`: creates a link.
//!
//! The body is parsed into a [`Draft`], which holds every rule of the contract; [`create_link`] takes a code from the pool
//! in Redis, or the alias, stores the link in Postgres and writes it to the redirect cache.

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
mod request_budget;

use std::time::Duration;

use shortlink_core::{Authority, Draft, create_link};
use shortlink_guest::{
    answer::{Answer, LINKS},
    deadline::Deadline,
    host,
    http::{self, BodyError, Incoming, Verb},
    instance::{self, Slot},
    settings::{self, AllowedOrigins, LinkSettings, SettingError, SpinVariables},
};
use shortlink_spin_adapters::{
    postgres::{Postgres, PostgresSettings, PostgresStore},
    redis::{Redis, RedisCache, RedisPool, RedisSettings},
};
use spin_sdk::wasip3::{
    http::types::{ErrorCode, Request, Response},
    random::random::get_random_u64,
};

use request_budget::RequestBudget;

const METHODS: &str = "POST, OPTIONS";
/// The longest body, in bytes.
const BODY_LIMIT: usize = 32 * 1024;
/// How long a request may take until its last statement begins. That statement takes 4 s at most, and a front door waits
/// for 15 s: an answer that it no longer waits for must not come with a stored link.
const BUDGET: Duration = Duration::from_secs(10);

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
    static REQUEST_BUDGET: RequestBudget = const { RequestBudget::new() };
}

impl State {
    async fn build() -> Result<Self, SettingError> {
        let variables = &SpinVariables;
        let links = LinkSettings::read(variables).await?;
        Ok(Self {
            cache_ttl: settings::cache_ttl(variables).await?,
            origins: AllowedOrigins::read(variables).await?,
            cache: RedisCache::new(Redis::new(RedisSettings::read(variables, "redis_cache").await?)),
            pool: RedisPool::new(
                Redis::new(RedisSettings::read(variables, "redis_codes").await?),
                settings::pool_prefetch(variables).await?,
            ),
            store: PostgresStore::new(
                Postgres::new(PostgresSettings::read(variables).await?),
                links.quarantine_days,
            ),
            links,
        })
    }

    async fn respond(&self, request: Incoming, deadline: Deadline) -> Result<Response, ErrorCode> {
        let origin = request.origin(&self.origins);
        let answer = match request.verb() {
            Verb::Post => self.create(request, deadline).await.unwrap_or_else(|refusal| refusal),
            Verb::Options => Answer::options(METHODS),
            Verb::Get | Verb::Other => request.refuse(Answer::wrong_method(METHODS)).await,
        };
        http::response(answer.with_cors(&self.origins, origin.as_deref()))
    }

    async fn create(&self, request: Incoming, deadline: Deadline) -> Result<Answer, Answer> {
        if let Some(refusal) = refusal(&request) {
            return Err(request.refuse(refusal).await);
        }
        let mut own = self.links.public_hosts.clone();
        own.extend(request.authority().as_deref().and_then(Authority::parse));
        let body = request.body(BODY_LIMIT, deadline).await.map_err(|error| match error {
            BodyError::TooLong => answers::too_long(),
            BodyError::Incomplete => Answer::error(408, "the body did not arrive whole and in time"),
        })?;
        let now = host::now();
        let draft = Draft::from_json(&body, now, self.links.limits, &own)
            .map_err(|problems| Answer::error(400, &problems.to_string()))?;
        let store = self.store.until(deadline);
        create_link(draft, now, self.cache_ttl, &store, &self.cache, &self.pool, get_random_u64)
            .await
            .map(|code| answers::created(&code, self.links.public_url.as_deref()))
            .map_err(|error| answers::create_failed(&error))
    }
}

/// The answer to a request whose headers alone show that it is wrong.
fn refusal(request: &Incoming) -> Option<Answer> {
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Some(Answer::error(415, "the content type must be application/json"));
    }
    request.content_length().is_some_and(|length| length > BODY_LIMIT).then(answers::too_long)
}

/// Answers a request.
async fn respond(request: Request) -> Result<Response, ErrorCode> {
    REQUEST_BUDGET.with(RequestBudget::count);
    let deadline = Deadline::after(BUDGET);
    let request = Incoming::new(request);
    // The host's router takes `//v1/shortlink/` for this path. A front door does not, and would not limit such requests.
    if request.path() != LINKS {
        return http::response(request.refuse(Answer::no_such_path()).await);
    }
    match instance::state(&STATE, deadline, State::build).await {
        Ok(state) => state.respond(request, deadline).await,
        Err(answer) => http::response(request.refuse(answer).await),
    }
}
