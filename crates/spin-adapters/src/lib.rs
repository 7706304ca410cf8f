//! Everything that stands between `shortlink-core` and Spin: the ports on Spin's Redis, Postgres and variables, and the
//! HTTP contract with its one mapping from what happened to what the caller is told.
//!
//! A component is one of the [`endpoint`]s and nothing more, so that its rules are tested natively, with fakes for ports.

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

mod answer;
mod batch;
mod bounded;
mod cache;
pub mod endpoint;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod http;
mod instance;
mod latch;
mod log;
mod pool;
mod postgres;
mod redis;
mod settings;
mod single_flight;
mod store;
