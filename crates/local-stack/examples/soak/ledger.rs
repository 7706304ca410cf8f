//! What was promised, and whether it was kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;

use crate::{
    http::{Answer, Http},
    world::World,
};

/// How long the cache may hold that an alias is unknown, when writing the new link to it failed; see
/// `cache_entry::NEGATIVE_LIFETIME`. With the longest that a look-up takes.
const NEGATIVE_STALENESS: i64 = 10_000 + 4_000;
/// How long a changed link may be followed as it was, where nothing is away: an instance remembers it for two seconds, and a
/// look-up that was in flight takes four.
const STALENESS: i64 = 2_000 + 4_000;
/// How old a change is when the batch applies it to the cache.
const APPLIED_AFTER: i64 = 5_000;
/// Broken promises to print.
const SHOWN: usize = 20;

#[derive(Clone)]
pub struct Link {
    pub code: String,
    pub url: String,
    /// Milliseconds since the Unix epoch; `None`: long after this run.
    pub expires_at: Option<i64>,
    pub acknowledged: i64,
    /// Whether it belongs to a key and may be changed.
    pub is_owned: bool,
    /// Oldest first.
    pub changes: Vec<Change>,
}

/// A change that was asked for.
#[derive(Clone)]
pub struct Change {
    /// Where the link leads then; `None` is nowhere.
    pub to: Option<String>,
    pub answered: i64,
    /// Whether it was acknowledged; else it may happen at any time, or never.
    pub is_certain: bool,
    pub deletes: bool,
}

/// What a link's history says of an answer.
enum Verdict {
    Right,
    /// So it was before a change, and may be followed still.
    Stale,
    Wrong,
}

impl Link {
    pub fn is_over(&self, at: i64) -> bool {
        self.expires_at.is_some_and(|end| end <= at)
    }

    /// Whether somebody else may have the code from then on.
    fn is_free(&self, at: i64) -> bool {
        self.is_over(at) || self.changes.iter().any(|change| change.is_certain && change.deletes)
    }

    /// Whether it may lead there (`None`: nowhere). `may_be_stale` says of a change whether what was before it may be
    /// followed still.
    fn verdict(&self, location: Option<&str>, may_be_stale: impl Fn(&Change) -> bool) -> Verdict {
        let (mut state, mut verdict) = (Some(self.url.as_str()), Verdict::Wrong);
        for change in &self.changes {
            if !change.is_certain {
                if change.to.as_deref() == location {
                    return Verdict::Right;
                }
                continue;
            }
            if state == location && may_be_stale(change) {
                verdict = Verdict::Stale;
            }
            state = change.to.as_deref();
        }
        if state == location { Verdict::Right } else { verdict }
    }
}

#[derive(Default)]
pub struct Ledger {
    /// The links of each code, oldest first.
    links: Mutex<BTreeMap<String, Vec<Link>>>,
    /// Codes and URLs of creates that were not acknowledged: they may have been stored, or may yet be.
    doubtful: Mutex<BTreeSet<(String, String)>>,
    broken: Mutex<Vec<String>>,
    /// Beginning and end of each time that the batch has applied changes to the cache.
    rounds: Mutex<Vec<(i64, i64)>>,
    changed: AtomicU64,
    revoked: AtomicU64,
    requests: AtomicU64,
    unanswered: AtomicU64,
    unavailable: AtomicU64,
    acknowledged: AtomicU64,
    redirects: AtomicU64,
    stale: AtomicU64,
    lost: AtomicU64,
    shared: AtomicU64,
    wrong: AtomicU64,
}

