//! Who sends a request, and which request it is, by its headers.

use shortlink_core::{ApiKey, IdempotencyKey, NotAnIdempotencyKey, Scope};

use crate::{
    answer::Answer,
    http::{HeaderProblem, Incoming},
};

const BAD_KEY: &str = "the API key is not valid";

/// The key in `Authorization: Bearer` or `X-Api-Key`; `None` when neither is there, or `Authorization` has another scheme.
///
/// # Errors
/// The answer to a key that cannot be good, before anybody is asked about it, and to two keys.
pub fn api_key(request: &Incoming) -> Result<Option<ApiKey>, Answer> {
    read(request.single_header("authorization"), request.single_header("x-api-key"))
}

/// The key in `Idempotency-Key`, by which a request that is sent again is known.
///
/// # Errors
/// The answer to what is none.
pub fn idempotency_key(request: &Incoming) -> Result<Option<IdempotencyKey>, Answer> {
    let key = match request.single_header("idempotency-key") {
        Ok(key) => key.as_deref().map(IdempotencyKey::parse).transpose(),
        Err(HeaderProblem::Repeated) => {
            return Err(Answer::error(400, "only one Idempotency-Key may be sent"));
        }
        Err(HeaderProblem::NotText) => Err(NotAnIdempotencyKey),
    };
    key.map_err(|error| Answer::error(400, &error.to_string()))
}

/// 401 to a key that is not known, expired or revoked.
#[must_use]
pub fn bad_key() -> Answer {
    Answer::unauthorized(BAD_KEY)
}

/// 401 where a key is needed.
#[must_use]
pub fn no_key() -> Answer {
    Answer::unauthorized("an API key is needed: Authorization: Bearer slk_...")
}

/// 403 to a good key without this scope.
#[must_use]
pub fn no_scope(scope: Scope) -> Answer {
    Answer::error(403, &format!("the API key lacks the scope {}", scope.as_str()))
}

type Header = Result<Option<String>, HeaderProblem>;

fn read(authorization: Header, x_api_key: Header) -> Result<Option<ApiKey>, Answer> {
    let several = || Answer::error(400, "only one API key may be sent");
    let problem = |problem| match problem {
        HeaderProblem::Repeated => several(),
        HeaderProblem::NotText => bad_key(),
    };
    let parse = |text: &str| ApiKey::parse(text.trim()).map_err(|_| bad_key());
    let authorization = authorization.map_err(problem)?;
    let bearer = authorization.as_deref().and_then(bearer).map(parse).transpose()?;
    let own = x_api_key.map_err(problem)?.as_deref().map(parse).transpose()?;
    match (bearer, own) {
        (Some(bearer), Some(own)) if bearer != own => Err(several()),
        (bearer, own) => Ok(bearer.or(own)),
    }
}

/// The token of the scheme `Bearer`, which may be written in any case.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ').unwrap_or((authorization.trim(), ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: char) -> String {
        format!("slk_{}", digit.to_string().repeat(43))
    }

    fn status(authorization: Header, x_api_key: Header) -> Result<Option<ApiKey>, u16> {
        read(authorization, x_api_key).map_err(|answer| answer.status)
    }

    #[test]
    fn a_key_may_stand_in_either_header_or_in_both() {
        let (one, parsed) = (key('1'), ApiKey::parse(&key('1')).ok());
        for scheme in ["Bearer", "bearer", "BEARER "] {
            assert_eq!(status(Ok(Some(format!("{scheme} {one}"))), Ok(None)), Ok(parsed.clone()));
        }
        assert_eq!(status(Ok(None), Ok(Some(one.clone()))), Ok(parsed.clone()));
        assert_eq!(status(Ok(Some(format!("Bearer {one}"))), Ok(Some(one))), Ok(parsed));
        for other in ["Basic dXNlcjpwYXNz", "Digest x", ""] {
            assert_eq!(status(Ok(Some(other.into())), Ok(None)), Ok(None));
        }
    }

    #[test]
    fn a_key_that_is_sent_and_cannot_be_good_is_refused() {
        for value in ["", "slk_", "x", "slk_é"] {
            assert_eq!(status(Ok(Some(format!("Bearer {value}"))), Ok(None)), Err(401), "{value}");
            assert_eq!(status(Ok(None), Ok(Some(value.into()))), Err(401), "{value}");
        }
        assert_eq!(status(Ok(Some("Bearer".into())), Ok(None)), Err(401));
        assert_eq!(status(Err(HeaderProblem::NotText), Ok(None)), Err(401));
        assert_eq!(status(Err(HeaderProblem::Repeated), Ok(None)), Err(400));
        assert_eq!(status(Ok(Some(format!("Bearer {}", key('1')))), Ok(Some(key('2')))), Err(400));
    }

    #[test]
    fn a_refusal_says_how_to_do_better() {
        let answer = no_key();
        assert!(answer.headers.contains(&("www-authenticate", "Bearer".into())));
        assert_eq!((answer.status, no_scope(Scope::Create).status, bad_key().status), (401, 403, 401));
    }
}
