//! The API keys that Postgres knows here, each one letter 43 times, and how a request shows one.

use shortlink_core::{ApiKey, Expiry, IdempotencyKey, KeyHolder, KeyId, Scope};

use super::{case::Case, expected::Expected};

/// What Postgres says of a key.
#[derive(Clone, Copy)]
pub enum Verdict {
    /// The elements of its answer.
    Fields(&'static [&'static str]),
    /// An SQLSTATE.
    Failure(&'static str),
}

/// Of every other key it says that there is none.
const KNOWN: [(char, Verdict); 7] = [
    (ADMIN, Verdict::Fields(&["1", "admin", "admin", "never"])),
    ('c', Verdict::Fields(&["2", "creator", "create", "4000000000000"])),
    ('r', Verdict::Fields(&["3", "reader", "read", "never"])),
    ('m', Verdict::Fields(&["4", "manager", "later,manage", "never"])),
    ('n', Verdict::Fields(&["5", "nobody", "", "never"])),
    // Not what the function gives.
    ('x', Verdict::Fields(&["6", "broken", "admin"])),
    ('f', Verdict::Failure("57014")),
];
/// The key that may do everything with every link.
pub const ADMIN: char = 'a';

/// The key of a letter.
pub fn text(letter: char) -> String {
    format!("slk_{}", letter.to_string().repeat(43))
}

/// What Postgres says of the key with this hash.
pub fn verdict(hash: &[u8]) -> Option<Verdict> {
    let is_it = |letter| ApiKey::parse(&text(letter)).is_ok_and(|key| key.hash() == hash);
    KNOWN.into_iter().find(|(letter, _)| is_it(*letter)).map(|(_, verdict)| verdict)
}

/// Who sends the request, by a key with this scope; `None` when it has no key.
pub fn holder(case: &Case, scope: Scope) -> Result<Option<KeyHolder>, Expected> {
    let Some(key) = key(case)? else { return Ok(None) };
    let fields = match verdict(key.hash()) {
        None => return Err(bad()),
        Some(Verdict::Failure(_)) => return Err(Expected::status(503)),
        Some(Verdict::Fields(fields)) => fields,
    };
    let [id, name, scopes, expiry] = fields else { return Err(Expected::status(500)) };
    let holder = KeyHolder {
        id: KeyId(id.parse().expect("a number")),
        name: (*name).to_owned(),
        scopes: scopes.split(',').filter_map(Scope::parse).collect(),
        expiry: Expiry::decode(expiry).expect("an expiry"),
    };
    if holder.may(scope) {
        return Ok(Some(holder));
    }
    Err(Expected::error(403, format!("the API key lacks the scope {}", scope.as_str())))
}

/// What makes a request that is sent again the same request.
pub fn idempotency_key(case: &Case) -> Result<Option<IdempotencyKey>, Expected> {
    let key = match single(case, "idempotency-key") {
        Err(Problem::Repeated) => return Err(Expected::error(400, "only one Idempotency-Key may be sent")),
        Err(Problem::NotText) => None,
        Ok(None) => return Ok(None),
        Ok(Some(text)) => IdempotencyKey::parse(text).ok(),
    };
    let refused = || Expected::error(400, "the Idempotency-Key must be 1 to 64 visible ASCII characters");
    key.map(Some).ok_or_else(refused)
}

enum Problem {
    Repeated,
    NotText,
}

fn single<'a>(case: &'a Case, name: &str) -> Result<Option<&'a str>, Problem> {
    let values: Vec<&[u8]> = case.headers(name).collect();
    match values.as_slice() {
        [] => Ok(None),
        [value] => std::str::from_utf8(value).map(Some).map_err(|_| Problem::NotText),
        _ => Err(Problem::Repeated),
    }
}

fn key(case: &Case) -> Result<Option<ApiKey>, Expected> {
    let several = || Expected::error(400, "only one API key may be sent");
    let problem = |problem| match problem {
        Problem::Repeated => several(),
        Problem::NotText => bad(),
    };
    let parse = |text: &str| ApiKey::parse(text.trim()).map_err(|_| bad());
    let authorization = single(case, "authorization").map_err(problem)?;
    let bearer = authorization.and_then(|text| {
        let text = text.trim();
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    let bearer = bearer.map(parse).transpose()?;
    let own = single(case, "x-api-key").map_err(problem)?.map(parse).transpose()?;
    match (bearer, own) {
        (Some(bearer), Some(own)) if bearer != own => Err(several()),
        (bearer, own) => Ok(bearer.or(own)),
    }
}

fn bad() -> Expected {
    Expected::error(401, "the API key is not valid")
}
