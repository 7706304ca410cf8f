//! The pool of pre-generated codes on Redis: the list `shortlink:codes`.
//!
//! An instance takes several codes at a time and keeps those it does not need yet. They are lost when it ends: no more
//! than it has used, and never more than `pool_prefetch` less one, since it takes one code at first and then twice as
//! many each time.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use shortlink_core::{Code, ports::CodePool};
use spin_sdk::redis::{RedisParameter, RedisResult};

use crate::{log, redis::Redis};

/// The key of the list.
pub const KEY: &str = "shortlink:codes";
/// How many malformed entries one create passes over before it does without the pool.
const MALFORMED_LIMIT: usize = 3;

/// The pool of codes.
pub struct RedisPool {
    redis: Redis,
    kept: Kept,
}

/// The codes that the instance has taken ahead.
struct Kept {
    codes: RefCell<VecDeque<Vec<u8>>>,
    /// How many to take next time.
    next: Cell<usize>,
    most: usize,
}

impl Kept {
    fn new(most: usize) -> Self {
        Self { codes: RefCell::default(), next: Cell::new(1), most }
    }

    fn take(&self) -> Option<Vec<u8>> {
        self.codes.borrow_mut().pop_front()
    }

    /// How many codes to fetch. Who asks while another request fetches gets one, so that the loss stays bounded.
    fn reserve(&self) -> usize {
        self.next.replace(1)
    }

    /// Keeps all but the first of what a request fetched after it had reserved `reserved`.
    fn keep(&self, reserved: usize, entries: impl IntoIterator<Item = Vec<u8>>) -> Option<Vec<u8>> {
        let mut entries = entries.into_iter();
        let first = entries.next();
        self.codes.borrow_mut().extend(entries);
        if first.is_some() {
            let doubled = reserved.saturating_mul(2).min(self.most);
            self.next.set(doubled.max(self.next.get()));
        }
        first
    }
}

impl RedisPool {
    /// A pool from which an instance takes at most `prefetch` codes at a time.
    pub fn new(redis: Redis, prefetch: usize) -> Self {
        Self { redis, kept: Kept::new(prefetch) }
    }

    async fn pop(&self) -> Option<Vec<u8>> {
        if let Some(entry) = self.kept.take() {
            return Some(entry);
        }
        let reserved = self.kept.reserve();
        let count = i64::try_from(reserved).unwrap_or(1);
        let arguments = [RedisParameter::Binary(KEY.into()), RedisParameter::Int64(count)];
        let answer = self.redis.run(async |redis| redis.execute("LPOP", arguments).await).await?;
        let entries = answer.into_iter().filter_map(|item| match item {
            RedisResult::Binary(entry) => Some(entry),
            RedisResult::Status(entry) => Some(entry.into_bytes()),
            RedisResult::Nil | RedisResult::Int64(_) => None,
        });
        self.kept.keep(reserved, entries)
    }

    /// How many codes are left; `None` when the pool cannot answer.
    pub async fn length(&self) -> Option<u64> {
        let arguments = [RedisParameter::Binary(KEY.into())];
        let answer = self.redis.run(async |redis| redis.execute("LLEN", arguments).await).await?;
        answer.into_iter().find_map(|item| match item {
            RedisResult::Int64(length) => u64::try_from(length).ok(),
            RedisResult::Nil | RedisResult::Status(_) | RedisResult::Binary(_) => None,
        })
    }
}

impl CodePool for RedisPool {
    async fn next(&self) -> Option<Code> {
        for _ in 0..MALFORMED_LIMIT {
            match Code::from_pool(&self.pop().await?) {
                Ok(code) => return Some(code),
                Err(error) => {
                    log::failure("redis_codes", &format!("passed over an entry of the pool: it {error}"));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(kept: &Kept, available: usize) -> (usize, Option<Vec<u8>>) {
        let reserved = kept.reserve();
        (reserved, kept.keep(reserved, vec![b"aaaaaaa".to_vec(); reserved.min(available)]))
    }

    #[test]
    fn more_codes_are_taken_each_time_up_to_the_limit() {
        let kept = Kept::new(6);
        let mut taken = Vec::new();
        for _ in 0..5 {
            taken.push(fetch(&kept, 100).0);
            while kept.take().is_some() {}
        }
        assert_eq!(taken, [1, 2, 4, 6, 6]);
    }

    #[test]
    fn what_is_kept_is_never_more_than_what_was_used() {
        let kept = Kept::new(64);
        let mut used = 0;
        for _ in 0..200 {
            if kept.take().is_none() {
                fetch(&kept, 100);
            }
            used += 1;
            assert!(kept.codes.borrow().len() <= used);
        }
    }

    #[test]
    fn requests_that_come_during_a_fetch_take_one_each() {
        let kept = Kept::new(8);
        kept.next.set(8);
        let reserved = [kept.reserve(), kept.reserve(), kept.reserve()];
        assert_eq!(reserved, [8, 1, 1]);
    }

    #[test]
    fn an_empty_pool_is_asked_for_one() {
        let kept = Kept::new(8);
        kept.next.set(8);
        assert_eq!(fetch(&kept, 0), (8, None));
        assert_eq!(kept.reserve(), 1);
    }

    #[test]
    fn without_prefetch_one_is_taken_at_a_time() {
        let kept = Kept::new(1);
        assert_eq!((0..4).map(|_| fetch(&kept, 100).0).collect::<Vec<_>>(), [1, 1, 1, 1]);
    }
}
