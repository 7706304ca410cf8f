//! The answer to a readiness check.

use serde::Serialize;
use shortlink_guest::answer::Answer;
use shortlink_spin_adapters::postgres::Failure;

/// What the dependencies answered.
pub struct Findings {
    /// Whether links can be stored now.
    pub partition: Result<bool, Failure>,
    /// Whether the cache answers and accepts entries.
    pub cache_is_writable: bool,
    /// How many codes are left; `None` when the pool cannot hand any out.
    pub codes: Option<u64>,
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

impl Findings {
    /// 503 only when links can be neither created nor looked up; whatever else is wrong is slower, not broken.
    pub fn answer(&self) -> Answer {
        let degraded = |fine: bool| if fine { "ok" } else { "degraded" };
        let (status, word, partition) = match &self.partition {
            Ok(exists) => (200, "ok", degraded(*exists)),
            Err(_) => (503, "unavailable", "unavailable"),
        };
        let checks = Checks {
            postgres: word,
            redis_cache: degraded(self.cache_is_writable),
            redis_codes: degraded(self.codes.is_some_and(|codes| codes > 0)),
            partition,
        };
        let answer = Answer::json(status, &Readiness { status: word, checks, codes_available: self.codes });
        if status == 503 { answer.with("retry-after", "1") } else { answer }
    }
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
        let (status, body) = body(&Findings { partition, cache_is_writable: true, codes: Some(5) });
        assert_eq!((status, &body["status"]), (503, &json!("unavailable")));
        assert_eq!(body["checks"]["postgres"], "unavailable");
    }

    #[test]
    fn without_anything_else_it_is_degraded_and_serves() {
        let (status, body) = body(&Findings { partition: Ok(false), cache_is_writable: false, codes: None });
        assert_eq!((status, &body["status"]), (200, &json!("ok")));
        let degraded = json!({
            "postgres": "ok", "redis_cache": "degraded", "redis_codes": "degraded", "partition": "degraded"
        });
        assert_eq!((&body["checks"], &body["codes_available"]), (&degraded, &json!(null)));
    }

    #[test]
    fn an_empty_pool_is_degraded() {
        let (_, body) = body(&Findings { partition: Ok(true), cache_is_writable: true, codes: Some(0) });
        assert_eq!(
            (&body["checks"]["redis_codes"], &body["codes_available"]),
            (&json!("degraded"), &json!(0))
        );
    }
}
