//! A Postgres server that answers as a test tells it.

use std::{cell::RefCell, rc::Rc, time::Duration};

use shortlink_guest::host::simulated::sleep;
use spin_sdk::pg::{DbError, DbValue, Error, ParameterValue, PgError, QueryError};

use super::server::{Connection, Server};

/// What a statement gets.
#[derive(Clone)]
pub enum Answer {
    /// So many rows.
    Rows(u64),
    /// One row with this value.
    Value(DbValue),
    /// An error with this SQLSTATE.
    Sqlstate(&'static str),
    /// This after a while.
    Late(Duration, Box<Answer>),
    /// No answer, ever.
    Never,
}

/// A statement as it came.
#[derive(Clone, Debug)]
pub struct Statement {
    pub text: String,
    pub parameters: Vec<ParameterValue>,
}

type Rule = Rc<dyn Fn(&Statement) -> Answer>;

#[derive(Default)]
struct State {
    refuses_connections: bool,
    open_takes: Duration,
    opened: usize,
    open_now: usize,
    rule: Option<Rule>,
    statements: Vec<Statement>,
}

/// The server; its clones are the same one.
#[derive(Clone, Default)]
pub struct FakeServer(Rc<RefCell<State>>);

/// A connection to it.
pub struct FakeConnection(FakeServer);

impl Drop for FakeConnection {
    fn drop(&mut self) {
        self.0.0.borrow_mut().open_now -= 1;
    }
}

impl FakeServer {
    /// Each statement gets this answer.
    pub fn answer(&self, answer: Answer) {
        self.answer_by(move |_| answer.clone());
    }

    /// Each statement gets the answer of a rule.
    pub fn answer_by(&self, rule: impl Fn(&Statement) -> Answer + 'static) {
        self.0.borrow_mut().rule = Some(Rc::new(rule));
    }

    pub fn refuse_connections(&self, refuses: bool) {
        self.0.borrow_mut().refuses_connections = refuses;
    }

    pub fn open_takes(&self, duration: Duration) {
        self.0.borrow_mut().open_takes = duration;
    }

    /// How many connections were asked for.
    pub fn opened(&self) -> usize {
        self.0.borrow().opened
    }

    /// How many connections are open.
    pub fn open_now(&self) -> usize {
        self.0.borrow().open_now
    }

    /// The statements in their order.
    pub fn statements(&self) -> Vec<Statement> {
        self.0.borrow().statements.clone()
    }
}

impl Server for FakeServer {
    type Connection = FakeConnection;

    async fn open(&self, _: &str) -> Result<FakeConnection, Error> {
        let takes = {
            let mut state = self.0.borrow_mut();
            state.opened += 1;
            if state.refuses_connections {
                return Err(PgError::ConnectionFailed("Connection refused (os error 111)".into()).into());
            }
            state.open_takes
        };
        sleep(takes).await;
        self.0.borrow_mut().open_now += 1;
        Ok(FakeConnection(self.clone()))
    }
}

impl FakeConnection {
    async fn run(
        &self,
        text: &str,
        parameters: Vec<ParameterValue>,
    ) -> Result<(u64, Option<DbValue>), Error> {
        let statement = Statement { text: text.into(), parameters };
        let rule = self.0.0.borrow().rule.clone();
        let mut answer = rule.map_or(Answer::Rows(1), |rule| rule(&statement));
        self.0.0.borrow_mut().statements.push(statement);
        if let Answer::Late(duration, later) = answer {
            sleep(duration).await;
            answer = *later;
        }
        match answer {
            Answer::Rows(rows) => Ok((rows, None)),
            Answer::Value(value) => Ok((1, Some(value))),
            Answer::Sqlstate(code) => Err(PgError::QueryFailed(QueryError::DbError(DbError {
                as_text: String::new(),
                severity: "ERROR".into(),
                code: code.into(),
                message: String::new(),
                detail: None,
                extras: vec![],
            }))
            .into()),
            Answer::Late(..) | Answer::Never => std::future::pending().await,
        }
    }
}

impl Connection for FakeConnection {
    async fn execute(&self, statement: &str, parameters: Vec<ParameterValue>) -> Result<u64, Error> {
        self.run(statement, parameters).await.map(|(rows, _)| rows)
    }

    async fn value(
        &self,
        statement: &str,
        parameters: Vec<ParameterValue>,
    ) -> Result<Option<DbValue>, Error> {
        self.run(statement, parameters).await.map(|(_, value)| value)
    }
}
