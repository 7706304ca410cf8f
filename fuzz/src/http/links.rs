//! What `manage` answers.

use serde_json::{Value, json};
use shortlink_core::{
    Code, CodeError, Draft, Expiry, KeyHolder, KeyId, Link, LinkChange, LinkQuery, Lookup, Position, Scope,
    StateFilter, TargetUrl, Timestamp,
};
use shortlink_guest::create_answers;
use shortlink_spin_adapters::postgres::Created;

use super::{
    case::{Case, Target},
    creates::{self, check_headers, check_length, own, results, told},
    dependencies::Asked,
    expected::{Expected, Question, array},
    keys,
    redirects::{lookup, no_code},
    statement::Statement,
};
use crate::domain::LIMITS;

const PATH: &str = "/v1/links";
/// The longest body of a change, in KiB.
const LIMIT: usize = 32;
/// The longest body with several links, in KiB.
const SEVERAL_LIMIT: usize = 1024;
/// How many elements of an answer belong to one link.
const FIELDS: usize = 9;

/// What a path asks for.
pub enum Place {
    Links,
    Link(Code),
    NoCode(CodeError),
}

/// A link as its owner sees it.
struct Record {
    code: Code,
    micros: i64,
    shown: Value,
    /// What its code leads to; `None` when the URL is none that a component could have stored.
    lookup: Option<Lookup>,
}

/// `/v1/links` with a query, or with a slash and the input's text.
pub fn target(rest: &str) -> Target {
    match rest.strip_prefix('/') {
        Some(rest) => Target::below("/v1/links/", rest),
        None => Target::with_query(PATH, rest),
    }
}

pub fn place(path: &str) -> Option<Place> {
    let rest = path.strip_prefix(PATH)?;
    if rest.is_empty() {
        return Some(Place::Links);
    }
    let code = rest.strip_prefix('/').filter(|code| !code.contains('/'))?;
    Some(Code::parse(code).map_or_else(Place::NoCode, Place::Link))
}

pub fn expected(case: &Case, now: Timestamp) -> Expected {
    let Some(place) = place(case.path()) else { return Expected::no_such_path() };
    let answer = match (place, case.method.as_str()) {
        (_, "OPTIONS") => Ok(Expected::status(204)),
        (Place::Links, "GET" | "HEAD") => list(case),
        (Place::Links, "POST") => create(case, now),
        (Place::Links, _) => Err(Expected::wrong_method("GET, HEAD, POST, OPTIONS")),
        (Place::NoCode(error), "GET" | "HEAD" | "PATCH" | "DELETE") => Err(no_code(error)),
        (Place::Link(code), "GET" | "HEAD") => show(case, &code),
        (Place::Link(code), "PATCH") => change(case, &code, now),
        (Place::Link(code), "DELETE") => delete(case, &code),
        _ => Err(Expected::wrong_method("GET, HEAD, PATCH, DELETE, OPTIONS")),
    };
    answer.unwrap_or_else(|refusal| refusal)
}

fn authenticate(case: &Case, scope: Scope) -> Result<KeyHolder, Expected> {
    let none = || Expected::error(401, "an API key is needed: Authorization: Bearer slk_...");
    keys::holder(case, scope)?.ok_or_else(none)
}

fn list(case: &Case) -> Result<Expected, Expected> {
    let reach = authenticate(case, Scope::Read)?.reach();
    let query = LinkQuery::from_query(case.query(), reach).map_err(|error| creates::problems(&error))?;
    let question = ask(
        Statement::List,
        vec![
            Some(number(reach.0)),
            query.state.map(|state| StateFilter::as_str(state).into()),
            query.search.clone().map(String::into_bytes),
            query.after.as_ref().map(|after| after.created_at_micros.to_be_bytes().into()),
            query.after.as_ref().map(|after| after.code.as_str().into()),
            // One more than are shown.
            Some(number(i32::try_from(query.limit).unwrap_or(0) + 1)),
        ],
    );
    Ok(listed(case, &query, reach).unwrap_or_else(|failed| failed).asking(question))
}

fn listed(case: &Case, query: &LinkQuery, reach: KeyId) -> Result<Expected, Expected> {
    let fields = array(&case.rows)?.unwrap_or_default();
    let Some((Some(search), fields)) = fields.split_first() else { return Ok(Expected::status(500)) };
    let Some(mut records) = fields.chunks(FIELDS).map(record).collect::<Option<Vec<_>>>() else {
        return Ok(Expected::status(500));
    };
    let shown = query.limit as usize;
    let has_more = records.len() > shown;
    records.truncate(shown);
    let last = records.last().filter(|_| has_more).map(|last| {
        query.cursor(&Position { created_at_micros: last.micros, code: last.code.clone() }, reach)
    });
    let links: Vec<Value> = records.into_iter().map(|record| record.shown).collect();
    let mut data = json!({ "links": links, "next_cursor": last });
    if query.search.is_some() {
        data["search"] = if search == "text" { "code and url" } else { "prefix of code" }.into();
    }
    Ok(Expected::body(200, json!({ "status": 200, "data": data })))
}

fn show(case: &Case, code: &Code) -> Result<Expected, Expected> {
    let reach = authenticate(case, Scope::Read)?.reach();
    let shown = found(case).map_or_else(|failed| failed, |record| shown(&record));
    Ok(shown.asking(ask(Statement::Find, vec![Some(number(reach.0)), Some(text(code))])))
}

