//! The values in the redirect cache.
//!
//! | value | meaning |
//! | --- | --- |
//! | `<expires_at, Unix ms> <url>` | a link |
//! | `-` | no link has this code |
//! | `x` | the link with this code has expired |

use std::time::Duration;

use crate::{
    expiry::Expiry,
    link::{Link, Lookup},
    ports::Write,
    target_url::TargetUrl,
    time::Timestamp,
};

/// How long the cache remembers that there is no live link. Also the longest that a link created while the cache
/// refuses writes can stay hidden.
pub const NEGATIVE_LIFETIME: Duration = Duration::from_secs(10);

/// What to keep in the cache of a look-up, for how long, and whether it may replace what is there; `None` when nothing
/// is worth keeping. A link replaces anything; that there is none never does, so that it cannot hide a new link.
#[must_use]
pub fn encode(lookup: &Lookup, now: Timestamp, longest: Duration) -> Option<(String, Duration, Write)> {
    match lookup {
        Lookup::Live(link) => {
            let lifetime = longest.min(Duration::from_millis(link.expiry.millis_left(now)));
            let value = format!("{} {}", link.expiry.at().unix_millis(), link.target);
            (!lifetime.is_zero()).then_some((value, lifetime, Write::Replace))
        }
        Lookup::Unknown => Some(("-".into(), NEGATIVE_LIFETIME, Write::KeepExisting)),
        Lookup::Expired => Some(("x".into(), NEGATIVE_LIFETIME, Write::KeepExisting)),
    }
}

/// Reads a value back. `None`, a miss, for anything that [`encode`] did not write and for a link that is over: its code
/// may have a new one.
#[must_use]
pub fn decode(value: &[u8], now: Timestamp) -> Option<Lookup> {
    match value {
        b"-" => Some(Lookup::Unknown),
        b"x" => Some(Lookup::Expired),
        _ => {
            let (at, target) = std::str::from_utf8(value).ok()?.split_once(' ')?;
            let expiry = Expiry::stored(Timestamp::from_unix_millis(at.parse().ok()?));
            let target = TargetUrl::stored(target)?;
            (!expiry.is_over(now)).then_some(Lookup::Live(Link { target, expiry }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn live(millis_left: i64) -> Lookup {
        let expiry = Expiry::stored(Timestamp::from_unix_millis(NOW.unix_millis() + millis_left));
        Lookup::Live(Link { target: TargetUrl::parse("https://example.com/", &[]).unwrap(), expiry })
    }

    #[test]
    fn a_link_is_read_back_as_it_was() {
        let (value, lifetime, write) = encode(&live(7_200_000), NOW, HOUR).unwrap();
        assert_eq!(value, "8200000 https://example.com/");
        assert_eq!((lifetime, write), (HOUR, Write::Replace));
        assert_eq!(decode(value.as_bytes(), NOW), Some(live(7_200_000)));
    }

    #[test]
    fn a_link_is_kept_no_longer_than_it_lives() {
        assert_eq!(encode(&live(1500), NOW, HOUR).unwrap().1, Duration::from_millis(1500));
        assert_eq!(encode(&live(0), NOW, HOUR), None);
    }

    #[test]
    fn a_link_that_is_over_is_a_miss() {
        let (value, ..) = encode(&live(1), NOW, HOUR).unwrap();
        assert_eq!(decode(value.as_bytes(), Timestamp::from_unix_millis(NOW.unix_millis() + 1)), None);
    }

    #[test]
    fn that_there_is_no_link_never_replaces_an_entry() {
        for lookup in [Lookup::Unknown, Lookup::Expired] {
            let (value, lifetime, write) = encode(&lookup, NOW, HOUR).unwrap();
            assert_eq!((lifetime, write), (NEGATIVE_LIFETIME, Write::KeepExisting));
            assert_eq!(decode(value.as_bytes(), NOW), Some(lookup));
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
            b"never https://example.com/",
            b"8200000 https://example.com/\xff",
        ] {
            assert_eq!(decode(value, NOW), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_never_panics_and_gives_only_live_links(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(Lookup::Live(link)) = decode(&value, NOW) {
                prop_assert!(!link.expiry.is_over(NOW));
            }
        }
    }
}
