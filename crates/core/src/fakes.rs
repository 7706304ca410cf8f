//! The ports in memory, for tests.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    future::{Future, ready},
};

use crate::{
    cache_entry::{Entry, Write},
    code::Code,
    expiry::Expiry,
    link::{Link, Lookup, NewLink},
    ports::{Claim, CodePool, LinkCache, LinkStore, StoreError},
    time::Timestamp,
};

/// A [`LinkStore`] with a clock that stands still until it is set.
pub struct FakeStore {
    links: RefCell<BTreeMap<Code, Link>>,
    now: Cell<Timestamp>,
    down: Cell<bool>,
    full: Cell<bool>,
}

impl Default for FakeStore {
    fn default() -> Self {
        Self {
            links: RefCell::default(),
            now: Cell::new(Timestamp::from_unix_millis(0)),
            down: Cell::new(false),
            full: Cell::new(false),
        }
    }
}

impl FakeStore {
    /// Sets the clock by which links expire.
    pub fn set_now(&self, now: Timestamp) {
        self.now.set(now);
    }

    /// Whether every call fails from now on.
    pub fn fail(&self, down: bool) {
        self.down.set(down);
    }

    /// Answers every create as if a live link had the code.
    pub fn take_every_code(&self) {
        self.full.set(true);
    }

    /// Lets the link of this code expire now.
    pub fn expire(&self, code: &str) {
        let mut links = self.links.borrow_mut();
        for (_, link) in links.iter_mut().filter(|(key, _)| key.as_str() == code) {
            link.expiry = Expiry::stored(self.now.get());
        }
    }

    /// Where a code leads, expired or not.
    #[must_use]
    pub fn target(&self, code: &str) -> Option<String> {
        let links = self.links.borrow();
        links.iter().find(|(key, _)| key.as_str() == code).map(|(_, link)| link.target.to_string())
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.down.get() { Err(StoreError::Unavailable("told to fail".into())) } else { Ok(()) }
    }

    fn claim(&self, new: &NewLink) -> Claim {
        if new.link.expiry.is_expired(self.now.get()) {
            return Claim::AlreadyExpired;
        }
        let mut links = self.links.borrow_mut();
        let held = links.get(&new.code).is_some_and(|link| !link.expiry.is_expired(self.now.get()));
        if held || self.full.get() {
            return Claim::Taken;
        }
        links.insert(new.code.clone(), new.link.clone());
        Claim::Created
    }

    fn look_up(&self, code: &Code) -> Lookup {
        match self.links.borrow().get(code) {
            None => Lookup::Unknown,
            Some(link) if link.expiry.is_expired(self.now.get()) => Lookup::Expired,
            Some(link) => Lookup::Live(link.clone()),
        }
    }
}

impl LinkStore for FakeStore {
    fn create(&self, link: &NewLink) -> impl Future<Output = Result<Claim, StoreError>> {
        ready(self.up().map(|()| self.claim(link)))
    }

    fn find(&self, code: &Code) -> impl Future<Output = Result<Lookup, StoreError>> {
        ready(self.up().map(|()| self.look_up(code)))
    }
}

/// A [`LinkCache`] that forgets nothing.
#[derive(Default)]
pub struct FakeCache(RefCell<BTreeMap<String, String>>);

impl FakeCache {
    /// Puts any value under a code.
    pub fn insert(&self, code: &str, value: &str) {
        self.0.borrow_mut().insert(code.into(), value.into());
    }

    /// The value under a code.
    #[must_use]
    pub fn value(&self, code: &str) -> Option<String> {
        self.0.borrow().get(code).cloned()
    }
}

impl LinkCache for FakeCache {
    fn get(&self, code: &Code) -> impl Future<Output = Option<Vec<u8>>> {
        ready(self.value(code.as_str()).map(String::into_bytes))
    }

    fn put(&self, code: &Code, entry: Entry) -> impl Future<Output = ()> {
        self.put_soon(code, entry);
        ready(())
    }

    fn put_soon(&self, code: &Code, entry: Entry) {
        if entry.write == Write::Replace || self.value(code.as_str()).is_none() {
            self.insert(code.as_str(), &entry.value);
        }
    }
}

/// A [`CodePool`] of the codes it is filled with.
#[derive(Default)]
pub struct FakePool(RefCell<VecDeque<Code>>);

impl FakePool {
    /// Adds codes at the end, skipping what is no code of a pool.
    pub fn fill<'a>(&self, codes: impl IntoIterator<Item = &'a str>) {
        let codes = codes.into_iter().filter_map(|code| Code::from_pool(code.as_bytes()).ok());
        self.0.borrow_mut().extend(codes);
    }
}

impl CodePool for FakePool {
    fn next(&self) -> impl Future<Output = Option<Code>> {
        ready(self.0.borrow_mut().pop_front())
    }
}
