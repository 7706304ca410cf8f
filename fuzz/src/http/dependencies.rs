//! What the dependencies answer to the current case, and what they were told.

use std::sync::{Arc, Mutex};

use super::case::{Case, Rows};

/// Shared by the servers that stand in for Postgres and Redis.
#[derive(Clone, Default)]
pub struct Dependencies(Arc<Mutex<Answers>>);

#[derive(Clone, Default)]
pub struct Answers {
    pub cache: Option<Vec<u8>>,
    pub pool: Vec<Vec<u8>>,
    pub rows: Option<Rows>,
    /// The links that Postgres says it has created.
    pub created: Vec<Created>,
}

/// A link as it came to Postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    pub code: String,
    pub url: String,
    /// In milliseconds since the Unix epoch.
    pub expires_at: i64,
}

impl Dependencies {
    pub fn get(&self) -> Answers {
        self.0.lock().expect("nobody panics with it").clone()
    }

    pub fn set(&self, case: &Case) {
        *self.0.lock().expect("nobody panics with it") = Answers {
            cache: case.cache.clone(),
            pool: case.pool.clone(),
            rows: Some(case.rows.clone()),
            created: Vec::new(),
        };
    }

    pub fn create(&self, links: Vec<Created>) {
        self.0.lock().expect("nobody panics with it").created.extend(links);
    }
}
