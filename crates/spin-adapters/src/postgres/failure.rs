//! Why a statement gave no result.
//!
//! | SQLSTATE | meaning | what follows |
//! | --- | --- | --- |
//! | 23514 | the month has no partition | it is created, and the statement repeated |
//! | 23505 | in a statement for several links, one of the codes is in use | each link is stored alone |
//! | 22023 | the link has already expired by the database's clock | 400 |
//! | SL003 | the link leads to a blocked host | 400 |
//! | SL001, SL002 | the database accepts no such code or URL, though the component does | 500: their versions differ |
//! | 25006, 53100, 53200 | the server is read-only, or out of disk or memory | 503; reads go on |
//! | 08..., 57P0., 53300 | the connection is lost | 503; the connection is not used again |
//! | any other, such as 57014, 55P03, 40001, 40P01 | the statement was cancelled, or lost against another one | 503 for the link that it was; others that shared its statement are tried alone |

use shortlink_core::ports::StoreError;
use spin_sdk::pg::{self, PgError, QueryError};
use thiserror::Error;

/// Why a statement gave no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// There is no partition for the row.
    #[error("this month's partition is missing and cannot be created")]
    NoPartition,
    /// A live link holds one of several codes; nothing was stored.
    #[error("one of the codes is in use")]
    Conflict,
    /// A link has already expired by the database's clock.
    #[error("a link has already expired")]
    AlreadyExpired,
    /// A link leads to a blocked host.
    #[error("a link leads to a blocked host")]
    Blocked,
    /// The database refuses what the component accepts.
    #[error("the database refuses a {0} that the component accepts: their versions differ")]
    Refused(&'static str),
    /// This statement failed; another one may succeed.
    #[error("SQLSTATE {0}")]
    Statement(String),
    /// The server cannot do it now, for nobody.
    #[error("SQLSTATE {0}")]
    Server(String),
    /// There is no connection, or no answer in time.
    #[error("{0}")]
    Unavailable(String),
}

impl Failure {
    /// What a SQLSTATE means.
    fn from_sqlstate(code: &str) -> Self {
        match code {
            "23514" => Self::NoPartition,
            "23505" => Self::Conflict,
            "22023" => Self::AlreadyExpired,
            "SL001" => Self::Refused("code"),
            "SL002" => Self::Refused("URL"),
            "SL003" => Self::Blocked,
            "25006" | "53100" | "53200" => Self::Server(code.into()),
            _ if is_connection(code) => Self::Unavailable(format!("SQLSTATE {code}")),
            _ => Self::Statement(code.into()),
        }
    }

    /// Whether one of several links may be the reason, so that each is worth a statement of its own.
    #[must_use]
    pub fn may_be_of_one(&self) -> bool {
        match self {
            Self::Conflict | Self::AlreadyExpired | Self::Blocked | Self::Refused(_) | Self::Statement(_) => {
                true
            }
            Self::NoPartition | Self::Server(_) | Self::Unavailable(_) => false,
        }
    }

    /// The same for the use cases.
    #[must_use]
    pub fn into_store_error(self) -> StoreError {
        match self {
            Self::Refused(_) => StoreError::Unusable(self.to_string()),
            _ => StoreError::Unavailable(self.to_string()),
        }
    }
}

fn is_connection(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P0") || code == "53300"
}

/// What an error of Spin's Postgres means, and whether the connection is good. The text is not redacted.
pub fn read(error: pg::Error) -> (Failure, bool) {
    match error {
        // The server's message may quote the statement or its parameters; the code alone tells what happened.
        pg::Error::PgError(PgError::QueryFailed(QueryError::DbError(error))) => {
            (Failure::from_sqlstate(&error.code), !is_connection(&error.code))
        }
        pg::Error::PgError(PgError::QueryFailed(QueryError::Text(text))) => {
            (Failure::Unavailable(format!("statement failed: {text}")), false)
        }
        pg::Error::PgError(PgError::ConnectionFailed(text)) => {
            (Failure::Unavailable(format!("cannot connect: {text}")), false)
        }
        pg::Error::PgError(
            PgError::BadParameter(text) | PgError::ValueConversionFailed(text) | PgError::Other(text),
        )
        | pg::Error::Decode(text) => (Failure::Unavailable(text), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_has_its_meaning() {
        for (code, expected, retried_alone) in [
            ("23514", Failure::NoPartition, false),
            ("23505", Failure::Conflict, true),
            ("22023", Failure::AlreadyExpired, true),
            ("SL001", Failure::Refused("code"), true),
            ("SL002", Failure::Refused("URL"), true),
            ("SL003", Failure::Blocked, true),
            ("25006", Failure::Server("25006".into()), false),
            ("53100", Failure::Server("53100".into()), false),
            ("57014", Failure::Statement("57014".into()), true),
            ("40001", Failure::Statement("40001".into()), true),
            ("40P01", Failure::Statement("40P01".into()), true),
            ("57P01", Failure::Unavailable("SQLSTATE 57P01".into()), false),
            ("08006", Failure::Unavailable("SQLSTATE 08006".into()), false),
            ("53300", Failure::Unavailable("SQLSTATE 53300".into()), false),
        ] {
            let failure = Failure::from_sqlstate(code);
            assert_eq!((&failure, failure.may_be_of_one()), (&expected, retried_alone), "{code}");
        }
    }

    #[test]
    fn what_the_database_refuses_is_not_told_as_a_passing_failure() {
        assert!(matches!(Failure::Refused("URL").into_store_error(), StoreError::Unusable(_)));
        assert!(matches!(Failure::Server("25006".into()).into_store_error(), StoreError::Unavailable(_)));
    }
}
