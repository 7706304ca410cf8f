//! What the owner of links does with them: sees, changes and deletes them, and creates several at once.

use std::{rc::Rc, slice};

use serde::Serialize;
use sha2::{Digest, Sha256};
use shortlink_core::{
    Code, CreateError, Draft, Expiry, IdempotencyKey, KeyHolder, KeyId, Link, LinkChange, LinkQuery, Lookup,
    Position, Problems, StateFilter, TargetUrl, Timestamp, ports::StoreError,
};
use shortlink_guest::{answer::Answer, create_answers, http::Incoming, identity};
use spin_sdk::pg::{DbValue, ParameterValue};

use super::{
    failure::Failure,
    server::{Connection, Server},
    store::{UntilDeadline, no_answer},
};

const FIND: &str = "select shortlink.find_link($1, $2)";
const LIST: &str = "select shortlink.list_links($1, $2::text, $3::text, $4::bigint, $5::text, $6)";
const CHANGE: &str = "select shortlink.change_link($1, $2, $3::text, case $4::text when 'never' then 'infinity' \
    else timestamptz 'epoch' + $4::text::bigint * interval '1 millisecond' end, $5::boolean)";
const DELETE: &str = "select shortlink.delete_link($1, $2)";
const CREATE_EACH: &str =
    "select shortlink.create_short_links_each($1, $2, $3, $4, $5, $6, $7, $8::text, $9::bytea)";
const REPEATED: &str = "select shortlink.claim_idempotency_key($1, $2, $3)";

/// How many elements of an answer belong to one link.
const FIELDS: usize = 9;

/// A link as its owner sees it. Times are in RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkRecord {
    /// Its code.
    pub code: Code,
    /// Where it leads.
    pub url: String,
    /// When it was created.
    pub created_at: String,
    /// When it was created or last changed.
    pub updated_at: String,
    /// When it expires; `None` is never.
    pub expires_at: Option<String>,
    /// Whether its code was chosen by its creator.
    pub is_custom: bool,
    /// `live`, `disabled`, `expired` or `deleted`.
    pub state: String,
    /// The name of the key that it belongs to.
    pub key: Option<String>,
    #[serde(skip)]
    created_at_micros: i64,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The links, newest first.
    pub links: Vec<LinkRecord>,
    /// How a text is searched for: `text` or `prefix`.
    pub search: String,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The link as it is now.
    Done(Box<LinkRecord>),
    /// There is no such link, or it is deleted.
    NoLink,
    /// By the database's clock the new expiry has passed.
    AlreadyExpired,
    /// The new URL leads to a host that is blocked.
    Blocked,
}

/// A create that, sent again with the same key and the same body, is the same create.
#[derive(Clone, Copy, Debug)]
pub struct Idempotent<'a> {
    /// The key that the caller chose.
    pub key: &'a IdempotencyKey,
    /// What the request asks for, byte by byte: its path and its body.
    pub request: [&'a [u8]; 2],
}

/// A link to create, with the code that it gets, and for a generated one another code in case that is taken.
#[derive(Clone, Debug)]
pub struct Item {
    /// The link.
    pub draft: Draft,
    /// Its code.
    pub code: Code,
    /// Another one; `None` for an alias.
    pub spare: Option<Code>,
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemResult {
    /// It is stored under this code.
    Created(Code),
    /// A link has its alias.
    Taken,
    /// Links have both of its generated codes.
    NoCode,
    /// It has expired by the database's clock.
    AlreadyExpired,
    /// It leads to a host that is blocked.
    Blocked,
    /// It was no link: what was wrong.
    Problems(String),
}

/// What became of several items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// Each was stored now, or not.
    Now(Vec<ItemResult>),
    /// Each was stored, or not, when the request was sent before.
    Before(Vec<ItemResult>),
    /// The same request is under way.
    UnderWay,
    /// The idempotency key was used for another request.
    Differs,
}

impl LinkRecord {
    /// Its place in a list.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { created_at_micros: self.created_at_micros, code: self.code.clone() }
    }

    /// What its code leads to now; `None` when the URL is none that a component could have stored.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        if self.state != "live" {
            return Some(Lookup::Expired);
        }
        let expiry = match &self.expires_at {
            Some(at) => Expiry::At(Timestamp::parse_rfc3339(at)?),
            None => Expiry::Never,
        };
        Some(Lookup::Live(Link { target: TargetUrl::stored(&self.url)?, expiry }))
    }

    fn read(fields: &[Option<String>]) -> Option<Self> {
        let [code, url, created_at, updated_at, expires_at, is_custom, state, key, micros] = fields else {
            return None;
        };
        Some(Self {
            code: Code::parse(code.as_deref()?).ok()?,
            url: url.clone()?,
            created_at: created_at.clone()?,
            updated_at: updated_at.clone()?,
            expires_at: expires_at.clone(),
            is_custom: is_custom.as_deref()? == "true",
            state: state.clone()?,
            key: key.clone(),
            created_at_micros: micros.as_deref()?.parse().ok()?,
        })
    }
}

