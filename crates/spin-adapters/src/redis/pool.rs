//! The pool of pre-generated codes on Redis: the list `shortlink:codes`.
//!
//! An instance prefetches codes: one at first, then twice as many each time, up to `pool_prefetch`. Those that it does not
//! use are lost when it ends: never more than it has used, and at most `pool_prefetch` less one. An answer of Redis that
//! never arrives loses the codes of that command as well, at most `pool_prefetch`.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use shortlink_core::{Code, ports::CodePool, redis_keys::CODES_LIST};
use shortlink_guest::log;
use spin_sdk::redis::{RedisParameter, RedisResult};

use super::{
    connection::{Cooldowns, Redis},
    server::{Server, Spin},
};

/// How many malformed entries one create skips before it does without the pool.
const MALFORMED_LIMIT: usize = 3;

/// The pool of codes.
pub struct RedisPool<S: Server = Spin> {
    redis: Redis<S>,
    prefetched: Prefetched,
}

/// The codes that the instance has prefetched.
struct Prefetched {
    codes: RefCell<VecDeque<Vec<u8>>>,
    /// How many to fetch next time.
    next: Cell<usize>,
    /// Whether a request fetches more than one.
    is_fetching: Cell<bool>,
    most: usize,
}

/// A request's right to fetch so many codes.
struct Fetch<'a> {
    prefetched: &'a Prefetched,
    count: usize,
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        if self.count > 1 {
            self.prefetched.is_fetching.set(false);
        }
    }
}

impl Prefetched {
    fn new(most: usize) -> Self {
        Self { codes: RefCell::default(), next: Cell::new(1), is_fetching: Cell::new(false), most }
    }

    fn take(&self) -> Option<Vec<u8>> {
        self.codes.borrow_mut().pop_front()
    }

    /// How many codes to fetch when none is left. While one request fetches several, the others fetch one each, so that the
    /// loss stays bounded.
    fn fetch(&self) -> Fetch<'_> {
        let count = if self.is_fetching.get() { 1 } else { self.next.get() };
        if count > 1 {
            self.is_fetching.set(true);
        }
        Fetch { prefetched: self, count }
    }
}

impl Fetch<'_> {
    /// Keeps all codes but the first, which is the request's own.
    fn keep(self, entries: impl IntoIterator<Item = Vec<u8>>) -> Option<Vec<u8>> {
        let mut entries = entries.into_iter();
        let first = entries.next();
        self.prefetched.codes.borrow_mut().extend(entries);
        let next = if first.is_some() { self.count.saturating_mul(2).min(self.prefetched.most) } else { 1 };
        if self.count == self.prefetched.next.get() {
            self.prefetched.next.set(next);
        }
        first
    }
}

impl RedisPool {
    /// A pool from which an instance takes at most `prefetch` codes at a time.
    #[must_use]
    pub fn new(redis: Redis, prefetch: usize) -> Self {
        Self::on(redis, prefetch)
    }
}

impl<S: Server> RedisPool<S> {
    /// The same on another kind of server.
    pub fn on(redis: Redis<S>, prefetch: usize) -> Self {
        Self { redis, prefetched: Prefetched::new(prefetch) }
    }

    async fn pop(&self) -> Option<Vec<u8>> {
        if let Some(entry) = self.prefetched.take() {
            return Some(entry);
        }
        let fetch = self.prefetched.fetch();
        let answer = self.redis.execute("LPOP", lpop(fetch.count), Cooldowns::Obey).await?;
        fetch.keep(entries(answer))
    }

    /// Takes up to so many codes at once; fewer when the pool has no more, none when it cannot answer.
    pub async fn take(&self, count: usize) -> Vec<Code> {
        if count == 0 {
            return Vec::new();
        }
        let answer = self.redis.execute("LPOP", lpop(count), Cooldowns::Obey).await.unwrap_or_default();
        entries(answer).filter_map(|entry| code(&entry)).collect()
    }

    /// How many codes are left; `None` when the pool cannot answer or hands none out, as on a replica that is read-only.
    pub async fn available(&self) -> Option<u64> {
        self.redis.execute("LPOP", lpop(0), Cooldowns::Ignore).await?;
        let answer = self.redis.execute("LLEN", vec![list()], Cooldowns::Ignore).await?;
        answer.into_iter().find_map(|item| match item {
            RedisResult::Int64(length) => u64::try_from(length).ok(),
            RedisResult::Nil | RedisResult::Status(_) | RedisResult::Binary(_) => None,
        })
    }
}

