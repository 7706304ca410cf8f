//! One Redis connection an instance. Opening one makes a new TCP connection each time, which costs more than a command, and
//! a connection carries any number of commands at once.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use shortlink_guest::{
    deadline::{Cooldown, Deadline, within},
    log,
    wait::Exclusive,
};
use spin_sdk::redis::{Error, RedisParameter, RedisResult};

use super::{
    reply::{Concerns, concerns, words},
    server::{Connection, Server, Spin},
    settings::RedisSettings,
};

/// The longest that a request waits for a command, opening the connection included.
const BUDGET: Duration = Duration::from_millis(250);
/// How long a Redis that cannot be reached, or a command that it refuses, is skipped.
const COOLDOWN: Duration = Duration::from_secs(1);

/// Whether a command is sent during a cooldown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cooldowns {
    /// It is not: whoever asks can do without.
    Obey,
    /// It is.
    Ignore,
}

/// A Redis server, as this instance of the component sees it.
pub struct Redis<S: Server = Spin> {
    settings: RedisSettings,
    server: S,
    connection: RefCell<Option<Rc<S::Connection>>>,
    /// Ensures that one request opens the connection for all.
    opening: Rc<Exclusive>,
    unreachable: Cooldown,
    /// Cooldowns of the commands that Redis refused.
    refused: RefCell<BTreeMap<&'static str, Rc<Cooldown>>>,
}

/// Why a command has no result.
enum Failure<C> {
    /// It failed on this connection.
    Failed(Rc<C>, Error),
    /// No connection could be opened, which is logged already.
    Unreachable,
}

impl Redis {
    /// A Redis that is connected to when it is first used.
    #[must_use]
    pub fn new(settings: RedisSettings) -> Self {
        Self::on(Spin, settings)
    }
}

impl<S: Server> Redis<S> {
    /// The same on another kind of server.
    pub fn on(server: S, settings: RedisSettings) -> Self {
        Self {
            settings,
            server,
            connection: RefCell::default(),
            opening: Rc::default(),
            unreachable: Cooldown::default(),
            refused: RefCell::default(),
        }
    }

    /// Gets the value of a key; an empty one when the key holds a value of another type. `None` when Redis cannot answer in
    /// time, refuses or is skipped; why is logged.
    pub async fn get(&self, key: String) -> Option<Option<Vec<u8>>> {
        let get = async move |connection: &S::Connection| match connection.get(key).await {
            Err(error) if concerns(&error) == Concerns::Key => {
                log::failure(self.settings.name, words(&error));
                Ok(Some(Vec::new()))
            }
            answer => answer,
        };
        self.run("GET", Cooldowns::Obey, get).await
    }

    /// Runs a command. `None` when Redis cannot answer in time, refuses or is skipped; why is logged.
    pub async fn execute(
        &self,
        command: &'static str,
        arguments: Vec<RedisParameter>,
        cooldowns: Cooldowns,
    ) -> Option<Vec<RedisResult>> {
        let execute = async move |connection: &S::Connection| connection.execute(command, arguments).await;
        self.run(command, cooldowns, execute).await
    }

    async fn run<T>(
        &self,
        command: &'static str,
        cooldowns: Cooldowns,
        call: impl AsyncFnOnce(&S::Connection) -> Result<T, Error>,
    ) -> Option<T> {
        if cooldowns == Cooldowns::Obey && self.is_skipped(command) {
            return None;
        }
        let used = RefCell::new(None);
        let answer = within(Deadline::after(BUDGET), async {
            let connection = self.connect(cooldowns).await?;
            used.replace(Some(connection.clone()));
            call(&connection).await.map_err(|error| Failure::Failed(connection, error))
        });
        match answer.await {
            Some(Ok(value)) => return Some(value),
            Some(Err(Failure::Unreachable)) => {}
            Some(Err(Failure::Failed(connection, error))) => match concerns(&error) {
                Concerns::Key => log::failure(self.settings.name, words(&error)),
                Concerns::Command => self.refuse(command, &error),
                Concerns::Connection => self.lost(Some(&connection), words(&error)),
            },
            None => self.lost(used.take().as_ref(), "no answer in time"),
        }
        None
    }

    fn is_skipped(&self, command: &str) -> bool {
        let is_refused = || self.refused.borrow().get(command).is_some_and(|cooldown| cooldown.is_active());
        self.unreachable.is_active() || is_refused()
    }

    /// Redis refused a command over a good connection.
    fn refuse(&self, command: &'static str, error: &Error) {
        let cooldown = self.refused.borrow_mut().entry(command).or_default().clone();
        if !cooldown.is_active() {
            log::failure(self.settings.name, &self.settings.redact(&format!("{command}: {}", words(error))));
            cooldown.start(COOLDOWN);
        }
    }

    /// A connection failed, or could not be opened. When another has taken its place, the failure says nothing of that one.
    fn lost(&self, connection: Option<&Rc<S::Connection>>, cause: &str) {
        let current = self.connection.borrow().clone();
        match (connection, current) {
            (Some(failed), Some(current)) if !Rc::ptr_eq(failed, &current) => return,
            // Opening a connection exceeded the deadline while another request opened one.
            (None, Some(_)) => return,
            _ => {}
        }
        self.connection.take();
        if !self.unreachable.is_active() {
            log::failure(self.settings.name, &self.settings.redact(cause));
        }
        self.unreachable.start(COOLDOWN);
    }

