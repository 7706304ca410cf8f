//! What a code stands for.

use crate::{code::Code, expiry::Expiry, target_url::TargetUrl};

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
}

/// What is known about a code. `L` is the link, or what was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<L = Link> {
    /// A link that has not expired.
    Live(L),
    /// A link that is still on record, but over.
    Expired,
    /// No link, or one that is no longer on record.
    Unknown,
}

impl<L> Lookup<L> {
    /// The same about what `make` makes of the link.
    pub fn map<M>(self, make: impl FnOnce(L) -> M) -> Lookup<M> {
        match self {
            Self::Live(link) => Lookup::Live(make(link)),
            Self::Expired => Lookup::Expired,
            Self::Unknown => Lookup::Unknown,
        }
    }
}
