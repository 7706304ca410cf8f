//! The values in the redirect cache.
//!
//! | value | meaning |
//! | --- | --- |
//! | `<expires_at, Unix ms> <url>` | a link |
//! | `never <url>` | a link without an end |
//! | `-` | no link has this code |
//! | `x` | the link with this code has expired, or is disabled or deleted |
//!
//! A link may change while somebody fills the cache with what it was. So a fill after a miss ([`filling`]) replaces nothing,
//! and whoever changes a link replaces its entry ([`replacing`]) and deletes none: then an old value never covers a new one.

use std::time::Duration;

use crate::{
    code::Code,
    expiry::Expiry,
    link::{Link, Lookup},
    target_url::TargetUrl,
    time::Timestamp,
};

/// How long the cache holds that there is no live link: longer than a look-up takes that began before a link was withdrawn. Also the longest that a link created while the cache refuses
/// writes can stay hidden.
pub const NEGATIVE_LIFETIME: Duration = Duration::from_secs(10);

/// The lifetimes of links differ by a part of this: those that came into the cache together do not leave it together.
const JITTER_STEPS: u32 = 1024;

/// What an entry does to one that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It replaces the other.
    Replace,
    /// It is dropped: the other may be newer.
    KeepExisting,
}

/// An entry for the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its text.
    pub value: String,
    /// How long it is held at most.
    pub lifetime: Duration,
    /// Whether it may replace what is there.
    pub write: Write,
}

/// The entry after a miss, or for a new code; `None` when it is not worth one. A link is held for nine tenths of `longest` to
/// all of it, depending on its code, and never past its expiry.
#[must_use]
pub fn filling(code: &Code, lookup: &Lookup, now: Timestamp, longest: Duration) -> Option<Entry> {
    encode(code, lookup, now, longest, Write::KeepExisting)
}

/// The same after a change, or in place of an entry that is of no use.
#[must_use]
pub fn replacing(code: &Code, lookup: &Lookup, now: Timestamp, longest: Duration) -> Option<Entry> {
    encode(code, lookup, now, longest, Write::Replace)
}

fn encode(code: &Code, lookup: &Lookup, now: Timestamp, longest: Duration, write: Write) -> Option<Entry> {
    let none = |value: &str| Entry { value: value.into(), lifetime: NEGATIVE_LIFETIME, write };
    match lookup {
        Lookup::Live(link) => {
            let left = Duration::from_millis(link.expiry.millis_left(now));
            let lifetime = longest.saturating_sub(jitter(code, longest)).min(left);
            let value = format!("{} {}", link.expiry, link.target);
            (!lifetime.is_zero()).then_some(Entry { value, lifetime, write })
        }
        Lookup::Unknown => Some(none("-")),
        Lookup::Expired => Some(none("x")),
    }
}

/// Up to a tenth of `longest`. By the code, and not by chance: any spread over the codes will do.
fn jitter(code: &Code, longest: Duration) -> Duration {
    let spread = code
        .as_str()
        .bytes()
        .fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(byte)).wrapping_mul(0x9E37_79B1).rotate_left(13));
    let step = spread.checked_rem(JITTER_STEPS).unwrap_or_default();
    longest.mul_f64(0.1 * f64::from(step) / f64::from(JITTER_STEPS))
}

