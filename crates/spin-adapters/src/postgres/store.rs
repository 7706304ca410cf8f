//! The durable record of links, in Postgres. What the requests of an instance ask at the same time goes into one statement;
//! when one link may be the reason that it failed, each request tries its own alone.

use std::{rc::Rc, slice::from_ref, time::Duration};

use shortlink_core::{
    Code, Expiry, Link, Lookup, NewLink, TargetUrl, Timestamp,
    ports::{Claim, LinkStore, StoreError},
};
use shortlink_guest::{
    batch::{Batch, Unanswered},
    deadline::Deadline,
};
use spin_sdk::pg::{self, DbValue, ParameterValue};

use super::{
    connection::Postgres,
    failure::Failure,
    keys::Keys,
    server::{Connection, Server, Spin},
};

/// Stores the link, or gives no row when its code is in use.
const CREATE: &str = "select from shortlink.create_short_link(\
    $1, $2, coalesce(timestamptz 'epoch' + $3::bigint * interval '1 millisecond', 'infinity'), $4, $5, $6)";
/// Stores all of the links or none.
const CREATE_ALL: &str = "select shortlink.create_all_short_links($1, $2, $3, $4, $5, $6)";
const CREATE_PARTITION: &str = "select shortlink.create_current_partition()";
const HAS_PARTITION: &str = "select where shortlink.short_link_partition_exists(now())";
const PREVIEW: &str = "select shortlink.preview_short_link($1)";
const RESOLVE: &str = "select shortlink.resolve_short_links($1)";

/// The most look-ups in one statement: the host sends an instance no more than 16 requests at a time.
const MOST_LOOKUPS: usize = 16;
/// The most creates in one statement: they hold their codes' locks until its end.
const MOST_CREATES: usize = 8;
/// The longest that all statements take that belong together, such as a create that has to make its partition first.
const SEQUENCE_BUDGET: Duration = Duration::from_secs(4);

/// The links in Postgres.
pub struct PostgresStore<S: Server = Spin> {
    links: Rc<Links<S>>,
    creates: Rc<Batch<NewLink, Shared<Result<Claim, Failure>>>>,
    lookups: Rc<Batch<Code, Shared<Result<Lookup, StoreError>>>>,
    keys: Keys,
}

/// What a statement for several requests says of one of them; `None` when it failed, perhaps because of another one.
type Shared<T> = Option<T>;

/// The same for one request: no statement begins after its deadline.
pub struct UntilDeadline<'a, S: Server> {
    store: &'a PostgresStore<S>,
    pub(super) deadline: Deadline,
}

/// The statements.
pub(super) struct Links<S: Server> {
    pub(super) postgres: Postgres<S>,
    pub(super) quarantine_days: i32,
}

/// What a code's preview is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preview {
    /// No link has the code.
    Unknown,
    /// Its link has expired.
    Expired,
    /// Its link.
    Live(PublicLink),
}

/// What may be shown of a link to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicLink {
    /// Where it leads.
    pub url: String,
    /// When it was created, in RFC 3339.
    pub created_at: String,
    /// When it expires, in RFC 3339; `None` is never.
    pub expires_at: Option<String>,
}

impl<S: Server + 'static> PostgresStore<S> {
    /// The links in this Postgres. For `quarantine_days` after a link expired, its code is not given to another one.
    pub fn new(postgres: Postgres<S>, quarantine_days: u32) -> Self {
        let quarantine_days = i32::try_from(quarantine_days).unwrap_or(i32::MAX);
        Self {
            links: Rc::new(Links { postgres, quarantine_days }),
            creates: Batch::new(MOST_CREATES, |_| false),
            // A missing link may have been created since; a live one stays what it is.
            lookups: Batch::new(MOST_LOOKUPS, |lookup| matches!(lookup, Some(Ok(Lookup::Live(_))))),
            keys: Keys::default(),
        }
    }

    /// The store for a request with this deadline.
    #[must_use]
    pub fn until(&self, deadline: Deadline) -> UntilDeadline<'_, S> {
        UntilDeadline { store: self, deadline }
    }

    /// Whether links can be stored now.
    ///
    /// # Errors
    /// [`Failure`] when Postgres does not answer.
    pub async fn has_partition(&self) -> Result<bool, Failure> {
        let statement = async |connection: &S::Connection| connection.execute(HAS_PARTITION, vec![]).await;
        self.links.postgres.run(Deadline::after(SEQUENCE_BUDGET), statement).await.map(|rows| rows > 0)
    }
}