/// The entries in an answer to `LPOP`.
fn entries(answer: Vec<RedisResult>) -> impl Iterator<Item = Vec<u8>> {
    answer.into_iter().filter_map(|item| match item {
        RedisResult::Binary(entry) => Some(entry),
        RedisResult::Status(entry) => Some(entry.into_bytes()),
        RedisResult::Nil | RedisResult::Int64(_) => None,
    })
}

/// The code that an entry is; one that is none is logged.
fn code(entry: &[u8]) -> Option<Code> {
    let code = Code::from_pool(entry);
    code.inspect_err(|error| {
        log::failure("redis_codes", &format!("skipped an entry of the pool: it {error}"));
    })
    .ok()
}

fn list() -> RedisParameter {
    RedisParameter::Binary(CODES_LIST.into())
}

fn lpop(count: usize) -> Vec<RedisParameter> {
    vec![list(), RedisParameter::Int64(i64::try_from(count).unwrap_or(1))]
}

impl<S: Server> CodePool for RedisPool<S> {
    async fn next(&self) -> Option<Code> {
        for _ in 0..MALFORMED_LIMIT {
            if let Some(code) = code(&self.pop().await?) {
                return Some(code);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use shortlink_guest::host::simulated::run;

    use super::*;
    use crate::redis::{
        fake::{Answer, FakeServer},
        settings::RedisSettings,
    };

    fn entries(count: usize) -> Vec<Vec<u8>> {
        vec![b"aaaaaaa".to_vec(); count]
    }

    fn fetch(prefetched: &Prefetched, available: usize) -> (usize, Option<Vec<u8>>) {
        let fetch = prefetched.fetch();
        let count = fetch.count;
        (count, fetch.keep(entries(count.min(available))))
    }

    #[test]
    fn more_codes_are_fetched_each_time_up_to_the_limit() {
        let prefetched = Prefetched::new(6);
        let mut fetched = Vec::new();
        for _ in 0..5 {
            fetched.push(fetch(&prefetched, 100).0);
            while prefetched.take().is_some() {}
        }
        assert_eq!(fetched, [1, 2, 4, 6, 6]);
    }

    #[test]
    fn an_instance_never_holds_more_codes_than_it_has_used() {
        let prefetched = Prefetched::new(64);
        let mut used = 0;
        for _ in 0..200 {
            if prefetched.take().is_none() {
                fetch(&prefetched, 100);
            }
            used += 1;
            assert!(prefetched.codes.borrow().len() <= used);
        }
    }

    #[test]
    fn requests_that_fetch_at_the_same_time_do_not_raise_what_an_instance_holds() {
        let prefetched = Prefetched::new(8);
        let mut used = 0;
        for _ in 0..20 {
            let fetches: Vec<_> = (0..16).map(|_| prefetched.fetch()).collect();
            assert!(fetches.iter().filter(|fetch| fetch.count > 1).count() <= 1);
            // The answers come in the other order.
            for fetch in fetches.into_iter().rev() {
                let count = fetch.count;
                fetch.keep(entries(count));
                used += 1;
            }
            assert!(prefetched.codes.borrow().len() <= used.min(7), "{}", prefetched.codes.borrow().len());
            while prefetched.take().is_some() {
                used += 1;
            }
        }
    }

    #[test]
    fn a_fetch_that_is_cancelled_leaves_the_next_one_free() {
        let prefetched = Prefetched::new(8);
        prefetched.next.set(8);
        drop(prefetched.fetch());
        assert_eq!(prefetched.fetch().count, 8);
    }

    #[test]
    fn an_empty_pool_is_asked_for_one() {
        let prefetched = Prefetched::new(8);
        prefetched.next.set(8);
        assert_eq!(fetch(&prefetched, 0), (8, None));
        assert_eq!(prefetched.fetch().count, 1);
    }

    #[test]
    fn without_prefetch_one_is_taken_at_a_time() {
        let prefetched = Prefetched::new(1);
        assert_eq!((0..4).map(|_| fetch(&prefetched, 100).0).collect::<Vec<_>>(), [1, 1, 1, 1]);
    }

    #[test]
    fn a_replica_that_is_read_only_has_no_codes_available() {
        let server = FakeServer::default();
        server.answer("LLEN", Answer::Values(vec![RedisResult::Int64(5)]));
        let pool = RedisPool::on(Redis::on(server.clone(), RedisSettings::for_tests()), 1);
        run(async {
            assert_eq!(pool.available().await, Some(5));
            server.answer("LPOP", Answer::Error("ReadOnly: You can't write against a read only replica."));
            assert_eq!(pool.available().await, None);
        });
    }
}
