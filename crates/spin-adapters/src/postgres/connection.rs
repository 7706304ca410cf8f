//! Postgres through Spin. The host has a pool of connections for each address and resets one each time it hands it out,
//! which costs more than a statement. So an instance keeps the one it has for a moment, and then gives it back whether it
//! is busy or not: there are more instances under load than connections, and none may starve. Keeping it for 20 ms without
//! use took the host's time for a create from 360 to 250 µs.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use shortlink_guest::{
    deadline::{Cooldown, Deadline, within},
    host::{monotonic, sleep, spawn},
};
use spin_sdk::pg::{self, PgError};

use super::{
    failure::{self, Failure},
    server::{Server, Spin},
    settings::PostgresSettings,
};

/// The longest that a request waits for a connection and its statement together.
const BUDGET: Duration = Duration::from_secs(3);
/// How long an instance keeps a connection that it got at once.
const KEEP: Duration = Duration::from_millis(100);
/// How long it keeps one that it had to wait for: then others wait too.
const CONTENDED_KEEP: Duration = Duration::from_millis(25);
/// The longest that getting a connection takes when nobody else waits for one.
const AT_ONCE: Duration = Duration::from_millis(20);
/// How long an instance keeps a connection that it does not use.
const IDLE_KEEP: Duration = Duration::from_millis(20);
/// How long a Postgres that cannot be reached is skipped.
const COOLDOWN: Duration = Duration::from_millis(500);

/// A Postgres server, as this instance of the component sees it.
pub struct Postgres<S: Server = Spin> {
    settings: PostgresSettings,
    server: S,
    unreachable: Cooldown,
    lease: Rc<RefCell<Option<Lease<S::Connection>>>>,
    is_watched: Rc<Cell<bool>>,
}

