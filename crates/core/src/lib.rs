//! The rules of short-link, apart from everything that runs them.
//!
//! Texts from outside are parsed once into [`Code`], [`Alias`], [`TargetUrl`] and [`Expiry`]; the use cases
//! [`create_link`] and [`resolve_link`] work on those and reach the outside through the traits in [`ports`]. Nothing
//! here knows Spin, HTTP, Postgres or Redis, reads a clock or draws a random number: all of that is passed in.

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

mod alias;
mod api_key;
pub mod cache_entry;
mod code;
mod create_link;
mod draft;
mod expiry;
#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
mod hot_links;
mod key_verdicts;
mod link;
mod link_change;
mod link_query;
mod members;
pub mod ports;
mod redirect_caching;
pub mod redis_keys;
mod refresh_cache;
mod resolve_link;
mod target_url;
mod time;

pub use alias::{Alias, AliasError, is_reserved};
pub use api_key::{ApiKey, IdempotencyKey, KeyHolder, KeyId, NotAnApiKey, NotAnIdempotencyKey, Scope};
pub use code::{Code, CodeError, GENERATED_CODES, GENERATED_LENGTH};
pub use create_link::{CreateError, Creation, cache_created, create_link};
pub use draft::{Draft, MAX_LINKS};
pub use expiry::{Expiry, ExpiryError, LifetimeLimits, MAX_LIFETIME_DAYS};
pub use hot_links::HotLinks;
pub use key_verdicts::KeyVerdicts;
pub use link::{Link, Lookup, NewLink};
pub use link_change::LinkChange;
pub use link_query::{LinkQuery, Position, StateFilter};
pub use members::Problems;
pub use redirect_caching::RedirectCaching;
pub use refresh_cache::refresh_cache;
pub use resolve_link::resolve_link;
pub use target_url::{Authority, TargetUrl, UrlError};
pub use time::Timestamp;
