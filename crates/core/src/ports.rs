//! Traits that the use cases depend on (ports).
//!
//! Only the store may fail: it alone knows the truth. The cache and the pool make things faster; an implementation
//! whose cache or pool cannot answer in time reports that where it happens and behaves as if it were empty.

use std::future::Future;

use thiserror::Error;

use crate::{
    cache_entry::Entry,
    code::Code,
    link::{Lookup, NewLink},
};

/// What became of an attempt to store a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is stored durably, and the code leads to it.
    Created,
    /// A link has the code, a live one or one in quarantine; nothing was stored.
    Taken,
    /// By the store's clock the link has already expired; nothing was stored.
    AlreadyExpired,
    /// The link leads to a host that is blocked; nothing was stored.
    Blocked,
}

/// Why the store gave no answer. The text is for the log, never for a caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It could not be reached in time, or refused to work just now. Nothing is known about the code.
    #[error("the link store is unavailable: {0}")]
    Unavailable(String),
    /// It answered with something that no link can be.
    #[error("the link store holds an unusable link: {0}")]
    Unusable(String),
}

/// The durable record of all links, which decides by its own clock what has expired.
pub trait LinkStore {
    /// Stores the link if its code is free. Of any number of callers racing for one code exactly one gets
    /// [`Claim::Created`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not known whether the link was stored.
    fn create(&self, link: &NewLink) -> impl Future<Output = Result<Claim, StoreError>>;

    /// Looks a code up.
    ///
    /// # Errors
    /// [`StoreError`] when there is no trustworthy answer.
    fn find(&self, code: &Code) -> impl Future<Output = Result<Lookup, StoreError>>;
}

/// A fast and forgetful copy of look-ups, keyed by code; see [`crate::cache_entry`] for the values.
pub trait LinkCache {
    /// The value for a code, which may be anything; `None` when there is none or the cache cannot answer.
    fn get(&self, code: &Code) -> impl Future<Output = Option<Vec<u8>>>;

    /// Writes an entry, if the cache can; whoever waits for it cannot do without.
    fn put(&self, code: &Code, entry: Entry) -> impl Future<Output = ()>;

    /// Writes an entry without anybody waiting for it: it may be done after the caller was answered.
    fn put_soon(&self, code: &Code, entry: Entry);
}

/// Codes generated ahead, each handed out once.
pub trait CodePool {
    /// The next code; `None` when the pool is empty or cannot answer.
    fn next(&self) -> impl Future<Output = Option<Code>>;
}