    async fn connect(&self, cooldowns: Cooldowns) -> Result<Rc<S::Connection>, Failure<S::Connection>> {
        let waited = Cell::new(false);
        let _permit = loop {
            if let Some(connection) = self.connection.borrow().as_ref() {
                return Ok(connection.clone());
            }
            // The request that was to open the connection has failed: the others need not try as well.
            if waited.get() && cooldowns == Cooldowns::Obey && self.unreachable.is_active() {
                return Err(Failure::Unreachable);
            }
            if let Some(permit) = self.opening.try_acquire() {
                break permit;
            }
            self.opening.released().await;
            waited.set(true);
        };
        match self.server.open(self.settings.url()).await {
            Ok(connection) => {
                let connection = Rc::new(connection);
                self.connection.replace(Some(connection.clone()));
                Ok(connection)
            }
            Err(error) => {
                // Before the permit is released, so that those who wait for it know.
                self.lost(None, words(&error));
                Err(Failure::Unreachable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use shortlink_guest::host::{
        monotonic,
        simulated::{run, sleep},
    };

    use super::*;
    use crate::redis::fake::{Answer, FakeServer};

    const REFUSED: &str = "\"OOM\": command not allowed when used memory > 'maxmemory'.";

    fn redis(server: &FakeServer) -> Redis<FakeServer> {
        Redis::on(server.clone(), RedisSettings::for_tests())
    }

    async fn set(redis: &Redis<FakeServer>, cooldowns: Cooldowns) -> bool {
        redis.execute("SET", vec![], cooldowns).await.is_some()
    }

    async fn get(redis: &Redis<FakeServer>) -> bool {
        redis.get("k".into()).await.is_some()
    }

    #[test]
    fn reads_go_on_over_the_same_connection_when_writes_are_refused() {
        let server = FakeServer::default();
        server.answer("SET", Answer::Error(REFUSED));
        run(async {
            let redis = redis(&server);
            assert!(!set(&redis, Cooldowns::Obey).await);
            for _ in 0..10 {
                assert!(get(&redis).await);
                assert!(!set(&redis, Cooldowns::Obey).await);
            }
        });
        assert_eq!((server.opened(), server.count("GET"), server.count("SET")), (1, 10, 1));
    }

    #[test]
    fn a_refused_command_is_tried_again_after_a_second() {
        let server = FakeServer::default();
        server.answer("SET", Answer::Error(REFUSED));
        run(async {
            let redis = redis(&server);
            assert!(!set(&redis, Cooldowns::Obey).await);
            server.answer("SET", Answer::Done);
            assert!(!set(&redis, Cooldowns::Obey).await);
            assert!(set(&redis, Cooldowns::Ignore).await, "who cannot do without is not held back");
            sleep(COOLDOWN).await;
            assert!(set(&redis, Cooldowns::Obey).await);
        });
    }

    #[test]
    fn a_key_of_another_type_holds_nothing_back() {
        let server = FakeServer::default();
        server.answer("GET", Answer::Error("\"WRONGTYPE\": Operation against a key"));
        run(async {
            let redis = redis(&server);
            assert_eq!(redis.get("key".into()).await, Some(Some(Vec::new())));
            server.answer("GET", Answer::Done);
            assert!(get(&redis).await);
        });
        assert_eq!(server.opened(), 1);
    }

    #[test]
    fn a_redis_that_refuses_connections_is_tried_once_a_second_by_all_requests_together() {
        let server = FakeServer::default();
        server.refuse_connections(true);
        run(async {
            let redis = redis(&server);
            let answers = join_all((0..16).map(|_| get(&redis))).await;
            assert_eq!((answers, server.opened()), (vec![false; 16], 1));
            assert!(!get(&redis).await);
            assert_eq!(server.opened(), 1);
            sleep(COOLDOWN).await;
            server.refuse_connections(false);
            assert!(get(&redis).await);
        });
        assert_eq!(server.opened(), 2);
    }

    #[test]
    fn a_redis_that_hangs_costs_the_budget_once_and_then_nothing_for_a_second() {
        let server = FakeServer::default();
        server.answer("GET", Answer::Never);
        run(async {
            let redis = redis(&server);
            let begun = monotonic();
            assert!(!get(&redis).await);
            let waited = monotonic().checked_sub(begun).unwrap();
            assert!(waited >= BUDGET && waited <= BUDGET + Duration::from_millis(10), "{waited:?}");
            assert!(!get(&redis).await);
            assert_eq!(monotonic().checked_sub(begun).unwrap(), waited);
        });
    }

    #[test]
    fn a_late_failure_of_an_old_connection_leaves_the_new_one_alone() {
        let server = FakeServer::default();
        run(async {
            let redis = redis(&server);
            assert!(get(&redis).await);
            let old = redis.connection.borrow().clone();
            redis.lost(old.as_ref(), "broken pipe");
            sleep(COOLDOWN).await;
            assert!(get(&redis).await);
            assert_eq!(server.opened(), 2);
            redis.lost(old.as_ref(), "broken pipe");
            assert!(get(&redis).await);
        });
        assert_eq!(server.opened(), 2);
    }
}
