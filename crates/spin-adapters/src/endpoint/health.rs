//! `GET /v1/health` and `GET /v1/health/ready`.

use futures::future::join3;
use serde::Serialize;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

use crate::{
    answer::Answer,
    http::{self, Incoming, Verb},
    instance::{self, Slot},
    log,
    pool::RedisPool,
    postgres::{Failure, Postgres},
    redis::Redis,
    settings::{
        self, AllowedOrigins, CachingSettings, LinkSettings, PostgresSettings, RedisSettings, SettingError,
        SpinVariables,
    },
    store::PostgresStore,
};

const LIVE_PATH: &str = "/v1/health";
const READY_PATH: &str = "/v1/health/ready";
const METHODS: &str = "GET, HEAD";

struct State {
    cache: Redis,
    pool: RedisPool,
    store: PostgresStore,
}

/// What the dependencies answered.
struct Findings {
    /// Whether this month's partition is there.
    partition: Result<bool, Failure>,
    cache_answers: bool,
    /// How many codes are left; `None` when the pool did not answer.
    codes: Option<u64>,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    checks: Checks,
    codes_available: Option<u64>,
}

#[derive(Serialize)]
struct Checks {
    postgres: &'static str,
    redis_cache: &'static str,
    redis_codes: &'static str,
    partition: &'static str,
}

thread_local! {
    static STATE: Slot<State> = const { Slot::new() };
}

impl State {
    async fn build() -> Result<Self, SettingError> {
        let variables = &SpinVariables;
        // What the other components cannot work without: a service whose every redirect is a 500 is not ready.
        LinkSettings::read(variables).await?;
        CachingSettings::read(variables).await?;
        AllowedOrigins::read(variables).await?;
        settings::pool_prefetch(variables).await?;
        Ok(Self {
            cache: Redis::new(RedisSettings::read(variables, "redis_cache").await?),
            pool: RedisPool::new(Redis::new(RedisSettings::read(variables, "redis_codes").await?), 1),
            store: PostgresStore::new(Postgres::new(PostgresSettings::read(variables).await?)),
        })
    }

    async fn check(&self) -> Findings {
        let cache = self.cache.run(async |redis| redis.execute("PING", []).await);
        let (partition, pong, codes) = join3(self.store.has_partition(), cache, self.pool.length()).await;
        Findings { partition, cache_answers: pong.is_some(), codes }
    }
}

impl Findings {
    /// 503 only when links can be neither created nor looked up; whatever else is wrong is slower, not broken.
    fn answer(&self) -> Answer {
        let degraded = |fine: bool| if fine { "ok" } else { "degraded" };
        let (status, word, partition) = match &self.partition {
            Ok(exists) => (200, "ok", degraded(*exists)),
            Err(_) => (503, "unavailable", "unavailable"),
        };
        let checks = Checks {
            postgres: word,
            redis_cache: degraded(self.cache_answers),
            redis_codes: degraded(self.codes.is_some_and(|codes| codes > 0)),
            partition,
        };
        let answer = Answer::json(status, &Readiness { status: word, checks, codes_available: self.codes });
        if status == 503 { answer.with("retry-after", "1") } else { answer }
    }
}

async fn ready() -> Answer {
    match instance::state(&STATE, State::build).await {
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
///
/// # Errors
/// [`ErrorCode`] only when the bindings refuse the answer itself.
pub async fn respond(request: Request) -> Result<Response, ErrorCode> {
    let request = Incoming::new(request);
    let asks_readiness = match &*request.path() {
        LIVE_PATH => false,
        READY_PATH => true,
        _ => return http::response(request.refuse(Answer::no_such_path()).await),
    };
    http::response(match request.verb() {
        Verb::Get if asks_readiness => ready().await,
        Verb::Get => Answer::json(200, &Health { status: "ok" }),
        Verb::Post | Verb::Options | Verb::Other => request.refuse(Answer::wrong_method(METHODS)).await,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(findings: &Findings) -> (u16, serde_json::Value) {
        let answer = findings.answer();
        (answer.status, serde_json::from_str(&answer.body.unwrap()).unwrap())
    }

    #[test]
    fn without_postgres_the_service_is_unavailable() {
        let partition = Err(Failure::Unavailable("down".into()));
        let (status, body) = body(&Findings { partition, cache_answers: true, codes: Some(5) });
        assert_eq!((status, &body["status"]), (503, &json!("unavailable")));
        assert_eq!(body["checks"]["postgres"], "unavailable");
    }

    #[test]
    fn without_anything_else_it_is_degraded_and_serves() {
        let (status, body) = body(&Findings { partition: Ok(false), cache_answers: false, codes: None });
        assert_eq!((status, &body["status"]), (200, &json!("ok")));
        let degraded = json!({
            "postgres": "ok", "redis_cache": "degraded", "redis_codes": "degraded", "partition": "degraded"
        });
        assert_eq!((&body["checks"], &body["codes_available"]), (&degraded, &json!(null)));
    }

    #[test]
    fn an_empty_pool_is_degraded() {
        let (_, body) = body(&Findings { partition: Ok(true), cache_answers: true, codes: Some(0) });
        assert_eq!(
            (&body["checks"]["redis_codes"], &body["codes_available"]),
            (&json!("degraded"), &json!(0))
        );
    }
}
