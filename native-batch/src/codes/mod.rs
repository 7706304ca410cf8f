//! The pool of generated codes: numbers from the counter in Postgres, encrypted, pushed to a list in Redis.

mod cipher;
mod counter;
mod fill;
mod pool;
mod rotate;
mod status;

pub use cipher::CodeCipher;
pub(crate) use counter::State;
pub(crate) use fill::fill;
pub(crate) use pool::Pool;
pub(crate) use rotate::{rotate_key, skip};
pub(crate) use status::status;
