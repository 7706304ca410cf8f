//! The ports of `shortlink-core` on Spin's Postgres and Redis.
//!
//! [`redis`] has the redirect cache and the pool of codes, [`postgres`] the record of links. Each has a trait for its server,
//! so that cooldowns, reconnects, leases and batches are tested natively, with servers that misbehave on purpose and a
//! simulated time.

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

mod host_name;
pub mod postgres;
mod redact;
pub mod redis;
#[cfg(test)]
mod settings_fake;
