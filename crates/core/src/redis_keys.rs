//! The keys in the two Redis.

use crate::code::Code;

/// The list of pre-generated codes.
pub const CODES_LIST: &str = "shortlink:codes";

/// The key of a code's entry in the redirect cache.
#[must_use]
pub fn link_key(code: &Code) -> String {
    format!("link:{code}")
}