impl ItemResult {
    /// What its creator is told.
    #[must_use]
    pub fn answer(&self, public_url: Option<&str>) -> Answer {
        match self {
            Self::Created(code) => create_answers::created(code, public_url),
            Self::Taken => create_answers::create_failed(&CreateError::AliasTaken),
            Self::NoCode => create_answers::create_failed(&CreateError::NoFreeCode),
            Self::AlreadyExpired => create_answers::already_expired(),
            Self::Blocked => create_answers::blocked(),
            Self::Problems(problems) => Answer::error(400, problems),
        }
    }

    fn read(text: &str) -> Option<Self> {
        Some(match text.split_once(' ') {
            Some(("created", code)) => Self::Created(Code::parse(code).ok()?),
            Some(("problems", problems)) => Self::Problems(problems.into()),
            Some(("no", "code")) => Self::NoCode,
            None if text == "taken" => Self::Taken,
            None if text == "expired" => Self::AlreadyExpired,
            None if text == "blocked" => Self::Blocked,
            _ => return None,
        })
    }
}

impl Created {
    fn read(results: Vec<Option<String>>) -> Option<Self> {
        let results: Vec<String> = results.into_iter().collect::<Option<_>>()?;
        let read =
            |results: &[String]| results.iter().map(|result| ItemResult::read(result)).collect::<Option<_>>();
        match results.as_slice() {
            [word] if word == "busy" => Some(Self::UnderWay),
            [word] if word == "differs" => Some(Self::Differs),
            [word, results @ ..] if word == "repeated" => read(results).map(Self::Before),
            results => read(results).map(Self::Now),
        }
    }
}

impl Idempotent<'_> {
    fn parameters(&self) -> [ParameterValue; 2] {
        let [path, body] = self.request;
        let mut hash = Sha256::new();
        hash.update(path);
        hash.update([0]);
        hash.update(body);
        [ParameterValue::Str(self.key.as_str().into()), ParameterValue::Binary(hash.finalize().to_vec())]
    }
}

impl<S: Server + 'static> UntilDeadline<'_, S> {
    /// Who sends a request; `None` when it has no API key.
    ///
    /// # Errors
    /// The answer to a key that is not good, and when nobody knows whether it is.
    pub async fn authenticate(&self, request: &Incoming) -> Result<Option<Rc<KeyHolder>>, Answer> {
        let Some(key) = identity::api_key(request)? else { return Ok(None) };
        let holder = self.keys().holder(&key, &self.links().postgres, self.deadline).await;
        match holder.map_err(|error| Answer::store_failed("authenticate", &error))? {
            Some(holder) => Ok(Some(holder)),
            None => Err(identity::bad_key()),
        }
    }

