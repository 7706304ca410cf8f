//! The pool of generated codes: numbers from the counter in Postgres, encrypted, pushed to a list in Redis.

mod cipher;
mod counter;
mod fill;
mod pool;
mod status;

pub use cipher::CodeCipher;
pub(crate) use fill::fill;
pub(crate) use status::status;
