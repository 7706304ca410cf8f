//! The two Redis: [`RedisCache`] and [`RedisPool`], each on a [`Redis`].

mod cache;
mod connection;
#[cfg(test)]
mod fake;
mod pool;
mod reply;
mod server;
mod settings;

pub use cache::RedisCache;
pub use connection::{Cooldowns, Redis};
pub use pool::RedisPool;
pub use settings::RedisSettings;
