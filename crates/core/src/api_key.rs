//! API keys: who may create and manage links.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{expiry::Expiry, time::Timestamp};

const PREFIX: &str = "slk_";
/// How many base62 characters follow the prefix: 256 bits.
const RANDOM_CHARACTERS: usize = 43;

/// A key that a caller sent, of the right form. Its text is not kept: the store knows keys by their hash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiKey([u8; 32]);

/// The text has not the form of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an API key")]
pub struct NotAnApiKey;

/// Shows nothing of the key.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

impl ApiKey {
    /// Reads `slk_` and 43 base62 characters. Anything else costs no more than a look at its length and characters.
    ///
    /// # Errors
    /// [`NotAnApiKey`]
    pub fn parse(text: &str) -> Result<Self, NotAnApiKey> {
        let random = text.strip_prefix(PREFIX).ok_or(NotAnApiKey)?;
        if random.len() != RANDOM_CHARACTERS || !random.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(NotAnApiKey);
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    /// The SHA-256 of the key's text.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// To create links, which are the key's own.
    Create,
    /// To see its own links.
    Read,
    /// To see and change its own links.
    Manage,
    /// To do all of that, with every link.
    Admin,
}

impl Scope {
    const ALL: [Self; 4] = [Self::Create, Self::Read, Self::Manage, Self::Admin];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Manage => "manage",
            Self::Admin => "admin",
        }
    }

    /// The scope of a word; `None` for one of a newer release, which allows nothing here.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// The number of a key in the store, to which links belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub i32);

impl KeyId {
    /// The owner of links that were created without a key; for a search, every owner.
    pub const NONE: Self = Self(0);
}

/// Who a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// Its number.
    pub id: KeyId,
    /// Its name, which may be shown and logged.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// When it expires.
    pub expiry: Expiry,
}

impl KeyHolder {
    /// Whether the key allows this.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| {
            *held == scope || *held == Scope::Admin || (*held == Scope::Manage && scope == Scope::Read)
        })
    }

    /// Whose links the key may see and change: its own, or those of every owner.
    #[must_use]
    pub fn reach(&self) -> KeyId {
        if self.may(Scope::Admin) { KeyId::NONE } else { self.id }
    }

    /// Whether the key is good at this time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        !self.expiry.is_expired(now)
    }
}

/// A text that makes a create that is sent again the same create: 1 to 64 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The text is no idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the Idempotency-Key must be 1 to 64 visible ASCII characters")]
pub struct NotAnIdempotencyKey;

impl IdempotencyKey {
    /// Reads the value of the header.
    ///
    /// # Errors
    /// [`NotAnIdempotencyKey`]
    pub fn parse(text: &str) -> Result<Self, NotAnIdempotencyKey> {
        let is_key = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_key { Ok(Self(text.into())) } else { Err(NotAnIdempotencyKey) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_of_a_key_is_one() {
        let random = "0aZ".repeat(14) + "x";
        assert!(ApiKey::parse(&format!("slk_{random}")).is_ok());
        for text in [
            String::new(),
            random.clone(),
            format!("SLK_{random}"),
            format!("slk_{random}0"),
            format!("slk_{}", &random[1..]),
            format!("slk_{}-", &random[1..]),
            format!("slk_{}é", &random[2..]),
            format!(" slk_{random}"),
        ] {
            assert_eq!(ApiKey::parse(&text), Err(NotAnApiKey), "{text}");
        }
    }

    #[test]
    fn a_key_is_known_by_its_sha_256_and_shows_nothing() {
        let key = ApiKey::parse(&format!("slk_{}", "0".repeat(43))).unwrap();
        let hash = key.hash().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        assert_eq!(hash, "963cc0a0774cc7b965f6ad4d5ff270bcbcc051b30b19ac7407299c6e88fc7cab");
        assert_eq!(format!("{key:?}"), "ApiKey");
    }

    #[test]
    fn scopes_contain_one_another() {
        let holder = |scopes: &[Scope]| KeyHolder {
            id: KeyId(7),
            name: "ci".into(),
            scopes: scopes.into(),
            expiry: Expiry::Never,
        };
        for (scopes, may, reach) in [
            (&[Scope::Create][..], [true, false, false, false], 7),
            (&[Scope::Read], [false, true, false, false], 7),
            (&[Scope::Manage], [false, true, true, false], 7),
            (&[Scope::Create, Scope::Manage], [true, true, true, false], 7),
            (&[Scope::Admin], [true; 4], 0),
            (&[], [false; 4], 7),
        ] {
            let holder = holder(scopes);
            assert_eq!(Scope::ALL.map(|scope| holder.may(scope)), may, "{scopes:?}");
            assert_eq!(holder.reach(), KeyId(reach));
        }
    }

    #[test]
    fn an_idempotency_key_is_visible_and_short() {
        let longest = "k".repeat(64);
        for text in ["a", "2f1c-…"] {
            assert_eq!(IdempotencyKey::parse(text).is_ok(), text.is_ascii(), "{text}");
        }
        assert!(IdempotencyKey::parse(&longest).is_ok());
        for text in ["", " ", "a b", "a\n", &format!("{longest}k")] {
            assert_eq!(IdempotencyKey::parse(text), Err(NotAnIdempotencyKey), "{text:?}");
        }
    }
}