/// Says that a task watches the lease, until that task ends: with the request that it belongs to, if that is cancelled.
struct Watch(Rc<Cell<bool>>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A connection that the instance keeps.
struct Lease<C> {
    connection: C,
    /// When it is given back at the latest.
    until: Duration,
    last_used: Duration,
}

impl<C> Lease<C> {
    fn has_ended(&self) -> bool {
        let now = monotonic();
        now >= self.until || now.saturating_sub(self.last_used) >= IDLE_KEEP
    }
}

impl Postgres {
    /// A Postgres that is connected to when it is first used.
    #[must_use]
    pub fn new(settings: PostgresSettings) -> Self {
        Self::on(Spin, settings)
    }
}

impl<S: Server> Postgres<S> {
    /// The same on another kind of server.
    pub fn on(server: S, settings: PostgresSettings) -> Self {
        Self {
            settings,
            server,
            unreachable: Cooldown::default(),
            lease: Rc::default(),
            is_watched: Rc::default(),
        }
    }

    /// Runs a statement, which is a transaction of its own: the host hands a connection on without a rollback. It ends by
    /// `deadline`, and within [`BUDGET`].
    ///
    /// # Errors
    /// [`Failure`]
    pub async fn run<T>(
        &self,
        deadline: Deadline,
        statement: impl AsyncFnOnce(&S::Connection) -> Result<T, pg::Error>,
    ) -> Result<T, Failure> {
        if self.unreachable.is_active() {
            return Err(Failure::Unavailable("skipped after a failure".into()));
        }
        let longest = Deadline::after(BUDGET);
        let is_cut = deadline < longest;
        let deadline = deadline.min(longest);
        let answer = within(deadline, async {
            let lease = self.lease().await.map_err(|error| self.failure(error).0)?;
            let result = statement(&lease.connection).await.map_err(|error| self.failure(error));
            // The host looks at a connection that may be lost when it hands it out again.
            if result.as_ref().map_or_else(|(_, is_good)| *is_good, |_| true) {
                self.keep(lease);
            }
            result.map_err(|(failure, _)| failure)
        });
        let Some(result) = answer.await else {
            // A statement that had less time than others says nothing of the server.
            if !is_cut {
                self.unreachable.start(COOLDOWN);
            }
            return Err(Failure::Unavailable("no answer in time".into()));
        };
        result
    }

    async fn lease(&self) -> Result<Lease<S::Connection>, pg::Error> {
        if let Some(lease) = self.lease.take() {
            return Ok(lease);
        }
        let asked = monotonic();
        let connection = self.server.open(self.settings.connection_string()).await?;
        let opened = monotonic();
        let keep = if opened.saturating_sub(asked) < AT_ONCE { KEEP } else { CONTENDED_KEEP };
        Ok(Lease { connection, until: opened.saturating_add(keep), last_used: opened })
    }

    fn keep(&self, mut lease: Lease<S::Connection>) {
        lease.last_used = monotonic();
        if lease.last_used >= lease.until {
            return;
        }
        self.lease.replace(Some(lease));
        if self.is_watched.replace(true) {
            return;
        }
        let (lease, watch) = (self.lease.clone(), Watch(self.is_watched.clone()));
        spawn(async move {
            let _watch = watch;
            loop {
                sleep(IDLE_KEEP).await;
                let mut lease = lease.borrow_mut();
                // A lease in use is watched again when its statement is done.
                if lease.as_ref().is_none_or(Lease::has_ended) {
                    lease.take();
                    return;
                }
            }
        });
    }

    /// What an error means, and whether the connection is good.
    fn failure(&self, error: pg::Error) -> (Failure, bool) {
        if matches!(error, pg::Error::PgError(PgError::ConnectionFailed(_))) {
            self.unreachable.start(COOLDOWN);
        }
        match failure::read(error) {
            (Failure::Unavailable(text), is_good) => {
                (Failure::Unavailable(self.settings.redact(&text)), is_good)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use shortlink_guest::host::simulated::run;

    use super::*;
    use crate::postgres::{
        fake::{Answer, FakeServer},
        server::Connection,
    };

    fn postgres(server: &FakeServer) -> Postgres<FakeServer> {
        Postgres::on(server.clone(), PostgresSettings::for_tests())
    }

    async fn statement(postgres: &Postgres<FakeServer>) -> Result<u64, Failure> {
        let later = Deadline::after(Duration::from_mins(1));
        postgres.run(later, async |connection| connection.execute("select", vec![]).await).await
    }

    #[test]
    fn a_connection_is_kept_between_statements_and_given_back_after_20_ms_without_use() {
        let server = FakeServer::default();
        run(async {
            let postgres = postgres(&server);
            for _ in 0..3 {
                statement(&postgres).await.unwrap();
                sleep(Duration::from_millis(10)).await;
            }
            assert_eq!((server.opened(), server.open_now()), (1, 1));
            sleep(IDLE_KEEP * 2).await;
            assert_eq!(server.open_now(), 0);
            statement(&postgres).await.unwrap();
            assert_eq!(server.opened(), 2);
        });
    }

    #[test]
    fn a_connection_that_is_used_all_the_time_is_given_back_after_100_ms() {
        let server = FakeServer::default();
        run(async {
            let postgres = postgres(&server);
            for _ in 0..20 {
                statement(&postgres).await.unwrap();
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert_eq!(server.opened(), 2);
    }

    #[test]
    fn a_connection_that_took_long_to_get_is_given_back_sooner() {
        let server = FakeServer::default();
        server.open_takes(AT_ONCE);
        run(async {
            let postgres = postgres(&server);
            for _ in 0..6 {
                statement(&postgres).await.unwrap();
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert_eq!(server.opened(), 2);
    }

    #[test]
    fn an_error_that_the_server_replies_leaves_the_connection_in_use() {
        let server = FakeServer::default();
        server.answer(Answer::Sqlstate("25006"));
        run(async {
            let postgres = postgres(&server);
            assert_eq!(statement(&postgres).await, Err(Failure::Server("25006".into())));
            server.answer(Answer::Rows(1));
            assert_eq!(statement(&postgres).await, Ok(1));
        });
        assert_eq!(server.opened(), 1);
    }

    #[test]
    fn a_connection_that_is_lost_is_replaced_at_once() {
        let server = FakeServer::default();
        server.answer(Answer::Sqlstate("57P01"));
        run(async {
            let postgres = postgres(&server);
            assert!(matches!(statement(&postgres).await, Err(Failure::Unavailable(_))));
            server.answer(Answer::Rows(1));
            assert_eq!(statement(&postgres).await, Ok(1));
        });
        assert_eq!(server.opened(), 2);
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_skipped_for_half_a_second() {
        let server = FakeServer::default();
        server.refuse_connections(true);
        run(async {
            let postgres = postgres(&server);
            for _ in 0..3 {
                assert!(matches!(statement(&postgres).await, Err(Failure::Unavailable(_))));
            }
            assert_eq!(server.opened(), 1);
            server.refuse_connections(false);
            sleep(COOLDOWN).await;
            assert_eq!(statement(&postgres).await, Ok(1));
        });
    }

    #[test]
    fn a_statement_without_an_answer_ends_with_its_budget_or_its_deadline() {
        for (limit, expected) in
            [(Duration::from_mins(1), BUDGET), (Duration::from_secs(1), Duration::from_secs(1))]
        {
            let server = FakeServer::default();
            server.answer(Answer::Never);
            run(async {
                let postgres = postgres(&server);
                let begun = monotonic();
                let deadline = Deadline::after(limit);
                let never =
                    postgres.run(deadline, async |connection| connection.execute("select", vec![]).await);
                assert!(never.await.is_err());
                let took = monotonic().checked_sub(begun).unwrap();
                assert!(took >= expected && took <= expected + Duration::from_millis(10), "{took:?}");
                server.answer(Answer::Rows(1));
                assert_eq!(statement(&postgres).await.is_err(), expected == BUDGET, "whether it is skipped");
            });
        }
    }
}
