//! From numbers to codes: FF1 (NIST SP 800-38G) with AES-256 over strings of seven base62 numerals.
//!
//! A bijection, so different numbers give different codes; without the key nobody can tell which code comes next. The
//! `fpe` crate does the cipher; here stand the key and numerals that fit a machine word, an order of magnitude faster
//! than its big integers.

use std::fmt;

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use fpe::ff1::{FF1, NumeralString, Operations};
use secrecy::{ExposeSecret, SecretString};
use shortlink_core::{Code, GENERATED_CODES, GENERATED_LENGTH};

use crate::config::ConfigError;

const SETTING: &str = "SHORTLINK_CODES_KEY";
const RADIX: u32 = 62;
/// Encrypted to tell keys apart. FF1 itself never encrypts this block: its first one begins with 1, 2, 1.
const FINGERPRINT_BLOCK: [u8; 16] = *b"short-link codes";

/// Turns numbers into codes under one key.
pub struct CodeCipher {
    ff1: FF1<Aes256Enc>,
    fingerprint: String,
}

impl CodeCipher {
    /// Reads the key: 64 hexadecimal digits.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn new(key: &SecretString) -> Result<Self, ConfigError> {
        let key = key_bytes(key.expose_secret()).ok_or_else(|| {
            ConfigError::new(SETTING, "must be 64 hexadecimal digits (openssl rand -hex 32)")
        })?;
        let ff1 = FF1::new(&key, RADIX).map_err(|error| ConfigError::new(SETTING, error.to_string()))?;
        Ok(Self { ff1, fingerprint: fingerprint(&key) })
    }

    /// Tells this key from others without giving it away: 16 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The code of a number; `None` from [`GENERATED_CODES`] on, where there are no codes left.
    #[must_use]
    pub fn encrypt(&self, number: u64) -> Option<Code> {
        if number >= GENERATED_CODES {
            return None;
        }
        let numerals = Numerals::new(number, GENERATED_LENGTH, RADIX);
        let encrypted = self.ff1.encrypt(&[], &numerals).ok()?;
        Some(Code::from_number(encrypted.value(RADIX)))
    }
}

impl fmt::Debug for CodeCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeCipher").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

fn key_bytes(digits: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(digits.trim(), &mut key).ok()?;
    Some(key)
}

fn fingerprint(key: &[u8; 32]) -> String {
    let mut block = FINGERPRINT_BLOCK.into();
    Aes256Enc::new(&(*key).into()).encrypt_block(&mut block);
    hex::encode(&block[..8])
}

/// A numeral string in its two halves, each of at most 64 bits.
struct Numerals(Half, Half);

#[derive(Clone, Copy)]
struct Half {
    value: u64,
    count: usize,
}

impl Numerals {
    fn new(value: u64, count: usize, radix: u32) -> Self {
        let (front, back) = (count / 2, count - count / 2);
        let split = power(radix, back);
        Self(Half { value: value / split, count: front }, Half { value: value % split, count: back })
    }

    fn value(&self, radix: u32) -> u64 {
        self.0.value * power(radix, self.1.count) + self.1.value
    }
}

impl NumeralString for Numerals {
    type Ops = Half;

    fn is_valid(&self, radix: u32) -> bool {
        [self.0, self.1].iter().all(|half| half.value < power(radix, half.count))
    }

    fn numeral_count(&self) -> usize {
        self.0.count + self.1.count
    }

    fn split(&self) -> (Half, Half) {
        (self.0, self.1)
    }

    fn concat(front: Half, back: Half) -> Self {
        Self(front, back)
    }
}

impl Operations for Half {
    type Bytes = Tail;

    fn numeral_count(&self) -> usize {
        self.count
    }

    fn to_be_bytes(&self, _radix: u32, length: usize) -> Tail {
        Tail { bytes: self.value.to_be_bytes(), length }
    }

    fn add_mod_exp(self, other: impl Iterator<Item = u8>, radix: u32, count: usize) -> Self {
        let modulus = power(radix, count);
        let sum = u128::from(self.value) + u128::from(big_endian_mod(other, modulus));
        Self { value: low(sum % u128::from(modulus)), count }
    }

    fn sub_mod_exp(self, other: impl Iterator<Item = u8>, radix: u32, count: usize) -> Self {
        let modulus = power(radix, count);
        let taken = big_endian_mod(other, modulus);
        let rest = u128::from(self.value) + u128::from(modulus) - u128::from(taken);
        Self { value: low(rest % u128::from(modulus)), count }
    }
}

/// The last `length` bytes of a number.
struct Tail {
    bytes: [u8; 8],
    length: usize,
}

impl AsRef<[u8]> for Tail {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - self.length..]
    }
}

fn power(radix: u32, count: usize) -> u64 {
    (0..count).fold(1, |product, _| product * u64::from(radix))
}

/// A number of at most 16 bytes, modulo a number of at most 8.
fn big_endian_mod(bytes: impl Iterator<Item = u8>, modulus: u64) -> u64 {
    let number = bytes.fold(0_u128, |number, byte| (number << 8) | u128::from(byte));
    match u64::try_from(number) {
        Ok(number) => number % modulus,
        Err(_) => low(number % u128::from(modulus)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each caller has just reduced it modulo a u64")]
fn low(number: u128) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests;
