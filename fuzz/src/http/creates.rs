//! What `create` answers, and whatever else creates links.

use serde_json::Value;
use sha2::{Digest, Sha256};
use shortlink_core::{Alias, Authority, Code, Draft, IdempotencyKey, KeyId, Problems, Scope, Timestamp};
use shortlink_guest::{answer::Answer, create_answers};
use shortlink_spin_adapters::postgres::{Created, ItemResult};

use super::{
    case::Case,
    dependencies::Asked,
    expected::{Expected, Question, array, json as body_of},
    keys,
    statement::Statement,
};
use crate::domain::LIMITS;

pub const PATH: &str = "/v1/shortlink";
/// The longest body, in KiB.
const LIMIT: usize = 32;

pub fn expected(case: &Case, now: Timestamp) -> Expected {
    match case.method.as_str() {
        "POST" => created(case, now).unwrap_or_else(|refusal| refusal),
        "OPTIONS" => Expected::status(204),
        _ => Expected::wrong_method("POST, OPTIONS"),
    }
}

/// The service's own authorities.
pub fn own(case: &Case) -> Vec<Authority> {
    Authority::parse(&case.host).into_iter().collect()
}

/// Refuses a body that its headers show to be of another type or too long.
pub fn check_headers(case: &Case, limit: usize) -> Result<(), Expected> {
    let media_type =
        case.headers("content-type").next().and_then(|value| std::str::from_utf8(value).ok()).unwrap_or("");
    if !media_type.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json") {
        return Err(Expected::error(415, "the content type must be application/json"));
    }
    if case.is_chunked { Ok(()) } else { check_length(case, limit) }
}

/// Refuses a body that is too long.
pub fn check_length(case: &Case, limit: usize) -> Result<(), Expected> {
    if case.body.len() > limit * 1024 {
        return Err(Expected::error(413, format!("the body must have at most {limit} KiB")));
    }
    Ok(())
}

pub fn problems(problems: &Problems) -> Expected {
    Expected::error(400, problems.to_string())
}

pub fn already_expired() -> Expected {
    Expected::error(400, "`expires_at` must be later than now")
}

pub fn blocked() -> Expected {
    Expected::error(400, "`url` leads to a host that is blocked here")
}

/// The hash by which a request is known again.
pub fn hash(path: &str, body: &[u8]) -> Vec<u8> {
    Sha256::digest([path.as_bytes(), &[0], body].concat()).to_vec()
}

/// What became of several links, as Postgres answers; `None` is an answer that is none.
pub fn results(texts: Vec<Option<String>>) -> Option<Created> {
    let texts: Vec<String> = texts.into_iter().collect::<Option<_>>()?;
    let read = |texts: &[String]| texts.iter().map(|text| result(text)).collect::<Option<_>>();
    match texts.first().map(String::as_str) {
        Some("busy") if texts.len() == 1 => Some(Created::UnderWay),
        Some("differs") if texts.len() == 1 => Some(Created::Differs),
        Some("repeated") => read(&texts[1..]).map(Created::Before),
        _ => read(&texts).map(Created::Now),
    }
}

/// What its creator is told of one of several links, and whether it was created.
pub fn told(result: &ItemResult) -> (u16, Option<Value>) {
    let answer = match result {
        // Said here, where nothing is logged.
        ItemResult::NoCode => Answer::unavailable(),
        result => result.answer(None),
    };
    (answer.status, body_of(&answer))
}

fn result(text: &str) -> Option<ItemResult> {
    Some(match (text, text.split_once(' ')) {
        ("taken", _) => ItemResult::Taken,
        ("no code", _) => ItemResult::NoCode,
        ("expired", _) => ItemResult::AlreadyExpired,
        ("blocked", _) => ItemResult::Blocked,
        (_, Some(("created", code))) => ItemResult::Created(Code::parse(code).ok()?),
        (_, Some(("problems", problems))) => ItemResult::Problems(problems.to_owned()),
        _ => return None,
    })
}

fn created(case: &Case, now: Timestamp) -> Result<Expected, Expected> {
    let owner = keys::holder(case, Scope::Create)?.map_or(KeyId::NONE, |holder| holder.id);
    check_headers(case, LIMIT)?;
    let key = keys::idempotency_key(case)?;
    check_length(case, LIMIT)?;
    let draft = Draft::from_json(&case.body, now, LIMITS, &own(case));
    match key {
        Some(key) => Ok(created_once(case, draft, owner, &key)),
        None => draft.map_err(|error| problems(&error)).map(|draft| created_now(case, draft, owner)),
    }
}

fn created_now(case: &Case, draft: Draft, owner: KeyId) -> Expected {
    let expected = match case.rows.failure() {
        // So the database calls an expiry that its clock has passed.
        Some("22023") => already_expired(),
        Some("SL003") => blocked(),
        Some(sqlstate) => Expected::failed(sqlstate),
        None if case.rows.count() > 0 => {
            // The pool gives the same entry each time.
            let code = draft.alias.clone().map(Alias::into_code);
            let code = code.or_else(|| Code::from_pool(case.pool.first()?).ok());
            return Expected { code, ..Expected::status(201) }.asking(Question::Create { draft, owner });
        }
        None if draft.alias.is_some() => Expected::error(409, "`alias` is in use; choose another"),
        None => Expected::status(503),
    };
    expected.asking(Question::Any)
}

fn created_once(case: &Case, draft: Result<Draft, Problems>, owner: KeyId, key: &IdempotencyKey) -> Expected {
    let once = (key.as_str().to_owned(), hash(PATH, &case.body));
    let is_draft = draft.is_ok();
    let question = if let Ok(draft) = &draft {
        let items = vec![Ok(draft.clone())];
        Question::CreateEach { items, owner, once: Some(once) }
    } else {
        let (key, hash) = once;
        let parameters = vec![Some(owner.0.to_be_bytes().to_vec()), Some(key.into_bytes()), Some(hash)];
        Question::Exactly(Asked { statement: Statement::Repeated, parameters })
    };
    let said = match (array(&case.rows), draft) {
        (Err(failed), _) => return failed.asking(question),
        // It is a new request, with a body that is none.
        (Ok(None), Err(error)) => return problems(&error).asking(question),
        (Ok(None), Ok(_)) => None,
        (Ok(Some(texts)), _) => results(texts),
    };
    let expected = match said {
        None => Expected::status(500),
        Some(Created::UnderWay) => Expected::answer(&create_answers::under_way()),
        Some(Created::Differs) => Expected::answer(&create_answers::differs()),
        // Only what was answered before has an answer for a body that is none; a body has one link.
        Some(Created::Now(_)) if !is_draft => Expected::status(500),
        Some(Created::Now(results) | Created::Before(results)) if is_draft && results.len() != 1 => {
            Expected::status(500)
        }
        Some(Created::Now(results) | Created::Before(results)) => match results.first() {
            Some(ItemResult::Created(code)) => Expected { code: Some(code.clone()), ..Expected::status(201) },
            Some(result) => {
                let (status, body) = told(result);
                Expected { body, ..Expected::status(status) }
            }
            None => Expected::status(500),
        },
    };
    expected.asking(question)
}
