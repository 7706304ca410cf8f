//! Blocked hosts: no new link may lead to one, nor to a subdomain of it.

mod add;
mod disable;
mod host;
mod list;
mod remove;

pub(crate) use add::add;
pub use host::BlockedHost;
pub(crate) use list::list;
pub(crate) use remove::remove;
