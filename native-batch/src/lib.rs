//! What runs beside the service: migrations, the partitions of the link table, the pool of codes, API keys, blocked
//! hosts, and the redirect cache after a change.
//!
//! Every command can be repeated and run twice at once without harm: what must not overlap takes an advisory lock in
//! Postgres, and the rest is idempotent. [`cli`] defines the commands; [`commands`] calls the modules that do
//! the work.

mod block;
mod changes;
pub mod cli;
mod codes;
pub mod commands;
mod config;
mod database;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod idempotency;
mod keys;
mod metrics;
mod migrate;
mod observe;
mod partitions;
mod redis_connection;
pub mod report;
mod run;
mod stop;
mod table;
mod tls;
