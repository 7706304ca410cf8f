//! The monthly partitions of the links: adding those to come, dropping those whose links have all expired.

mod catalog;
mod create;
mod list;
mod month;
mod retention;
mod retire;

pub(crate) use catalog::{Place, partitions};
pub(crate) use create::{Months, create};
pub(crate) use list::list;
pub use month::Month;
pub(crate) use retention::drop_expired;
