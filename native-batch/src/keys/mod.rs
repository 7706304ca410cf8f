//! API keys: who may create and manage links. A key is shown once, when it is created; Postgres holds its SHA-256 only.

mod create;
mod expiry;
mod list;
mod name;
mod revoke;
mod scope;
mod secret;

pub(crate) use create::create;
pub use expiry::KeyExpiry;
pub(crate) use list::{count_good, list};
pub use name::KeyName;
pub(crate) use revoke::revoke;
pub use scope::Scope;