impl<S: Server + 'static> UntilDeadline<'_, S> {
    pub(super) fn links(&self) -> &Links<S> {
        &self.store.links
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.store.keys
    }

    /// The deadline of statements for this request alone, if they may still begin. It waits for no other request then.
    fn alone(&self) -> Result<Deadline, StoreError> {
        if self.deadline.has_passed() {
            return Err(unanswered(Unanswered::NotAsked));
        }
        Ok(Deadline::after(SEQUENCE_BUDGET))
    }

    /// What may be shown to everybody of the link that a code leads to.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn preview(&self, code: &Code) -> Result<Preview, StoreError> {
        let parameters = vec![ParameterValue::Str(code.to_string())];
        let value = async |connection: &S::Connection| connection.value(PREVIEW, parameters).await;
        let found = self.store.links.postgres.run(self.deadline, value).await;
        match found.map_err(Failure::into_store_error)? {
            None | Some(DbValue::DbNull) => Ok(Preview::Unknown),
            Some(DbValue::ArrayStr(fields)) => preview(fields).ok_or_else(no_answer),
            Some(_) => Err(no_answer()),
        }
    }
}

fn preview(fields: Vec<Option<String>>) -> Option<Preview> {
    let mut fields = fields.into_iter();
    match (fields.next(), fields.next(), fields.next()) {
        (None, None, None) => Some(Preview::Expired),
        (Some(Some(url)), Some(Some(created_at)), Some(expires_at)) => {
            // Never shown what no component could have stored.
            let url = TargetUrl::stored(&url)?.to_string();
            Some(Preview::Live(PublicLink { url, created_at, expires_at }))
        }
        _ => None,
    }
}

impl<S: Server + 'static> LinkStore for UntilDeadline<'_, S> {
    async fn create(&self, link: &NewLink) -> Result<Claim, StoreError> {
        let links = self.store.links.clone();
        let create = async move |new| links.create_all(new).await;
        let shared = self.store.creates.ask(link.clone(), self.deadline, create).await.map_err(unanswered)?;
        let claim = match shared {
            Some(claim) => claim,
            None => self.store.links.create_alone(link, self.alone()?).await,
        };
        claim.map_err(Failure::into_store_error)
    }

    async fn find(&self, code: &Code) -> Result<Lookup, StoreError> {
        let links = self.store.links.clone();
        let find = async move |codes| links.find_all(codes).await;
        let shared = self.store.lookups.ask(code.clone(), self.deadline, find).await.map_err(unanswered)?;
        if let Some(lookup) = shared {
            return lookup;
        }
        let found = self.store.links.find(from_ref(code), self.alone()?).await;
        found.map_err(Failure::into_store_error)?.pop().unwrap_or_else(|| Err(no_answer()))
    }
}

fn unanswered(reason: Unanswered) -> StoreError {
    StoreError::Unavailable(match reason {
        Unanswered::NotAsked => "other statements took until the request's deadline".into(),
        Unanswered::Cancelled => "the request that ran the statement was cancelled".into(),
    })
}

impl<S: Server> Links<S> {
    async fn create_all(&self, links: Vec<NewLink>) -> Vec<Shared<Result<Claim, Failure>>> {
        let deadline = Deadline::after(SEQUENCE_BUDGET);
        if let [link] = links.as_slice() {
            return vec![Some(self.create_alone(link, deadline).await)];
        }
        let claim = match self.create_together(&links, deadline).await {
            Ok(()) => Some(Ok(Claim::Created)),
            Err(failure) if failure.may_be_of_one() => None,
            Err(failure) => Some(Err(failure)),
        };
        vec![claim; links.len()]
    }