fn change(case: &Case, code: &Code, now: Timestamp) -> Result<Expected, Expected> {
    let reach = authenticate(case, Scope::Manage)?.reach();
    check_headers(case, LIMIT)?;
    check_length(case, LIMIT)?;
    let change = LinkChange::from_json(&case.body, now, LIMITS, &own(case))
        .map_err(|error| creates::problems(&error))?;
    let question = ask(
        Statement::Change,
        vec![
            Some(number(reach.0)),
            Some(text(code)),
            change.target.map(|target| target.as_str().into()),
            change.expiry.map(|expiry| expiry.to_string().into_bytes()),
            change.disabled.map(|disabled| vec![u8::from(disabled)]),
        ],
    );
    let changed = match case.rows.failure() {
        Some("22023") => Err(creates::already_expired()),
        Some("SL003") => Err(creates::blocked()),
        _ => found(case),
    };
    let expected = changed.map(|record| {
        let cached = record.lookup.clone().map(|first| (code.clone(), latest(case, code, first)));
        Expected { cached, ..shown(&record) }
    });
    Ok(expected.unwrap_or_else(|failed| failed).asking(question))
}

fn delete(case: &Case, code: &Code) -> Result<Expected, Expected> {
    let reach = authenticate(case, Scope::Manage)?.reach();
    let question = ask(Statement::Delete, vec![Some(number(reach.0)), Some(text(code))]);
    let expected = match case.rows.failure() {
        Some(sqlstate) => Expected::failed(sqlstate),
        None if case.rows.is_none() => Expected::status(500),
        None if case.rows.count() == 0 => no_link(),
        None => {
            let cached = Some((code.clone(), latest(case, code, Lookup::Expired)));
            Expected { cached, ..Expected::status(204) }
        }
    };
    Ok(expected.asking(question))
}

fn create(case: &Case, now: Timestamp) -> Result<Expected, Expected> {
    let owner = authenticate(case, Scope::Create)?.id;
    let key = keys::idempotency_key(case)?;
    check_headers(case, SEVERAL_LIMIT)?;
    check_length(case, SEVERAL_LIMIT)?;
    let drafts = Draft::several_from_json(&case.body, now, LIMITS, &own(case))
        .map_err(|error| creates::problems(&error))?;
    let items: Vec<_> = drafts.into_iter().map(|draft| draft.map_err(|error| error.to_string())).collect();
    let once = key.map(|key| (key.as_str().to_owned(), creates::hash(PATH, &case.body)));
    let count = items.len();
    let question = Question::CreateEach { items, owner, once };
    Ok(created(case, count).unwrap_or_else(|failed| failed).asking(question))
}

fn created(case: &Case, count: usize) -> Result<Expected, Expected> {
    Ok(match array(&case.rows)?.and_then(results) {
        None => Expected::status(500),
        Some(Created::UnderWay) => Expected::answer(&create_answers::under_way()),
        Some(Created::Differs) => Expected::answer(&create_answers::differs()),
        // The function gives a result for each item.
        Some(Created::Now(results) | Created::Before(results)) if results.len() != count => {
            Expected::status(500)
        }
        Some(Created::Now(results) | Created::Before(results)) => {
            let each: Vec<_> = results.iter().map(|result| told(result).1).collect();
            Expected::body(200, json!({ "status": 200, "data": { "results": each } }))
        }
    })
}

/// The link that Postgres answers with.
fn found(case: &Case) -> Result<Record, Expected> {
    let fields = array(&case.rows)?.ok_or_else(no_link)?;
    record(&fields).ok_or_else(|| Expected::status(500))
}

fn no_link() -> Expected {
    Expected::error(404, "you have no link with this code")
}

fn shown(record: &Record) -> Expected {
    Expected::body(200, json!({ "status": 200, "data": record.shown }))
}

/// What Postgres says when it is asked again, if it does.
fn latest(case: &Case, code: &Code, first: Lookup) -> Lookup {
    lookup(code, &case.later).ok().flatten().unwrap_or(first)
}

fn record(fields: &[Option<String>]) -> Option<Record> {
    let [code, url, created_at, updated_at, expires_at, is_custom, state, key, micros] = fields else {
        return None;
    };
    let code = Code::parse(code.as_deref()?).ok()?;
    let (url, state) = (url.as_deref()?, state.as_deref()?);
    let shown = json!({
        "code": code,
        "url": url,
        "created_at": created_at.as_deref()?,
        "updated_at": updated_at.as_deref()?,
        "expires_at": expires_at,
        "is_custom": is_custom.as_deref()? == "true",
        "state": state,
        "key": key,
    });
    let expiry = match expires_at {
        Some(at) => Timestamp::parse_rfc3339(at).map(Expiry::At),
        None => Some(Expiry::Never),
    };
    let lookup = match (state, TargetUrl::stored(url), expiry) {
        ("live", Some(target), Some(expiry)) => Some(Lookup::Live(Link { target, expiry })),
        ("live", ..) => None,
        _ => Some(Lookup::Expired),
    };
    Some(Record { code, micros: micros.as_deref()?.parse().ok()?, shown, lookup })
}

fn ask(statement: Statement, parameters: Vec<Option<Vec<u8>>>) -> Question {
    Question::Exactly(Asked { statement, parameters })
}

fn number(number: i32) -> Vec<u8> {
    number.to_be_bytes().into()
}

fn text(code: &Code) -> Vec<u8> {
    code.as_str().into()
}
