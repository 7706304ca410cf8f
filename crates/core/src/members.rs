//! The members of a JSON object in a request. Their values are read when their names are known: what is ignored may be
//! anything that JSON allows, however deep and however large a number.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use thiserror::Error;

/// All that is wrong with a request: sentences a caller can act on, joined by `; `.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Problems(pub(crate) String);

/// The members of an object that have these names, and what is said of the others.
pub(crate) struct Members<'a, const N: usize> {
    names: [&'static str; N],
    values: [Option<&'a RawValue>; N],
    /// Whether there is a member with none of the names.
    pub(crate) has_others: bool,
    /// A member that stands more than once, as a message names it.
    repeated: Option<String>,
}

impl<'a, const N: usize> Members<'a, N> {
    /// Reads an object, with or without a byte-order mark before it; `subject` is what a message calls it. A member that
    /// stands twice is refused: readers differ in which one counts.
    pub(crate) fn read(text: &'a [u8], names: [&'static str; N], subject: &str) -> Result<Self, Problems> {
        let not_json = || Problems(format!("{subject} is not valid JSON"));
        let text = std::str::from_utf8(text).map_err(|_| not_json())?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let empty = Self { names, values: [None; N], has_others: false, repeated: None };
        let read =
            empty.deserialize(&mut deserializer).and_then(|members| deserializer.end().map(|()| members));
        let members = read.map_err(|_| {
            if serde_json::from_str::<IgnoredAny>(text).is_err() {
                not_json()
            } else if text.trim_start().starts_with('{') {
                Problems(format!("{subject} has a member whose name holds half of a surrogate pair"))
            } else {
                Problems(format!("{subject} must be a JSON object"))
            }
        })?;
        match members.repeated {
            Some(name) => {
                let name = if name.is_empty() { format!("{subject} has a member that") } else { name };
                Err(Problems(format!("{name} is given more than once")))
            }
            None => Ok(members),
        }
    }

    /// The value of a member; `None` when it is absent or null.
    pub(crate) fn value(&self, name: &str) -> Option<&'a RawValue> {
        let position = self.names.iter().position(|known| *known == name)?;
        self.values.get(position).copied().flatten().filter(|value| value.get() != "null")
    }

    /// The text of a member; `None` when it is absent or null.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, String> {
        let is_text = |value: &RawValue| value.get().starts_with('"');
        self.parsed(name, |value| {
            let problem = if is_text(value) { "holds half of a surrogate pair" } else { "must be a string" };
            problem.into()
        })
    }

    /// The value of a member as `T`; `None` when it is absent or null. `problem` completes the sentence "`name` …".
    pub(crate) fn parsed<T: DeserializeOwned>(
        &self,
        name: &str,
        problem: impl FnOnce(&RawValue) -> Cow<'static, str>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.value(name) else { return Ok(None) };
        serde_json::from_str(value.get()).map(Some).map_err(|_| format!("`{name}` {}", problem(value)))
    }
}

impl<'de, const N: usize> DeserializeSeed<'de> for Members<'de, N> {
    type Value = Self;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// A member's name, borrowed where it holds no escape.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, const N: usize> Visitor<'de> for Members<'de, N> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let value: &RawValue = map.next_value()?;
            let known = self.names.iter().zip(&mut self.values).find(|(known, _)| **known == name.0);
            let shown = if let Some((known, place)) = known {
                *place = Some(value);
                format!("`{known}`")
            } else {
                self.has_others = true;
                String::new()
            };
            if !seen.insert(name) {
                self.repeated.get_or_insert(shown);
            }
        }
        Ok(self)
    }
}

/// What parsing the text of a member gives; the problem names the member.
pub(crate) fn parse_text<T, E: fmt::Display>(
    name: &str,
    given: Result<Option<String>, String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, String> {
    given?.as_deref().map(parse).transpose().map_err(|error| format!("`{name}` {error}"))
}

/// The problems of several members as one.
pub(crate) fn problems(each: impl IntoIterator<Item = Option<String>>) -> Problems {
    Problems(each.into_iter().flatten().collect::<Vec<_>>().join("; "))
}