/// Reads a value back. `None`, a miss, for anything that [`encode`] did not write and for a link that has expired: its code
/// may have a new one.
#[must_use]
pub fn decode(value: &[u8], now: Timestamp) -> Option<Lookup> {
    match value {
        b"-" => Some(Lookup::Unknown),
        b"x" => Some(Lookup::Expired),
        _ => {
            let (expiry, target) = std::str::from_utf8(value).ok()?.split_once(' ')?;
            let expiry = Expiry::decode(expiry)?;
            let target = TargetUrl::stored(target)?;
            (!expiry.is_expired(now)).then_some(Lookup::Live(Link { target, expiry }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn code() -> Code {
        Code::from_number(7)
    }

    fn live(millis_left: i64) -> Lookup {
        let expiry = Expiry::stored(Timestamp::from_unix_millis(NOW.unix_millis() + millis_left));
        Lookup::Live(Link { target: TargetUrl::parse("https://example.com/", &[]).unwrap(), expiry })
    }

    #[test]
    fn a_link_is_read_back_as_it_was() {
        let entry = filling(&code(), &live(7_200_000), NOW, HOUR).unwrap();
        assert_eq!(
            (entry.value.as_str(), entry.write),
            ("8200000 https://example.com/", Write::KeepExisting)
        );
        assert_eq!(decode(entry.value.as_bytes(), NOW), Some(live(7_200_000)));
    }

    #[test]
    fn links_that_are_cached_together_leave_the_cache_at_different_times() {
        let lifetimes: Vec<Duration> = (0..1000)
            .map(|number| filling(&Code::from_number(number), &live(7_200_000), NOW, HOUR).unwrap().lifetime)
            .collect();
        assert!(lifetimes.iter().all(|lifetime| (HOUR * 9 / 10..=HOUR).contains(lifetime)));
        // In none of ten equal parts of the spread are more than twice as many as there would be on average.
        for part in 0..10 {
            let from = HOUR * 9 / 10 + HOUR / 100 * part;
            let within = lifetimes.iter().filter(|lifetime| (from..from + HOUR / 100).contains(lifetime));
            assert!(within.count() < 200, "part {part}");
        }
    }

    #[test]
    fn a_link_without_an_end_is_read_back_and_held_as_long_as_any_other() {
        let lookup = |expiry| {
            Lookup::Live(Link { target: TargetUrl::parse("https://example.com/", &[]).unwrap(), expiry })
        };
        let entry = filling(&code(), &lookup(Expiry::Never), NOW, HOUR).unwrap();
        assert_eq!(entry.value, "never https://example.com/");
        assert_eq!(entry.lifetime, filling(&code(), &live(7_200_000), NOW, HOUR).unwrap().lifetime);
        assert_eq!(decode(entry.value.as_bytes(), NOW), Some(lookup(Expiry::Never)));
    }

    #[test]
    fn a_link_is_kept_no_longer_than_it_lives() {
        let lifetime = filling(&code(), &live(1500), NOW, HOUR).unwrap().lifetime;
        assert_eq!(lifetime, Duration::from_millis(1500));
        assert_eq!(filling(&code(), &live(0), NOW, HOUR), None);
    }

    #[test]
    fn an_expired_link_is_a_miss() {
        let entry = filling(&code(), &live(1), NOW, HOUR).unwrap();
        assert_eq!(decode(entry.value.as_bytes(), Timestamp::from_unix_millis(NOW.unix_millis() + 1)), None);
    }

    #[test]
    fn after_a_change_the_entry_replaces_another_one() {
        let entry = replacing(&code(), &live(7_200_000), NOW, HOUR).unwrap();
        assert_eq!(
            entry,
            Entry { write: Write::Replace, ..filling(&code(), &live(7_200_000), NOW, HOUR).unwrap() }
        );
        let entry = replacing(&code(), &Lookup::Expired, NOW, HOUR).unwrap();
        assert_eq!((entry.lifetime, entry.write), (NEGATIVE_LIFETIME, Write::Replace));
    }

    #[test]
    fn a_fill_for_no_link_is_short() {
        for lookup in [Lookup::Unknown, Lookup::Expired] {
            let entry = filling(&code(), &lookup, NOW, HOUR).unwrap();
            assert_eq!((entry.lifetime, entry.write), (NEGATIVE_LIFETIME, Write::KeepExisting));
            assert_eq!(decode(entry.value.as_bytes(), NOW), Some(lookup));
        }
    }

    #[test]
    fn anything_else_is_a_miss() {
        for value in [
            &b""[..],
            b"--",
            b" ",
            b"8200000",
            b"8200000 ",
            b"8200000 javascript:alert(1)",
            b"8200000 https://example.com/\r\nSet-Cookie: a=b",
            b"Never https://example.com/",
            b"-1x https://example.com/",
            b"8200000 https://example.com/\xff",
        ] {
            assert_eq!(decode(value, NOW), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_never_panics_and_gives_only_live_links(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(Lookup::Live(link)) = decode(&value, NOW) {
                prop_assert!(!link.expiry.is_expired(NOW));
            }
        }
    }
}
