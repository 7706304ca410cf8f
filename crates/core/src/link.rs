//! What a code stands for.

use crate::{api_key::KeyId, code::Code, expiry::Expiry, target_url::TargetUrl};

/// A short link without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub target: TargetUrl,
    /// When it ends.
    pub expiry: Expiry,
}

/// A link about to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLink {
    /// The code it is to live under.
    pub code: Code,
    /// The link.
    pub link: Link,
    /// Whether the caller chose the code.
    pub is_custom: bool,
    /// The key that it belongs to; [`KeyId::NONE`] without one.
    pub owner: KeyId,
}

/// What is known about a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A link that has not expired.
    Live(Link),
    /// A link that has expired, or is disabled or deleted, and is still on record.
    Expired,
    /// No link, or one that is no longer on record.
    Unknown,
}
