//! What the dependencies answer to the current case, and what they were told.

use std::sync::{Arc, Mutex};

use super::{
    case::{Case, Rows},
    statement::Statement,
};

/// Shared by the servers that stand in for Postgres and Redis.
#[derive(Clone, Default)]
pub struct Dependencies(Arc<Mutex<Answers>>);

#[derive(Clone, Default)]
pub struct Answers {
    pub cache: Option<Vec<u8>>,
    pub pool: Vec<Vec<u8>>,
    pub rows: Option<Rows>,
    pub later: Option<Rows>,
    /// What Postgres was asked.
    pub asked: Vec<Asked>,
    /// What was written to the cache: keys and values.
    pub cached: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A parameter as it went over the wire; `None` is null.
pub type Parameter = Option<Vec<u8>>;

/// A statement with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub statement: Statement,
    pub parameters: Vec<Parameter>,
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
            later: Some(case.later.clone()),
            asked: Vec::new(),
            cached: Vec::new(),
        };
    }

    pub fn ask(&self, asked: Asked) {
        self.0.lock().expect("nobody panics with it").asked.push(asked);
    }

    pub fn cache(&self, key: Vec<u8>, value: Vec<u8>) {
        self.0.lock().expect("nobody panics with it").cached.push((key, value));
    }
}
