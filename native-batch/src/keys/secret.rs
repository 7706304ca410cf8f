//! The key itself: `slk_` and 43 base62 characters.

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const PREFIX: &str = "slk_";
/// Of 62 possible characters each: 62^43 is a little more than 2^256.
const CHARACTERS: usize = 43;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new key, from the system's random source.
pub fn generate() -> Result<SecretString> {
    let mut key = String::with_capacity(PREFIX.len() + CHARACTERS);
    key.push_str(PREFIX);
    while key.len() < PREFIX.len() + CHARACTERS {
        let mut byte = [0];
        getrandom::fill(&mut byte).context("the system gives no random numbers")?;
        key.extend(character(byte[0]));
    }
    Ok(key.into())
}

/// `None` for the last 8 of the 256 bytes: with them some characters would be more likely than others.
fn character(byte: u8) -> Option<char> {
    let every = BASE62.iter().cycle().take(256 / BASE62.len() * BASE62.len());
    every.copied().nth(byte.into()).map(char::from)
}

/// What Postgres holds of a key.
pub fn hash(key: &SecretString) -> [u8; 32] {
    Sha256::digest(key.expose_secret()).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_key_is_its_prefix_and_43_base62_characters() {
        let key = generate().unwrap();
        let characters = key.expose_secret().strip_prefix("slk_").unwrap();
        assert_eq!(characters.len(), 43);
        assert!(characters.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(key.expose_secret(), generate().unwrap().expose_secret());
    }

    #[test]
    fn every_character_is_as_likely_as_any_other() {
        let mut counts = BTreeMap::new();
        for character in (0..=u8::MAX).filter_map(character) {
            *counts.entry(character).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4));
    }

    #[test]
    fn the_hash_is_sha_256_of_the_whole_key() {
        let hash = hash(&SecretString::from("abc"));
        assert_eq!(hex::encode(hash), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_key_does_not_print() {
        assert!(!format!("{:?}", generate().unwrap()).contains("slk_"));
    }
}