    /// What a code leads to, by a statement that begins now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn find_now(&self, code: &Code) -> Result<Lookup, StoreError> {
        let found = self.links().find(slice::from_ref(code), self.deadline).await;
        found.map_err(Failure::into_store_error)?.pop().unwrap_or_else(|| Err(no_answer()))
    }

    /// The link of a code, if it belongs to this owner.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn link(&self, reach: KeyId, code: &Code) -> Result<Option<LinkRecord>, StoreError> {
        let parameters = vec![ParameterValue::Int32(reach.0), ParameterValue::Str(code.to_string())];
        match self.array(FIND, parameters).await.map_err(Failure::into_store_error)? {
            Some(fields) => LinkRecord::read(&fields).map(Some).ok_or_else(no_answer),
            None => Ok(None),
        }
    }

    /// A page of the links of this owner.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(&self, reach: KeyId, query: &LinkQuery) -> Result<Page, StoreError> {
        let text =
            |text: Option<&str>| text.map_or(ParameterValue::DbNull, |text| ParameterValue::Str(text.into()));
        let after = query.after.as_ref();
        let parameters = vec![
            ParameterValue::Int32(reach.0),
            text(query.state.map(StateFilter::as_str)),
            text(query.search.as_deref()),
            after.map_or(ParameterValue::DbNull, |after| ParameterValue::Int64(after.created_at_micros)),
            text(after.map(|after| after.code.as_str())),
            ParameterValue::Int32(i32::try_from(query.limit).unwrap_or(i32::MAX)),
        ];
        let fields = self.array(LIST, parameters).await.map_err(Failure::into_store_error)?;
        let page = fields.and_then(|fields| {
            let (search, fields) = fields.split_first()?;
            let links = fields.chunks(FIELDS).map(LinkRecord::read).collect::<Option<_>>()?;
            Some(Page { links, search: search.clone()? })
        });
        page.ok_or_else(no_answer)
    }

    /// Changes a link of this owner.
    ///
    /// # Errors
    /// [`StoreError`]; when it is unavailable, nobody knows whether the link was changed.
    pub async fn change(&self, reach: KeyId, code: &Code, change: &LinkChange) -> Result<Change, StoreError> {
        let text = |text: Option<String>| text.map_or(ParameterValue::DbNull, ParameterValue::Str);
        let parameters = vec![
            ParameterValue::Int32(reach.0),
            ParameterValue::Str(code.to_string()),
            text(change.target.as_ref().map(ToString::to_string)),
            text(change.expiry.map(|expiry| expiry.to_string())),
            change.disabled.map_or(ParameterValue::DbNull, ParameterValue::Boolean),
        ];
        match self.array(CHANGE, parameters).await {
            Ok(Some(fields)) => {
                LinkRecord::read(&fields).map(|link| Change::Done(Box::new(link))).ok_or_else(no_answer)
            }
            Ok(None) => Ok(Change::NoLink),
            Err(Failure::AlreadyExpired) => Ok(Change::AlreadyExpired),
            Err(Failure::Blocked) => Ok(Change::Blocked),
            Err(failure) => Err(failure.into_store_error()),
        }
    }

    /// Deletes a link of this owner; `false` when there is none.
    ///
    /// # Errors
    /// [`StoreError`]; when it is unavailable, nobody knows whether the link was deleted.
    pub async fn delete(&self, reach: KeyId, code: &Code) -> Result<bool, StoreError> {
        let parameters = vec![ParameterValue::Int32(reach.0), ParameterValue::Str(code.to_string())];
        let delete = async |connection: &S::Connection| connection.value(DELETE, parameters).await;
        match self.links().postgres.run(self.deadline, delete).await.map_err(Failure::into_store_error)? {
            Some(DbValue::Boolean(was_there)) => Ok(was_there),
            _ => Err(no_answer()),
        }
    }

    /// Creates links of this owner, each or not, in one statement. With an idempotency key all of it happens once: what is
    /// sent again gets the results of the first time.
    ///
    /// # Errors
    /// [`StoreError`]; when it is unavailable, nobody knows whether the links are stored. With an idempotency key the
    /// request can be sent again.
    pub async fn create_each(
        &self,
        owner: KeyId,
        items: &[Result<Item, Problems>],
        idempotent: Option<Idempotent<'_>>,
    ) -> Result<Created, StoreError> {
        let parameters = create_parameters(owner, items, self.links().quarantine_days, idempotent);
        let create =
            async |connection: &S::Connection| connection.value(CREATE_EACH, parameters.clone()).await;
        let results = self.links().with_partition(self.deadline, create).await;
        let created = match results.map_err(Failure::into_store_error)? {
            Some(DbValue::ArrayStr(results)) => Created::read(results).ok_or_else(no_answer)?,
            _ => return Err(no_answer()),
        };
        match &created {
            Created::Now(results) | Created::Before(results) if results.len() != items.len() => {
                Err(no_answer())
            }
            _ => Ok(created),
        }
    }

    /// What a create with this idempotency key was answered before; `None` when it is a new one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn repeated(
        &self,
        owner: KeyId,
        idempotent: Idempotent<'_>,
    ) -> Result<Option<Created>, StoreError> {
        let mut parameters = vec![ParameterValue::Int32(owner.0)];
        parameters.extend(idempotent.parameters());
        let Some(results) = self.array(REPEATED, parameters).await.map_err(Failure::into_store_error)? else {
            return Ok(None);
        };
        match Created::read(results) {
            None | Some(Created::Now(_)) => Err(no_answer()),
            before => Ok(before),
        }
    }

    /// The array of texts that a statement gives; `None` for null.
    async fn array(
        &self,
        statement: &str,
        parameters: Vec<ParameterValue>,
    ) -> Result<Option<Vec<Option<String>>>, Failure> {
        let value = async |connection: &S::Connection| connection.value(statement, parameters).await;
        match self.links().postgres.run(self.deadline, value).await? {
            Some(DbValue::ArrayStr(fields)) => Ok(Some(fields)),
            None | Some(DbValue::DbNull) => Ok(None),
            Some(_) => Ok(Some(Vec::new())),
        }
    }
}

fn create_parameters(
    owner: KeyId,
    items: &[Result<Item, Problems>],
    quarantine_days: i32,
    idempotent: Option<Idempotent<'_>>,
) -> Vec<ParameterValue> {
    let texts = |text: fn(&Item) -> Option<String>| {
        ParameterValue::ArrayStr(items.iter().map(|item| item.as_ref().ok().and_then(text)).collect())
    };
    let expiry = |item: &Item| item.draft.expiry.at().map(Timestamp::unix_millis);
    let expiries = items.iter().map(|item| item.as_ref().ok().and_then(expiry)).collect();
    let problem = |problems: &Problems| format!("problems {problems}");
    let problems = items.iter().map(|item| item.as_ref().err().map(problem)).collect();
    let mut parameters = vec![
        texts(|item| Some(item.code.to_string())),
        texts(|item| item.spare.as_ref().map(ToString::to_string)),
        texts(|item| Some(item.draft.target.to_string())),
        ParameterValue::ArrayInt64(expiries),
        ParameterValue::ArrayStr(problems),
        ParameterValue::Int32(quarantine_days),
        ParameterValue::Int32(owner.0),
    ];
    let nulls = || [ParameterValue::DbNull, ParameterValue::DbNull];
    parameters.extend(idempotent.map_or_else(nulls, |idempotent| idempotent.parameters()));
    parameters
}
