//! Changes of links, which Postgres notes until the redirect cache has them for certain.

mod apply;
mod cache;

pub(crate) use apply::{apply, count};
