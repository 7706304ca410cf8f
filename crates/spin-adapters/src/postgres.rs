//! Postgres through Spin. The host keeps a pool of connections for each address and resets one each time it hands it
//! out, which costs more than a statement. So an instance keeps the one it has for a moment, and then gives it back
//! whether it is busy or not: there are more instances under load than connections, and none may starve.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use spin_sdk::{
    pg::{self, Connection, PgError, QueryError},
    time::sleep,
    wasip3::wit_bindgen::spawn,
};
use thiserror::Error;

use crate::{
    bounded::{Rest, within},
    settings::PostgresSettings,
};

/// The longest that a request waits for a connection and its statements together.
const BUDGET: Duration = Duration::from_secs(3);
/// How long an instance keeps a connection that it got at once, and one that it had to wait for: then others wait too.
const KEEP: Duration = Duration::from_millis(100);
const SHARED_KEEP: Duration = Duration::from_millis(25);
/// A longer wait than this is one.
const AT_ONCE: Duration = Duration::from_millis(20);
/// How long an instance keeps a connection that it does not use.
const IDLE_KEEP: Duration = Duration::from_millis(20);
/// How long a Postgres that cannot be reached is left alone.
const REST: Duration = Duration::from_millis(500);
/// A row that fits no partition.
const CHECK_VIOLATION: &str = "23514";
/// What the functions of the database raise for an argument that no link can have.
const INVALID_PARAMETER: &str = "22023";

/// Postgres, as this instance of the component sees it.
pub struct Postgres {
    settings: PostgresSettings,
    rest: Rest,
    kept: Rc<RefCell<Option<Lease>>>,
    watched: Rc<Cell<bool>>,
}

/// A task looks whether the lease is over. It ends with the request that it belongs to, if that is cancelled.
struct Watch(Rc<Cell<bool>>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A connection, when it is to be given back at the latest, and when it was last used.
struct Lease {
    connection: Connection,
    until: Instant,
    used: Instant,
}

impl Lease {
    fn is_over(&self) -> bool {
        let now = Instant::now();
        now >= self.until || now.duration_since(self.used) >= IDLE_KEEP
    }
}

/// Why a statement gave no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// There is no partition for the row.
    #[error("this month's partition is missing and cannot be made")]
    NoPartition,
    /// A function of the database refused an argument.
    #[error("a function of the database refused an argument")]
    Refused,
    /// Anything else, in words for the log.
    #[error("{0}")]
    Unavailable(String),
}

impl Postgres {
    /// A Postgres that is connected to when it is first used.
    pub fn new(settings: PostgresSettings) -> Self {
        Self { settings, rest: Rest::default(), kept: Rc::default(), watched: Rc::default() }
    }

    /// Runs a statement. It is a transaction of its own: the host hands a connection on without a rollback.
    pub async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&Connection) -> Result<T, pg::Error>,
    ) -> Result<T, Failure> {
        if self.rest.is_on() {
            return Err(Failure::Unavailable("left alone after a failure".into()));
        }
        let answer = within(BUDGET, async {
            let lease = self.lease().await?;
            let result = statement(&lease.connection).await;
            // After any other error the connection may be unusable, and the host looks when it hands it out again.
            if result.is_ok() {
                self.keep(lease);
            }
            result
        });
        let Some(result) = answer.await else {
            self.rest.begin(REST);
            return Err(Failure::Unavailable("no answer in time".into()));
        };
        result.map_err(|error| self.failure(error))
    }

    async fn lease(&self) -> Result<Lease, pg::Error> {
        if let Some(lease) = self.kept.take() {
            return Ok(lease);
        }
        let asked = Instant::now();
        let connection = Connection::open(self.settings.connection_string()).await?;
        let opened = Instant::now();
        let keep = if opened.duration_since(asked) < AT_ONCE { KEEP } else { SHARED_KEEP };
        Ok(Lease { connection, until: opened.checked_add(keep).unwrap_or(opened), used: opened })
    }

    fn keep(&self, mut lease: Lease) {
        lease.used = Instant::now();
        if lease.used >= lease.until {
            return;
        }
        self.kept.replace(Some(lease));
        if self.watched.replace(true) {
            return;
        }
        let (kept, watch) = (self.kept.clone(), Watch(self.watched.clone()));
        spawn(async move {
            let _watch = watch;
            loop {
                sleep(IDLE_KEEP).await;
                let mut kept = kept.borrow_mut();
                // Who uses it right now will have it watched again.
                if kept.as_ref().is_none_or(Lease::is_over) {
                    kept.take();
                    return;
                }
            }
        });
    }

    fn failure(&self, error: pg::Error) -> Failure {
        let text = match error {
            pg::Error::PgError(PgError::QueryFailed(QueryError::DbError(error))) => match error.code.as_str()
            {
                CHECK_VIOLATION => return Failure::NoPartition,
                INVALID_PARAMETER => return Failure::Refused,
                // The server's message may quote the statement or its parameters; the code alone says what happened.
                code => format!("SQLSTATE {code}"),
            },
            pg::Error::PgError(PgError::QueryFailed(QueryError::Text(text))) => {
                format!("statement failed: {text}")
            }
            pg::Error::PgError(PgError::ConnectionFailed(text)) => {
                self.rest.begin(REST);
                format!("cannot connect: {text}")
            }
            pg::Error::PgError(
                PgError::BadParameter(text) | PgError::ValueConversionFailed(text) | PgError::Other(text),
            )
            | pg::Error::Decode(text) => text,
        };
        Failure::Unavailable(self.settings.redact(&text))
    }
}
