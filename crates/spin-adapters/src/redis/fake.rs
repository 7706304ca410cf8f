//! A Redis server that answers as a test tells it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use spin_sdk::redis::{Error, RedisParameter, RedisResult};

use super::server::{Connection, Server};

/// What a command gets.
#[derive(Clone)]
pub enum Answer {
    /// Nil, or for `GET` no value.
    Done,
    /// These.
    Values(Vec<RedisResult>),
    /// An error with this text.
    Error(&'static str),
    /// No answer, ever.
    Never,
}

#[derive(Default)]
struct State {
    refuses_connections: bool,
    opened: usize,
    answers: BTreeMap<&'static str, Answer>,
    commands: Vec<(&'static str, Vec<RedisParameter>)>,
}

/// The server; its clones are the same one.
#[derive(Clone, Default)]
pub struct FakeServer(Rc<RefCell<State>>);

impl FakeServer {
    pub fn answer(&self, command: &'static str, answer: Answer) {
        self.0.borrow_mut().answers.insert(command, answer);
    }

    pub fn refuse_connections(&self, refuses: bool) {
        self.0.borrow_mut().refuses_connections = refuses;
    }

    /// How many connections were asked for.
    pub fn opened(&self) -> usize {
        self.0.borrow().opened
    }

    /// How often a command came.
    pub fn count(&self, command: &str) -> usize {
        self.0.borrow().commands.iter().filter(|(name, _)| *name == command).count()
    }

    async fn run(
        &self,
        command: &'static str,
        arguments: Vec<RedisParameter>,
    ) -> Result<Vec<RedisResult>, Error> {
        let answer = {
            let mut state = self.0.borrow_mut();
            state.commands.push((command, arguments));
            state.answers.get(command).cloned().unwrap_or(Answer::Done)
        };
        match answer {
            Answer::Done => Ok(vec![RedisResult::Nil]),
            Answer::Values(values) => Ok(values),
            Answer::Error(text) => Err(Error::Other(text.into())),
            Answer::Never => std::future::pending().await,
        }
    }
}

impl Server for FakeServer {
    type Connection = Self;

    async fn open(&self, _: &str) -> Result<Self, Error> {
        let mut state = self.0.borrow_mut();
        state.opened += 1;
        if state.refuses_connections {
            return Err(Error::Other("Connection refused (os error 111)".into()));
        }
        Ok(self.clone())
    }
}

impl Connection for FakeServer {
    async fn get(&self, _: String) -> Result<Option<Vec<u8>>, Error> {
        self.run("GET", vec![]).await.map(|_| None)
    }

    async fn execute(
        &self,
        command: &'static str,
        arguments: Vec<RedisParameter>,
    ) -> Result<Vec<RedisResult>, Error> {
        self.run(command, arguments).await
    }
}