    async fn create_together(&self, links: &[NewLink], deadline: Deadline) -> Result<(), Failure> {
        let mut links: Vec<&NewLink> = links.iter().collect();
        // In one order everywhere: two statements that wait for each other's codes would be a deadlock.
        links.sort_by(|a, b| a.code.cmp(&b.code));
        self.create(CREATE_ALL, &create_all_parameters(&links, self.quarantine_days), deadline)
            .await
            .map(|_| ())
    }

    async fn create_alone(&self, link: &NewLink, deadline: Deadline) -> Result<Claim, Failure> {
        match self.create(CREATE, &create_parameters(link, self.quarantine_days), deadline).await {
            Ok(0) => Ok(Claim::Taken),
            Ok(_) => Ok(Claim::Created),
            Err(Failure::AlreadyExpired) => Ok(Claim::AlreadyExpired),
            Err(Failure::Blocked) => Ok(Claim::Blocked),
            Err(failure) => Err(failure),
        }
    }

    /// Runs a statement that creates links; when their month has no partition, creates that first.
    async fn create(
        &self,
        statement: &str,
        parameters: &[ParameterValue],
        deadline: Deadline,
    ) -> Result<u64, Failure> {
        let create =
            async |connection: &S::Connection| connection.execute(statement, parameters.to_vec()).await;
        self.with_partition(deadline, create).await
    }

    /// Runs a statement; when the month has no partition, creates that, and runs it once more.
    pub(super) async fn with_partition<T>(
        &self,
        deadline: Deadline,
        statement: impl AsyncFn(&S::Connection) -> Result<T, pg::Error>,
    ) -> Result<T, Failure> {
        match self.postgres.run(deadline, &statement).await {
            Err(Failure::NoPartition) => {
                let create =
                    async |connection: &S::Connection| connection.execute(CREATE_PARTITION, vec![]).await;
                self.postgres.run(deadline, create).await?;
                self.postgres.run(deadline, &statement).await
            }
            result => result,
        }
    }

    async fn find_all(&self, codes: Vec<Code>) -> Vec<Shared<Result<Lookup, StoreError>>> {
        let mut distinct = codes.clone();
        distinct.sort();
        distinct.dedup();
        let found = match self.find(&distinct, Deadline::after(SEQUENCE_BUDGET)).await {
            Ok(found) => found,
            Err(failure) if failure.may_be_of_one() && distinct.len() > 1 => return vec![None; codes.len()],
            Err(failure) => vec![Err(failure.into_store_error()); distinct.len()],
        };
        let answer = |code| {
            let position = distinct.binary_search(code).ok()?;
            found.get(position).cloned()
        };
        codes.iter().map(|code| Some(answer(code).unwrap_or_else(|| Err(no_answer())))).collect()
    }

    pub(super) async fn find(
        &self,
        codes: &[Code],
        deadline: Deadline,
    ) -> Result<Vec<Result<Lookup, StoreError>>, Failure> {
        let asked = codes.iter().map(|code| Some(code.to_string())).collect();
        let parameters = vec![ParameterValue::ArrayStr(asked)];
        let value = async |connection: &S::Connection| connection.value(RESOLVE, parameters).await;
        Ok(lookups(codes, self.postgres.run(deadline, value).await?))
    }
}

/// Unix milliseconds; none is a link without an end.
fn expires_at(link: &NewLink) -> Option<i64> {
    link.link.expiry.at().map(Timestamp::unix_millis)
}

fn create_parameters(link: &NewLink, quarantine_days: i32) -> Vec<ParameterValue> {
    vec![
        ParameterValue::Str(link.code.to_string()),
        ParameterValue::Str(link.link.target.to_string()),
        expires_at(link).map_or(ParameterValue::DbNull, ParameterValue::Int64),
        ParameterValue::Boolean(link.is_custom),
        ParameterValue::Int32(quarantine_days),
        ParameterValue::Int32(link.owner.0),
    ]
}

fn create_all_parameters(links: &[&NewLink], quarantine_days: i32) -> Vec<ParameterValue> {
    let texts = |text: fn(&NewLink) -> String| {
        ParameterValue::ArrayStr(links.iter().map(|link| Some(text(link))).collect())
    };
    let expiries = links.iter().map(|link| expires_at(link)).collect();
    let custom = links.iter().map(|link| Some(i32::from(link.is_custom))).collect();
    vec![
        texts(|link| link.code.to_string()),
        texts(|link| link.link.target.to_string()),
        ParameterValue::ArrayInt64(expiries),
        ParameterValue::ArrayInt32(custom),
        ParameterValue::Int32(quarantine_days),
        ParameterValue::ArrayInt32(links.iter().map(|link| Some(link.owner.0)).collect()),
    ]
}

