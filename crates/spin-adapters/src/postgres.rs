//! The record of links: [`PostgresStore`] on a [`Postgres`].

mod connection;
mod failure;
#[cfg(test)]
mod fake;
mod keys;
mod manage;
mod server;
mod settings;
mod store;

pub use connection::Postgres;
pub use failure::Failure;
pub use manage::{Change, Created, Idempotent, Item, ItemResult, LinkRecord, Page};
pub use settings::PostgresSettings;
pub use spin_sdk::pg::DbValue;
pub use store::{PostgresStore, Preview, PublicLink, lookups};
