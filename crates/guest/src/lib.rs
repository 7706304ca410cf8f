//! What components share of running on Spin: HTTP in and out, the form of answers and those that more than one component
//! gives, who sends a request, deadlines, waiting, statements that serve several requests, settings and the log.
//!
//! A component holds its endpoint and calls a use case of `shortlink-core`; the ports of that use case are implemented in
//! `shortlink-spin-adapters`. Modules here know no servers.

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

pub mod answer;
pub mod batch;
pub mod create_answers;
pub mod deadline;
pub mod host;
pub mod http;
pub mod identity;
pub mod instance;
pub mod log;
pub mod settings;
pub mod wait;
