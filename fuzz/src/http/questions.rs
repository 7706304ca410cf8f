//! Whether Postgres and the cache were told the right things.

use shortlink_core::{Alias, Code, Draft, Lookup, Timestamp, cache_entry, redis_keys::link_key};

use super::{
    dependencies::{Answers, Asked},
    expected::{Expected, Question},
    postgres::elements,
    statement::Statement,
};

/// `spin.toml` has this as `alias_quarantine_days`.
const QUARANTINE_DAYS: i32 = 30;
/// The components test with this key whether the cache is writable.
const NO_LINK: &[u8] = b"link:.";

/// When the request was answered. The expiry of a link whose creator names none counts from some time in between.
#[derive(Clone, Copy)]
pub struct Span {
    pub began: Timestamp,
    pub ended: Timestamp,
}

/// `code` is that of the answer, for a create.
pub fn assert_asked(expected: &Expected, told: &Answers, code: Option<&str>, span: Span) {
    let asked: Vec<&Asked> = told
        .asked
        .iter()
        .filter(|asked| {
            !matches!(
                asked.statement,
                Statement::CheckKey | Statement::Resolve | Statement::Preview | Statement::Other
            )
        })
        .collect();
    match (&expected.question, asked.as_slice()) {
        (Question::Nothing, []) | (Question::Any, _) => {}
        (Question::Exactly(question), [asked]) => assert_eq!(*asked, question),
        (Question::Create { draft, owner }, [Asked { statement: Statement::Create, parameters }]) => {
            let [code_asked, url, expires_at, is_custom, quarantine, owner_asked] = parameters.as_slice()
            else {
                panic!("{parameters:?}")
            };
            assert_eq!(code_asked.as_deref(), code.map(str::as_bytes), "{expected:?}");
            assert_eq!(url.as_deref(), Some(draft.target.as_str().as_bytes()), "{expected:?}");
            assert_expiry(draft, expires_at.as_deref(), span);
            assert_eq!(is_custom, &Some(vec![u8::from(draft.alias.is_some())]), "{expected:?}");
            assert_eq!(quarantine, &Some(number(QUARANTINE_DAYS)), "{expected:?}");
            assert_eq!(owner_asked, &Some(number(owner.0)), "{expected:?}");
        }
        (
            Question::CreateEach { items, owner, once },
            [Asked { statement: Statement::CreateEach, parameters }],
        ) => {
            let [codes, spares, urls, expiries, problems, rest @ ..] = parameters.as_slice() else {
                panic!("{parameters:?}")
            };
            let (key, hash) = once.clone().unzip();
            let other =
                [Some(number(QUARANTINE_DAYS)), Some(number(owner.0)), key.map(String::into_bytes), hash];
            assert_eq!(rest, other, "{expected:?}");
            let arrays = [codes, spares, urls, expiries, problems].map(|array| {
                let elements = elements(array.as_deref().unwrap_or_default());
                elements.filter(|elements| elements.len() == items.len()).expect("an element for each item")
            });
            for (place, item) in items.iter().enumerate() {
                assert_item(item, &arrays.each_ref().map(|array| array[place].as_deref()), span);
            }
        }
        (question, asked) => panic!("{asked:?} in place of {question:?}, with {expected:?}"),
    }
}

/// A link in its place of the five arrays.
fn assert_item(item: &Result<Draft, String>, asked: &[Option<&[u8]>; 5], span: Span) {
    let [code, spare, url, expires_at, problem] = *asked;
    match item {
        Ok(draft) => {
            let is_generated = |code: Option<&[u8]>| code.is_some_and(|code| Code::from_pool(code).is_ok());
            match draft.alias.clone().map(Alias::into_code) {
                Some(alias) => assert_eq!((code, spare), (Some(alias.as_str().as_bytes()), None)),
                None => assert!(is_generated(code) && is_generated(spare), "{code:?}, {spare:?}"),
            }
            assert_eq!((url, problem), (Some(draft.target.as_str().as_bytes()), None));
            assert_expiry(draft, expires_at, span);
        }
        Err(problems) => {
            assert_eq!((code, spare, url, expires_at), (None, None, None, None));
            assert_eq!(problem, Some(format!("problems {problems}").as_bytes()));
        }
    }
}

fn assert_expiry(draft: &Draft, asked: Option<&[u8]>, span: Span) {
    let asked = asked.and_then(|bytes| bytes.try_into().ok()).map_or(i64::MAX, i64::from_be_bytes);
    let apart = asked.abs_diff(draft.expiry.at().map_or(i64::MAX, Timestamp::unix_millis));
    assert!(apart <= span.ended.millis_since(span.began), "{asked}, {apart} ms from {draft:?}");
}

/// Nothing comes into the cache that a look-up would not take for an entry. After a change it holds what Postgres said last.
pub fn assert_cached(expected: &Expected, told: &Answers, span: Span) {
    for (key, value) in told.cached.iter().filter(|(key, _)| key != NO_LINK) {
        let code =
            key.strip_prefix(b"link:").and_then(|code| Code::parse(std::str::from_utf8(code).ok()?).ok());
        assert!(code.is_some(), "{key:?} is the key of no link");
        // By the time at which everything was live that ever was.
        let entry = cache_entry::decode(value, Timestamp::from_unix_millis(i64::MIN));
        assert!(entry.is_some(), "{value:?} is no entry");
    }
    let Some((code, lookup)) = &expected.cached else { return };
    if matches!(lookup, Lookup::Live(link) if link.expiry.is_expired(span.ended)) {
        return; // not worth an entry
    }
    let last = told.cached.iter().rev().find(|(key, _)| *key == link_key(code).into_bytes());
    let last = last.and_then(|(_, value)| cache_entry::decode(value, span.began));
    assert_eq!(last.as_ref(), Some(lookup), "{:?}", told.cached);
}

fn number(number: i32) -> Vec<u8> {
    number.to_be_bytes().into()
}