impl Ledger {
    pub fn count_request(&self, answered: bool) {
        self.requests.fetch_add(1, Relaxed);
        if !answered {
            self.unanswered.fetch_add(1, Relaxed);
            // The host is away; it is no use to ask again at once.
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn unavailable(&self, answer: &Answer) {
        self.unavailable.fetch_add(1, Relaxed);
        if !answer.retry_after {
            self.wrong("a 503 without Retry-After");
        }
        thread::sleep(Duration::from_millis(5));
    }

    pub fn doubt(&self, alias: Option<&str>, url: &str) {
        if let Some(alias) = alias {
            lock(&self.doubtful).insert((alias.to_owned(), url.to_owned()));
        }
    }

    /// Writes a change down.
    pub fn change(&self, code: &str, change: Change, is_certain: bool) {
        self.changed.fetch_add(u64::from(is_certain), Relaxed);
        if let Some(link) = lock(&self.links).get_mut(code).and_then(|links| links.last_mut()) {
            link.changes.push(change);
        }
    }

    /// The batch has applied what was changed.
    pub fn round(&self, began: i64, ended: i64) {
        lock(&self.rounds).push((began, ended));
    }

    /// A revoked key was refused when it had to be.
    pub fn key_died(&self) {
        self.revoked.fetch_add(1, Relaxed);
    }

    /// Whether a request at that time may see what was before a change: until the batch has applied it, as the cache may have
    /// been away at the moment of the change, and as long after as instances remember links.
    fn may_see_before(&self, change: &Change, asked: i64) -> bool {
        let applied = |(began, _): &&(i64, i64)| *began >= change.answered + APPLIED_AFTER;
        lock(&self.rounds).iter().find(applied).is_none_or(|(_, ended)| asked < ended + STALENESS)
    }

    /// What happened to a code before it was asked for, with how many milliseconds before.
    fn history(&self, link: &Link, asked: i64) -> String {
        let mut events = Vec::new();
        for link in lock(&self.links).get(&link.code).into_iter().flatten() {
            events.push((link.acknowledged, format!("created {}", link.url)));
            events.extend(link.changes.iter().map(|change| {
                let certain = if change.is_certain { "" } else { " perhaps" };
                let verb = if change.deletes { "deleted" } else { "changed to" };
                (change.answered, format!("{verb}{certain} {}", change.to.as_deref().unwrap_or_default()))
            }));
        }
        let rounds = lock(&self.rounds);
        events.extend(
            rounds
                .iter()
                .rev()
                .take(6)
                .map(|(began, ended)| (*began, format!("applied in {}", ended - began))),
        );
        events.sort();
        events.iter().map(|(at, what)| format!("{} {what}", asked - at)).collect::<Vec<_>>().join(", ")
    }

    /// Whether what an answer says of a code was true of an earlier link, whose deletion need not be seen yet.
    fn is_of_former(&self, link: &Link, location: Option<&str>, asked: i64) -> bool {
        let links = lock(&self.links);
        let former = links.get(&link.code).into_iter().flatten();
        former.filter(|former| former.acknowledged < link.acknowledged).any(|former| {
            let deletion = former.changes.iter().find(|change| change.deletes);
            let verdict = former.verdict(location, |change| self.may_see_before(change, asked));
            deletion.is_some_and(|deletion| self.may_see_before(deletion, asked))
                && !matches!(verdict, Verdict::Wrong)
        })
    }

    /// Once the promised link has expired or is deleted, its alias may lead to one whose create went unanswered.
    fn is_doubtful(&self, link: &Link, location: Option<&str>, answered: i64) -> bool {
        let Some(location) = location.filter(|_| link.is_free(answered)) else { return false };
        lock(&self.doubtful).contains(&(link.code.clone(), location.to_owned()))
    }

    pub fn acknowledge(&self, link: Link) {
        self.acknowledged.fetch_add(1, Relaxed);
        let mut links = lock(&self.links);
        let held = links.entry(link.code.clone()).or_default();
        // What the create said was true when it was asked, and that was before it was answered.
        if held.iter().any(|other| !other.is_free(link.acknowledged)) {
            self.shared.fetch_add(1, Relaxed);
            self.report(format!("shared: {} was given out while it had a link", link.code));
        }
        held.push(link);
    }

    pub fn wrong(&self, what: &str) {
        self.wrong.fetch_add(1, Relaxed);
        self.report(format!("wrong: {what}"));
    }

    /// Checks an answer to a request that was sent at `asked` for the newest link of its code.
    pub fn check(&self, link: &Link, answer: &Answer, asked: i64) {
        let answered = now_millis();
        let location = answer.location.as_deref().filter(|_| answer.status == 302);
        if !link.changes.is_empty() && matches!(answer.status, 302 | 404 | 410) {
            let verdict = link.verdict(location, |change| self.may_see_before(change, asked));
            return match verdict {
                Verdict::Right => drop(self.redirects.fetch_add(1, Relaxed)),
                Verdict::Stale => drop(self.stale.fetch_add(1, Relaxed)),
                Verdict::Wrong if self.is_doubtful(link, location, answered) => {}
                Verdict::Wrong if self.is_of_former(link, location, asked) => {
                    self.stale.fetch_add(1, Relaxed);
                }
                Verdict::Wrong if location.is_none() && self.may_be_stale(link, asked) => {
                    self.stale.fetch_add(1, Relaxed);
                }
                Verdict::Wrong => {
                    self.wrong(&format!("{} led to {location:?}: {}", link.code, self.history(link, asked)));
                }
            };
        }
        match answer.status {
            302 if location != Some(&link.url) && self.is_of_former(link, location, asked) => {
                self.stale.fetch_add(1, Relaxed);
            }
            302 if self.is_doubtful(link, answer.location.as_deref(), answered) => {}
            302 if answer.location.as_deref() != Some(&link.url) => {
                let history = self.history(link, asked);
                self.wrong(&format!("{} led to {location:?} and not to {}: {history}", link.code, link.url));
            }
            302 if link.is_over(asked) => {
                self.wrong(&format!("{} was followed after its end", link.code));
            }
            302 => {
                self.redirects.fetch_add(1, Relaxed);
            }
            503 => self.unavailable(answer),
            404 | 410 if link.is_over(answered) => {}
            404 | 410 if self.may_be_stale(link, asked) => {
                self.stale.fetch_add(1, Relaxed);
            }
            status @ (404 | 410) => self.wrong(&format!("{status} for {}, which is alive", link.code)),
            status => self.wrong(&format!("{status} for {}: {}", link.code, answer.body)),
        }
    }

    /// Only a code that was asked for before it was created can be cached as unknown.
    fn may_be_stale(&self, link: &Link, asked: i64) -> bool {
        let made_again = lock(&self.links).get(&link.code).is_some_and(|links| links.len() > 1);
        made_again && asked - link.acknowledged < NEGATIVE_STALENESS
    }

    /// Follows every code that was ever promised, first as the cache has it, then as Postgres has it.
    pub fn verify(&self, world: &World) -> Result<()> {
        thread::sleep(Duration::from_millis(u64::try_from(NEGATIVE_STALENESS)?));
        let began = now_millis();
        world.batch(&["changes", "apply"])?;
        self.round(began, now_millis());
        thread::sleep(Duration::from_millis(u64::try_from(STALENESS)?));
        let repeated = world.sql(
            "select count(*) from (select from shortlink.short_link where url like '%#once' group by url having count(*) > 1) twice",
        )?;
        if repeated != "0" {
            self.wrong(&format!("{repeated} creates with an idempotency key were stored more than once"));
        }
        for round in ["with the cache", "without it"] {
            println!("soak: following every link {round}");
            let newest: Vec<Link> =
                lock(&self.links).values().filter_map(|links| links.last().cloned()).collect();
            thread::scope(|scope| {
                for part in newest.chunks(newest.len() / 8 + 1) {
                    scope.spawn(move || {
                        let mut http = Http::new(world.address());
                        for link in part {
                            self.verify_link(&mut http, link);
                        }
                    });
                }
            });
            world.flush_cache()?;
        }
        Ok(())
    }

    fn verify_link(&self, http: &mut Http, link: &Link) {
        let asked = now_millis();
        let answer = (0..5).find_map(|_| http.get(&link.code).filter(|answer| answer.status != 503));
        match answer {
            Some(answer) if answer.status == 302 || link.is_over(asked) || !link.changes.is_empty() => {
                self.check(link, &answer, asked);
            }
            other => {
                self.lost.fetch_add(1, Relaxed);
                let status = other.map(|answer| answer.status);
                self.report(format!("lost: {} is alive and gives {status:?}", link.code));
            }
        }
    }

    fn report(&self, what: String) {
        let mut broken = lock(&self.broken);
        if broken.len() < SHOWN {
            println!("soak: {what}");
        }
        broken.push(what);
    }

    /// Prints the tally; `false` when a promise was broken.
    pub fn print(&self, lasted: Duration) -> bool {
        let requests = self.requests.load(Relaxed);
        let each_second = u128::from(requests) * 1000 / lasted.as_millis().max(1);
        println!("load held           {requests} requests in {} s, {each_second} a second", lasted.as_secs());
        for (name, count) in [
            ("redirects", &self.redirects),
            ("answered 503", &self.unavailable),
            ("unanswered", &self.unanswered),
            ("stale, as stated", &self.stale),
            ("acknowledged", &self.acknowledged),
            ("changed", &self.changed),
            ("keys revoked", &self.revoked),
            ("lost", &self.lost),
            ("shared", &self.shared),
            ("wrong", &self.wrong),
        ] {
            println!("{name:<19} {}", count.load(Relaxed));
        }
        lock(&self.broken).is_empty()
    }
}

pub fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
