//! The compiled components, driven over HTTP against real servers; see [`app::App`].
//!
//! `SHORT_LINK_HOST` chooses the host as for `local-stack`: `spin` or `local-host`. Most modules talk to the host itself;
//! [`e2e`] goes through nginx and the whole local stack, [`security`] both ways.

mod app;
mod bad_input;
mod batch;
mod batch_keys;
mod cache;
mod create;
mod e2e;
mod expiry;
mod faults;
mod front_door;
mod health;
mod hot;
mod http;
mod idempotency;
mod manage;
mod partitions;
mod permissions;
mod pool;
mod races;
mod resolve;
mod root;
mod schema;
mod security;
mod settings;
mod tls;
mod upgrade;
mod worlds;
