//! Starts and stops everything a working short-link needs on one machine: Postgres, the two Redis, the host of the
//! components, the batch and nginx.
//!
//! Two users share it. The `local-stack` binary starts a stack that outlives it ([`stack`]). The integration tests
//! start the pieces they need, one by one, in a [`Site::temporary`]: each piece is a handle that stops its processes
//! when it is dropped, and a guard process does so should the test process be killed.
//!
//! The order is always the same: create a [`Site`], choose [`Ports`], start [`Postgres`], [`Redis`] twice, [`Host`],
//! [`nginx`]. Everything runs on 127.0.0.1. As root the servers run as another user, see [`ServiceUser`].

pub mod batch;
mod command;
mod connect;
pub mod fault_proxy;
mod guard;
pub mod host;
pub mod interrupt;
pub mod nginx;
mod ports;
mod postgres;
mod probe;
mod process;
mod programs;
mod record;
mod redis;
mod secrets;
mod signal;
mod site;
pub mod stack;
mod state;
mod template;
pub mod tls;
mod user;

pub use connect::{batch_environment, database_url, redis_url, spin_variables};
pub use host::Host;
pub use nginx::Nginx;
pub use ports::{Piece, Ports, free_port};
pub use postgres::{Durability, Postgres};
pub use probe::{get, status_of};
pub use process::Running;
pub use programs::find as find_program;
pub use record::ProcessRecord;
pub use redis::{Redis, RedisKind};
pub use secrets::Secrets;
pub use signal::Signal;
pub use site::{Site, checkout};
pub use template::{escape, render};
pub use tls::Tls;
pub use user::ServiceUser;
