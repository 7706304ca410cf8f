//! Postgres through Spin. The host keeps a pool of connections for each address and resets one each time it hands it
//! out, which costs as much as a statement. So an instance keeps the one it has while any of its requests wants
//! Postgres, and gives it back with the last: one held by an idle instance would starve the others.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use spin_sdk::pg::{self, Connection, PgError, QueryError};
use thiserror::Error;

use crate::{
    bounded::{Rest, within},
    settings::PostgresSettings,
};

/// The longest that a request waits for a connection and its statements together.
const BUDGET: Duration = Duration::from_secs(3);
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
    users: Cell<usize>,
    kept: RefCell<Option<Connection>>,
}

/// A request that wants Postgres, or will soon.
pub struct User<'a>(&'a Postgres);

impl Drop for User<'_> {
    fn drop(&mut self) {
        let left = self.0.users.get().saturating_sub(1);
        self.0.users.set(left);
        if left == 0 {
            self.0.kept.take();
        }
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
        Self { settings, rest: Rest::default(), users: Cell::default(), kept: RefCell::default() }
    }

    /// Lets the instance keep its connection until this is dropped.
    pub fn user(&self) -> User<'_> {
        self.users.set(self.users.get().saturating_add(1));
        User(self)
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
            let kept = self.kept.take();
            let connection = match kept {
                Some(connection) => connection,
                None => Connection::open(self.settings.connection_string()).await?,
            };
            let result = statement(&connection).await;
            // After any other error the connection may be unusable, and the host looks when it hands it out again.
            if result.is_ok() && self.users.get() > 0 {
                self.kept.replace(Some(connection));
            }
            result
        });
        let Some(result) = answer.await else {
            self.rest.begin(REST);
            return Err(Failure::Unavailable("no answer in time".into()));
        };
        result.map_err(|error| self.failure(error))
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