/// What is known about each code, from what `resolve_short_links` says about each.
#[must_use]
pub fn lookups(codes: &[Code], found: Option<DbValue>) -> Vec<Result<Lookup, StoreError>> {
    match found {
        Some(DbValue::ArrayStr(found)) if found.len() == codes.len() => {
            codes.iter().zip(&found).map(|(code, found)| read(code, found.as_deref())).collect()
        }
        _ => vec![Err(no_answer()); codes.len()],
    }
}

pub(super) fn no_answer() -> StoreError {
    StoreError::Unusable("the answer is none of the function's".into())
}

fn read(code: &Code, found: Option<&str>) -> Result<Lookup, StoreError> {
    let link = |found: &str| {
        let (expiry, url) = found.split_once(' ')?;
        Some(Link { target: TargetUrl::stored(url)?, expiry: Expiry::decode(expiry)? })
    };
    match found {
        None => Ok(Lookup::Unknown),
        Some("") => Ok(Lookup::Expired),
        Some(found) => {
            link(found).map(Lookup::Live).ok_or_else(|| StoreError::Unusable(format!("the URL of {code}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use shortlink_core::KeyId;
    use shortlink_guest::host::{monotonic, simulated::run};

    use super::*;
    use crate::postgres::{
        fake::{Answer, FakeServer, Statement},
        settings::PostgresSettings,
    };

    fn store(server: &FakeServer) -> PostgresStore<FakeServer> {
        PostgresStore::new(Postgres::on(server.clone(), PostgresSettings::for_tests()), 30)
    }

    fn code(number: u64) -> Code {
        Code::from_number(number)
    }

    fn new_link(number: u64) -> NewLink {
        let target = TargetUrl::parse("https://example.com/", &[]).unwrap();
        let expiry = Expiry::stored(Timestamp::from_unix_millis(1000));
        NewLink { code: code(number), link: Link { target, expiry }, is_custom: true, owner: KeyId::NONE }
    }

    /// Whether a statement concerns a code.
    fn names(statement: &Statement, number: u64) -> bool {
        format!("{:?}", statement.parameters).contains(code(number).as_str())
    }

    async fn create(store: &PostgresStore<FakeServer>, number: u64) -> Result<Claim, StoreError> {
        store.until(Deadline::after(Duration::from_secs(10))).create(&new_link(number)).await
    }

    async fn find(store: &PostgresStore<FakeServer>, number: u64) -> Result<Lookup, StoreError> {
        store.until(Deadline::after(Duration::from_secs(10))).find(&code(number)).await
    }

    fn texts(server: &FakeServer) -> Vec<String> {
        server.statements().into_iter().map(|statement| statement.text).collect()
    }

    /// An answer to `RESOLVE` that has a link for each code.
    fn links(statement: &Statement) -> Answer {
        let Some(ParameterValue::ArrayStr(codes)) = statement.parameters.first() else {
            return Answer::Sqlstate("42883");
        };
        let link = codes.iter().map(|_| Some("1000 https://example.com/".to_owned())).collect();
        Answer::Value(DbValue::ArrayStr(link))
    }

    #[test]
    fn creates_that_come_together_are_one_statement() {
        let server = FakeServer::default();
        server.answer(Answer::Late(Duration::from_millis(1), Box::new(Answer::Rows(1))));
        let claims = run(async {
            let store = store(&server);
            join_all((0..8).map(|number| create(&store, number))).await
        });
        assert_eq!(claims, vec![Ok(Claim::Created); 8]);
        assert_eq!(texts(&server), [CREATE, CREATE_ALL]);
    }

    #[test]
    fn an_alias_that_is_in_use_fails_only_its_own_create() {
        let server = FakeServer::default();
        server.answer_by(|statement| {
            let answer = match (statement.text.as_str(), names(statement, 3)) {
                (CREATE_ALL, true) => Answer::Sqlstate("23505"),
                (CREATE, true) => Answer::Rows(0),
                _ => Answer::Rows(1),
            };
            Answer::Late(Duration::from_millis(1), Box::new(answer))
        });
        let claims = run(async {
            let store = store(&server);
            join_all((0..6).map(|number| create(&store, number))).await
        });
        let expected: Vec<_> =
            (0..6).map(|number| Ok(if number == 3 { Claim::Taken } else { Claim::Created })).collect();
        assert_eq!(claims, expected);
    }

    #[test]
    fn a_create_that_waits_for_a_lock_fails_alone_and_holds_up_no_other() {
        let server = FakeServer::default();
        server.answer_by(|statement| {
            if names(statement, 3) {
                return Answer::Late(Duration::from_secs(2), Box::new(Answer::Sqlstate("57014")));
            }
            Answer::Rows(1)
        });
        let begun = monotonic();
        let claims = run(async {
            let store = store(&server);
            let timed = async |number| {
                let claim = create(&store, number).await;
                (claim, monotonic().checked_sub(begun).unwrap())
            };
            let claims = join_all((0..6).map(timed)).await;
            // The server is not taken for one that cannot be reached.
            assert_eq!(create(&store, 6).await, Ok(Claim::Created));
            claims
        });
        for (number, (claim, took)) in claims.iter().enumerate() {
            if number == 3 {
                assert!(matches!(claim, Err(StoreError::Unavailable(_))), "{claim:?}");
            } else {
                assert_eq!(*claim, Ok(Claim::Created), "{number}");
                // The shared statement's time, and not that of the locked alias alone.
                assert!(*took < Duration::from_secs(3), "{number}: {took:?}");
            }
        }
    }

    #[test]
    fn each_refusal_of_the_database_is_its_own() {
        for (sqlstate, expected) in
            [("22023", Ok(Claim::AlreadyExpired)), ("SL001", Err("code")), ("SL002", Err("URL"))]
        {
            let server = FakeServer::default();
            server.answer(Answer::Sqlstate(sqlstate));
            let claim = run(async { create(&store(&server), 1).await });
            match expected {
                Ok(expected) => assert_eq!(claim, Ok(expected)),
                Err(word) => {
                    assert!(
                        matches!(&claim, Err(StoreError::Unusable(text)) if text.contains(word)),
                        "{claim:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_preview_tells_of_a_link_of_an_expired_one_and_of_none() {
        let field = |text: &str| Some(text.to_owned());
        let created = "2027-01-15T08:00:00.000Z";
        let live = |expires_at: Option<&str>| PublicLink {
            url: "https://example.com/".into(),
            created_at: created.into(),
            expires_at: expires_at.map(str::to_owned),
        };
        for (fields, expected) in [
            (vec![field("https://example.com/"), field(created), None], Some(Preview::Live(live(None)))),
            (
                vec![field("https://example.com/"), field(created), field("x")],
                Some(Preview::Live(live(Some("x")))),
            ),
            (vec![], Some(Preview::Expired)),
            (vec![field("javascript:alert(1)"), field(created), None], None),
            (vec![field("https://example.com/")], None),
        ] {
            assert_eq!(preview(fields), expected);
        }
    }

    #[test]
    fn a_missing_partition_is_created_and_the_create_repeated() {
        let server = FakeServer::default();
        let created = std::cell::Cell::new(false);
        server.answer_by(move |statement| match statement.text.as_str() {
            CREATE_PARTITION => {
                created.set(true);
                Answer::Rows(1)
            }
            _ if created.get() => Answer::Rows(1),
            _ => Answer::Sqlstate("23514"),
        });
        assert_eq!(run(async { create(&store(&server), 1).await }), Ok(Claim::Created));
        assert_eq!(texts(&server), [CREATE, CREATE_PARTITION, CREATE]);
    }

    #[test]
    fn statements_that_belong_together_end_within_their_budget_and_nothing_begins_after_a_deadline() {
        let server = FakeServer::default();
        // Each statement takes almost its whole budget: the create, the partition, the create again.
        server.answer_by(|statement| {
            let answer = match statement.text.as_str() {
                CREATE_PARTITION => Answer::Rows(1),
                _ => Answer::Sqlstate("23514"),
            };
            Answer::Late(Duration::from_millis(2900), Box::new(answer))
        });
        run(async {
            let store = store(&server);
            let begun = monotonic();
            let waiting = async {
                let answer = store.until(Deadline::after(Duration::from_secs(1))).create(&new_link(2)).await;
                (answer, monotonic().checked_sub(begun).unwrap())
            };
            let (first, (second, waited)) = futures::join!(create(&store, 1), waiting);
            assert!(first.is_err() && second.is_err());
            let took = monotonic().checked_sub(begun).unwrap();
            assert!(took <= SEQUENCE_BUDGET + Duration::from_millis(20), "{took:?}");
            assert!(waited <= Duration::from_millis(1020), "{waited:?}");
        });
        assert!(server.statements().iter().all(|statement| !names(statement, 2)));
    }

    #[test]
    fn a_look_up_that_fails_fails_alone() {
        let server = FakeServer::default();
        server.answer_by(|statement| {
            let answer = if names(statement, 3) { Answer::Sqlstate("22003") } else { links(statement) };
            Answer::Late(Duration::from_millis(1), Box::new(answer))
        });
        let found = run(async {
            let store = store(&server);
            join_all((0..6).map(|number| find(&store, number))).await
        });
        for (number, lookup) in found.iter().enumerate() {
            assert_eq!(lookup.is_err(), number == 3, "{number}: {lookup:?}");
        }
    }

    #[test]
    fn requests_for_one_code_ask_for_it_once() {
        let server = FakeServer::default();
        server.answer_by(|statement| Answer::Late(Duration::from_millis(1), Box::new(links(statement))));
        let found = run(async {
            let store = store(&server);
            join_all((0..16).map(|_| find(&store, 1))).await
        });
        assert!(found.iter().all(|lookup| matches!(lookup, Ok(Lookup::Live(_)))));
        let asked: Vec<usize> = server
            .statements()
            .iter()
            .map(|statement| match statement.parameters.first() {
                Some(ParameterValue::ArrayStr(codes)) => codes.len(),
                _ => 0,
            })
            .collect();
        assert_eq!(asked, [1]);
    }

    #[test]
    fn a_server_that_is_read_only_is_not_asked_once_for_each_link() {
        let server = FakeServer::default();
        server.answer(Answer::Late(Duration::from_millis(1), Box::new(Answer::Sqlstate("25006"))));
        let claims = run(async {
            let store = store(&server);
            join_all((0..8).map(|number| create(&store, number))).await
        });
        assert!(claims.iter().all(Result::is_err));
        assert_eq!(texts(&server), [CREATE, CREATE_ALL]);
    }

    #[test]
    fn each_code_gets_its_own_link() {
        let codes: Vec<Code> = (0..5).map(code).collect();
        let found =
            ["", "1000 javascript:alert(1)", "1000 https://three.example/", "never https://four.example/"];
        let found = found.iter().map(|text| Some((*text).to_owned())).chain([None]).collect();
        let lookups = lookups(&codes, Some(DbValue::ArrayStr(found)));
        assert_eq!(lookups[0], Ok(Lookup::Expired));
        assert!(matches!(lookups[1], Err(StoreError::Unusable(_))));
        let Ok(Lookup::Live(link)) = &lookups[2] else { panic!("{:?}", lookups[2]) };
        assert_eq!(link.target.to_string(), "https://three.example/");
        assert!(
            matches!(&lookups[3], Ok(Lookup::Live(link)) if !link.expiry.is_expired(Timestamp::from_unix_millis(i64::MAX)))
        );
        assert_eq!(lookups[4], Ok(Lookup::Unknown));
    }

    #[test]
    fn a_lack_of_answers_is_never_taken_for_a_lack_of_links() {
        let codes: Vec<Code> = (0..2).map(code).collect();
        for found in [Some(DbValue::ArrayStr(vec![None])), Some(DbValue::DbNull), None] {
            assert!(lookups(&codes, found).iter().all(Result::is_err));
        }
    }
}
