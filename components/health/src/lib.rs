//! `GET /v1/health`: whether the process answers. `GET /v1/health/ready`: whether links can be created and resolved, and
//! what else is wrong.

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

mod bindings;
mod readiness;

use std::time::Duration;

use futures::future::join3;
use serde::Serialize;
use shortlink_guest::{
    answer::Answer,
    deadline::Deadline,
    http::{self, Incoming, Verb},
    instance::{self, Slot},
    log,
    settings::{
        self, AllowedOrigins, CachingSettings, CreateAccess, LinkSettings, SettingError, SpinVariables,
    },
};
use shortlink_spin_adapters::{
    postgres::{Postgres, PostgresSettings, PostgresStore},
    redis::{Redis, RedisCache, RedisPool, RedisSettings},
};
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

use readiness::Findings;

const LIVE_PATH: &str = "/v1/health";
const READY_PATH: &str = "/v1/health/ready";
const METHODS: &str = "GET, HEAD";
/// How long the settings may take. The checks take 4 s at most, and a front door waits for 15 s.
const SETTINGS_BUDGET: Duration = Duration::from_secs(10);

struct State {
    cache: RedisCache,
    pool: RedisPool,
    store: PostgresStore,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

thread_local! {
    static STATE: Slot<State> = const { Slot::new() };
}

impl State {
    async fn build() -> Result<Self, SettingError> {
        let variables = &SpinVariables;
        // The settings of the other components: a service whose every redirect is a 500 is not ready.
        LinkSettings::read(variables).await?;
        CachingSettings::read(variables).await?;
        AllowedOrigins::read(variables).await?;
        CreateAccess::read(variables).await?;
        settings::pool_prefetch(variables).await?;
        Ok(Self {
            cache: RedisCache::new(Redis::new(RedisSettings::read(variables, "redis_cache").await?)),
            pool: RedisPool::new(Redis::new(RedisSettings::read(variables, "redis_codes").await?), 1),
            store: PostgresStore::new(Postgres::new(PostgresSettings::read(variables).await?), 0),
        })
    }

    async fn check(&self) -> Findings {
        let (partition, cache_is_writable, codes) =
            join3(self.store.has_partition(), self.cache.is_writable(), self.pool.available()).await;
        Findings { partition, cache_is_writable, codes }
    }
}

async fn ready() -> Answer {
    match instance::state(&STATE, Deadline::after(SETTINGS_BUDGET), State::build).await {
        Ok(state) => {
            let findings = state.check().await;
            if let Err(failure) = &findings.partition {
                log::failure("ready", &failure.to_string());
            }
            findings.answer()
        }
        Err(answer) => answer,
    }
}

/// Answers a request.
async fn respond(request: Request) -> Result<Response, ErrorCode> {
    let request = Incoming::new(request);
    let asks_readiness = match &*request.path() {
        LIVE_PATH => false,
        READY_PATH => true,
        _ => return http::response(request.refuse(Answer::no_such_path()).await),
    };
    http::response(match request.verb() {
        Verb::Get if asks_readiness => ready().await,
        Verb::Get => Answer::json(200, &Health { status: "ok" }),
        Verb::Post | Verb::Patch | Verb::Delete | Verb::Options | Verb::Other => {
            request.refuse(Answer::wrong_method(METHODS)).await
        }
    })
}
