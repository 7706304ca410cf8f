//! What one instance of the service has just been told of API keys.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use crate::{
    api_key::{ApiKey, KeyHolder},
    time::Timestamp,
};

/// How long a verdict is used: a key that is revoked is refused everywhere after that.
pub const LIFETIME: Duration = Duration::from_secs(10);
/// How many verdicts are kept; one takes some 200 bytes.
const CAPACITY: usize = 256;

/// A bounded memory of keys, good and bad ones, so that not every request with a key asks the store.
#[derive(Default)]
pub struct KeyVerdicts(RefCell<BTreeMap<ApiKey, Verdict>>);

struct Verdict {
    holder: Option<Rc<KeyHolder>>,
    since: Timestamp,
}

impl KeyVerdicts {
    /// Who a key is; `Some(None)` for nobody, `None` when it is not known.
    #[must_use]
    pub fn get(&self, key: &ApiKey, now: Timestamp) -> Option<Option<Rc<KeyHolder>>> {
        let verdicts = self.0.borrow();
        let verdict = verdicts.get(key).filter(|verdict| verdict.is_fresh(now))?;
        Some(verdict.holder.clone().filter(|holder| holder.is_valid(now)))
    }

    /// Keeps what the store said of a key when it was asked at `asked`. A full memory forgets what is past its lifetime, or
    /// else everything: a caller with many bad keys must not make it useless for longer than that.
    pub fn put(&self, key: ApiKey, holder: Option<Rc<KeyHolder>>, asked: Timestamp) {
        let mut verdicts = self.0.borrow_mut();
        if verdicts.len() >= CAPACITY {
            verdicts.retain(|_, verdict| verdict.is_fresh(asked));
            if verdicts.len() >= CAPACITY {
                verdicts.clear();
            }
        }
        verdicts.insert(key, Verdict { holder, since: asked });
    }
}

impl Verdict {
    /// A clock that is set back makes a verdict last two lifetimes at most.
    fn is_fresh(&self, now: Timestamp) -> bool {
        let apart = now.millis_since(self.since).max(self.since.millis_since(now));
        u128::from(apart) < LIFETIME.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api_key::KeyId, expiry::Expiry};

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn key(number: usize) -> ApiKey {
        ApiKey::parse(&format!("slk_{number:0>43}")).unwrap()
    }

    fn holder(expiry: Expiry) -> Rc<KeyHolder> {
        Rc::new(KeyHolder { id: KeyId(1), name: "ci".into(), scopes: Vec::new(), expiry })
    }

    fn after(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(NOW.unix_millis() + millis)
    }

    #[test]
    fn a_verdict_is_used_for_ten_seconds_good_or_bad() {
        let verdicts = KeyVerdicts::default();
        verdicts.put(key(1), Some(holder(Expiry::Never)), NOW);
        verdicts.put(key(2), None, NOW);
        assert_eq!(verdicts.get(&key(1), after(9_999)), Some(Some(holder(Expiry::Never))));
        assert_eq!(verdicts.get(&key(2), after(9_999)), Some(None));
        for number in [1, 2] {
            assert_eq!(verdicts.get(&key(number), after(10_000)), None);
            assert_eq!(verdicts.get(&key(number), after(-10_000)), None);
        }
        assert_eq!(verdicts.get(&key(3), NOW), None);
    }

    #[test]
    fn a_key_that_expires_is_bad_from_then_on() {
        let verdicts = KeyVerdicts::default();
        verdicts.put(key(1), Some(holder(Expiry::At(after(5)))), NOW);
        assert!(verdicts.get(&key(1), after(4)).unwrap().is_some());
        assert_eq!(verdicts.get(&key(1), after(5)), Some(None));
    }

    #[test]
    fn it_stays_small_whatever_is_tried() {
        let verdicts = KeyVerdicts::default();
        for number in 0..CAPACITY * 3 {
            verdicts.put(key(number), None, NOW);
            assert!(verdicts.0.borrow().len() <= CAPACITY);
        }
    }
}
