//! Who an API key is, by its hash.

use std::rc::Rc;

use shortlink_core::{ApiKey, Expiry, KeyHolder, KeyId, KeyVerdicts, Scope, ports::StoreError};
use shortlink_guest::{
    deadline::{Deadline, within},
    host,
    wait::Exclusive,
};
use spin_sdk::pg::{DbValue, ParameterValue};

use super::{
    connection::Postgres,
    failure::Failure,
    server::{Connection, Server},
    store::no_answer,
};

const CHECK: &str = "select shortlink.check_api_key($1)";

/// The keys in Postgres, and what the instance was told of some.
#[derive(Default)]
pub struct Keys {
    verdicts: KeyVerdicts,
    /// Ensures that one request asks for all that wait: those that an instance begins with have the same key as a rule.
    asking: Rc<Exclusive>,
}

impl Keys {
    /// Who a key is; `None` for one that is unknown, expired or revoked.
    ///
    /// # Errors
    /// [`StoreError`] when there is no answer.
    pub async fn holder<S: Server>(
        &self,
        key: &ApiKey,
        postgres: &Postgres<S>,
        deadline: Deadline,
    ) -> Result<Option<Rc<KeyHolder>>, StoreError> {
        let _permit = loop {
            if let Some(verdict) = self.verdicts.get(key, host::now()) {
                return Ok(verdict);
            }
            if let Some(permit) = self.asking.try_acquire() {
                break permit;
            }
            if within(deadline, self.asking.released()).await.is_none() {
                return Err(StoreError::Unavailable("other keys took until the request's deadline".into()));
            }
        };
        let asked = host::now();
        let parameters = vec![ParameterValue::Binary(key.hash().to_vec())];
        let check = async |connection: &S::Connection| connection.value(CHECK, parameters).await;
        let holder = match postgres.run(deadline, check).await.map_err(Failure::into_store_error)? {
            None | Some(DbValue::DbNull) => None,
            Some(DbValue::ArrayStr(fields)) => Some(Rc::new(holder(fields).ok_or_else(no_answer)?)),
            Some(_) => return Err(no_answer()),
        };
        self.verdicts.put(key.clone(), holder.clone(), asked);
        Ok(holder)
    }
}

fn holder(fields: Vec<Option<String>>) -> Option<KeyHolder> {
    let [Some(id), Some(name), Some(scopes), Some(expiry)] = <[_; 4]>::try_from(fields).ok()? else {
        return None;
    };
    Some(KeyHolder {
        id: KeyId(id.parse().ok()?),
        name,
        scopes: scopes.split(',').filter_map(Scope::parse).collect(),
        expiry: Expiry::decode(&expiry)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join_all;
    use shortlink_guest::host::simulated::run;

    use super::*;
    use crate::postgres::{
        fake::{Answer, FakeServer},
        settings::PostgresSettings,
    };

    fn key() -> ApiKey {
        ApiKey::parse(&format!("slk_{}", "a".repeat(43))).unwrap()
    }

    fn known() -> Answer {
        let fields = ["7", "ci", "create,manage,later", "never"].map(|field| Some(field.to_owned()));
        Answer::Value(DbValue::ArrayStr(fields.into()))
    }

    async fn ask(keys: &Keys, postgres: &Postgres<FakeServer>) -> Result<Option<Rc<KeyHolder>>, StoreError> {
        keys.holder(&key(), postgres, Deadline::after(Duration::from_secs(10))).await
    }

    #[test]
    fn requests_that_come_together_ask_once_and_the_answer_is_remembered() {
        let server = FakeServer::default();
        server.answer(Answer::Late(Duration::from_millis(1), Box::new(known())));
        let (keys, postgres) = (Keys::default(), Postgres::on(server.clone(), PostgresSettings::for_tests()));
        run(async {
            for holder in join_all((0..5).map(|_| ask(&keys, &postgres))).await {
                let holder = holder.unwrap().unwrap();
                assert_eq!((holder.id, holder.name.as_str()), (KeyId(7), "ci"));
                assert_eq!(holder.scopes, [Scope::Create, Scope::Manage]);
            }
            ask(&keys, &postgres).await.unwrap();
        });
        assert_eq!(server.statements().len(), 1);
    }

    #[test]
    fn a_bad_key_is_remembered_and_a_failure_is_not() {
        let server = FakeServer::default();
        server.answer(Answer::Sqlstate("57014"));
        let (keys, postgres) = (Keys::default(), Postgres::on(server.clone(), PostgresSettings::for_tests()));
        run(async {
            assert!(ask(&keys, &postgres).await.is_err());
            server.answer(Answer::Value(DbValue::DbNull));
            assert_eq!(ask(&keys, &postgres).await, Ok(None));
            assert_eq!(ask(&keys, &postgres).await, Ok(None));
        });
        assert_eq!(server.statements().len(), 2);
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        let server = FakeServer::default();
        let (keys, postgres) = (Keys::default(), Postgres::on(server.clone(), PostgresSettings::for_tests()));
        for fields in [vec![], vec![Some("x".to_owned()); 4], vec![None; 4]] {
            server.answer(Answer::Value(DbValue::ArrayStr(fields)));
            assert!(matches!(run(ask(&keys, &postgres)), Err(StoreError::Unusable(_))));
        }
    }
}
