use std::collections::HashSet;

use aes::Aes128Enc;
use proptest::prelude::*;

use super::*;

const KEY: &str = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94";

fn cipher(key: &str) -> CodeCipher {
    CodeCipher::new(&key.into()).unwrap()
}

/// Encrypts digits (0-9a-z) as the samples of NIST SP 800-38G do, and decrypts the result again.
fn ff1<C>(key: &[u8], radix: u32, tweak: &[u8], text: &str) -> String
where
    C: KeyInit + BlockCipherEncrypt + Clone,
{
    let half = |text: &str| Half { value: u64::from_str_radix(text, radix).unwrap(), count: text.len() };
    let show = |half: Half| {
        (0..half.count).rev().map(move |place| {
            let digit = half.value / power(radix, place) % u64::from(radix);
            char::from_digit(u32::try_from(digit).unwrap(), radix).unwrap()
        })
    };
    let (front, back) = text.split_at(text.len() / 2);
    let cipher = FF1::<C>::new(key, radix).unwrap();
    let Numerals(front, back) = cipher.encrypt(tweak, &Numerals(half(front), half(back))).unwrap();
    let Numerals(a, b) = cipher.decrypt(tweak, &Numerals(front, back)).unwrap();
    assert_eq!(show(a).chain(show(b)).collect::<String>(), text);
    show(front).chain(show(back)).collect()
}

#[test]
fn the_samples_of_the_standard_come_out() {
    let key = key_bytes(KEY).unwrap();
    let tweak = b"9876543210";
    let long_tweak = b"7777pqrs777";
    assert_eq!(ff1::<Aes128Enc>(&key[..16], 10, b"", "0123456789"), "2433477484");
    assert_eq!(ff1::<Aes128Enc>(&key[..16], 10, tweak, "0123456789"), "6124200773");
    assert_eq!(ff1::<Aes128Enc>(&key[..16], 36, long_tweak, "0123456789abcdefghi"), "a9tv40mll9kdu509eum");
    assert_eq!(ff1::<Aes256Enc>(&key, 10, b"", "0123456789"), "6657667009");
    assert_eq!(ff1::<Aes256Enc>(&key, 10, tweak, "0123456789"), "1001623463");
    assert_eq!(ff1::<Aes256Enc>(&key, 36, long_tweak, "0123456789abcdefghi"), "xs8a0azh2avyalyzuwd");
}

#[test]
fn the_codes_of_a_key_never_change() {
    let codes: Vec<String> = (0..3).map(|number| cipher(KEY).encrypt(number).unwrap().to_string()).collect();
    assert_eq!(codes, ["WaS0nej", "xlwitLW", "7g6hvHv"]);
}

#[test]
fn no_two_numbers_share_a_code() {
    let cipher = cipher(KEY);
    let ends = (0..100_000).chain(GENERATED_CODES - 100_000..GENERATED_CODES);
    let codes: HashSet<Code> = ends.map(|number| cipher.encrypt(number).unwrap()).collect();
    assert_eq!(codes.len(), 200_000);
}

#[test]
fn after_the_last_code_there_is_none() {
    assert!(cipher(KEY).encrypt(GENERATED_CODES - 1).is_some());
    assert!(cipher(KEY).encrypt(GENERATED_CODES).is_none());
}

#[test]
fn a_key_is_64_hexadecimal_digits() {
    for bad in ["", "00", &"g".repeat(64), &"0".repeat(63), &"é".repeat(32), &format!("+{}", "0".repeat(63))]
    {
        let error = CodeCipher::new(&bad.into()).unwrap_err();
        assert!(error.to_string().starts_with("SHORTLINK_CODES_KEY must be 64 hex"), "{error}");
    }
}

#[test]
fn the_fingerprint_tells_keys_apart_and_not_their_spelling() {
    assert_eq!(cipher(KEY).fingerprint(), cipher(&KEY.to_lowercase()).fingerprint());
    assert_ne!(cipher(KEY).fingerprint(), cipher(&KEY.replace('2', "3")).fingerprint());
    assert_eq!(format!("{:?}", cipher(KEY)).matches("2B7E").count(), 0);
}

proptest! {
    #[test]
    fn a_code_leads_back_to_its_number(number in 0..GENERATED_CODES) {
        let cipher = cipher(KEY);
        let encrypted = cipher.ff1.encrypt(&[], &Numerals::new(number, GENERATED_LENGTH, RADIX)).unwrap();
        let again = cipher.ff1.decrypt(&[], &Numerals::new(encrypted.value(RADIX), GENERATED_LENGTH, RADIX)).unwrap();
        prop_assert_eq!(again.value(RADIX), number);
    }

    #[test]
    fn every_code_is_a_pool_entry(number in 0..GENERATED_CODES) {
        let code = cipher(KEY).encrypt(number).unwrap();
        prop_assert_eq!(Code::from_pool(code.as_str().as_bytes()), Ok(code));
    }
}
