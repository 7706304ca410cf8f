//! The key of the pool of generated codes in Redis, which the components and the batch share.

/// A list: creates take codes from its left, the batch adds them on its right.
pub const POOL_KEY: &str = "shortlink:codes";
