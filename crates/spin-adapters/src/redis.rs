//! One Redis connection an instance. `Connection::open` makes a new TCP connection each time, which costs more than the
//! command, and a connection carries any number of commands at once.

use std::{cell::RefCell, rc::Rc, time::Duration};

use spin_sdk::redis::{Connection, Error};

use crate::{
    bounded::{Rest, within},
    latch::Turns,
    log,
    settings::RedisSettings,
};

/// The longest that a request waits for a command, opening the connection included.
const BUDGET: Duration = Duration::from_millis(250);
/// How long a Redis that failed is left alone.
const REST: Duration = Duration::from_secs(1);

/// A Redis instance, as this instance of the component sees it.
pub struct Redis {
    settings: RedisSettings,
    connection: RefCell<Option<Rc<Connection>>>,
    opening: Rc<Turns>,
    rest: Rest,
}

impl Redis {
    /// A Redis that is connected to when it is first used.
    pub fn new(settings: RedisSettings) -> Self {
        Self { settings, connection: RefCell::default(), opening: Rc::default(), rest: Rest::default() }
    }

    /// Runs a command. `None` when Redis cannot answer in time or refuses; why is logged.
    pub async fn run<T>(&self, command: impl AsyncFnOnce(&Connection) -> Result<T, Error>) -> Option<T> {
        if self.rest.is_on() {
            return None;
        }
        let answer = within(BUDGET, async {
            let connection = self.connect().await?;
            command(&connection).await
        });
        let cause = match answer.await {
            Some(Ok(value)) => return Some(value),
            Some(Err(error)) if is_wrong_type(&error) => {
                log::failure(self.settings.name, "the key holds a value of another type");
                return None;
            }
            Some(Err(error)) => self.settings.redact(words(&error)),
            None => "no answer in time".into(),
        };
        log::failure(self.settings.name, &cause);
        self.connection.take();
        self.rest.begin(REST);
        None
    }

    async fn connect(&self) -> Result<Rc<Connection>, Error> {
        let _turn = loop {
            if let Some(connection) = self.connection.borrow().as_ref() {
                return Ok(connection.clone());
            }
            if let Some(turn) = self.opening.take() {
                break turn;
            }
            self.opening.over().await;
        };
        let connection = Rc::new(Connection::open(self.settings.url()).await?);
        self.connection.replace(Some(connection.clone()));
        Ok(connection)
    }
}

/// What an error says, without the names of its Rust types.
fn words(error: &Error) -> &str {
    match error {
        Error::InvalidAddress => "the address is not allowed, or is none",
        Error::TooManyConnections => "the host gives out no further connection",
        Error::TypeError => "a value has another type",
        Error::Other(text) => text,
    }
}

/// A wrong type says something about one key, not about the connection. Redis names it by this word alone.
fn is_wrong_type(error: &Error) -> bool {
    match error {
        Error::TypeError => true,
        Error::Other(text) => text.contains("WRONGTYPE"),
        Error::InvalidAddress | Error::TooManyConnections => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_is_told_from_a_lost_connection() {
        assert!(is_wrong_type(&Error::TypeError));
        assert!(is_wrong_type(&Error::Other("WRONGTYPE: Operation against a key".into())));
        assert!(!is_wrong_type(&Error::Other("broken pipe".into())));
        assert!(!is_wrong_type(&Error::TooManyConnections));
    }
}
