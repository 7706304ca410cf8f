//! What a caller of a create is told, of one link or of each of several.

use serde::Serialize;
use shortlink_core::{Code, CreateError};

use crate::{
    answer::{Answer, LINKS},
    http::BodyError,
    log,
};

#[derive(Serialize)]
struct Created<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_url: Option<String>,
}

/// 201 with the code of a new link, and its address where the service knows its own.
#[must_use]
pub fn created(code: &Code, public_url: Option<&str>) -> Answer {
    let short_url = public_url.map(|public_url| format!("{public_url}/{code}"));
    Answer::envelope(201, Created { code: code.as_str(), short_url })
        .with("location", format!("{LINKS}/{code}"))
}

/// The answer to a create that failed; logs what the caller is not told.
#[must_use]
pub fn create_failed(error: &CreateError) -> Answer {
    match error {
        CreateError::AliasTaken => Answer::error(409, "`alias` is in use; choose another"),
        CreateError::AlreadyExpired => already_expired(),
        CreateError::Blocked => blocked(),
        CreateError::NoFreeCode => {
            log::failure("create", &error.to_string());
            Answer::unavailable()
        }
        CreateError::Store(error) => Answer::store_failed("create", error),
    }
}

/// 400 for a link that has expired by the database's clock.
#[must_use]
pub fn already_expired() -> Answer {
    Answer::error(400, "`expires_at` must be later than now")
}

/// 400 for a link to a blocked host.
#[must_use]
pub fn blocked() -> Answer {
    Answer::error(400, "`url` leads to a host that is blocked here")
}

/// 409 for a create whose idempotency key another request uses at this moment.
#[must_use]
pub fn under_way() -> Answer {
    Answer::error(409, "a request with this Idempotency-Key is under way; try again in a second")
        .with("retry-after", "1")
}

/// 422 for a create whose idempotency key was used for another one.
#[must_use]
pub fn differs() -> Answer {
    Answer::error(422, "this Idempotency-Key was used for another request; choose a new one")
}

/// The answer when a body cannot be read, or is longer than `limit` bytes.
#[must_use]
pub fn body_failed(error: &BodyError, limit: usize) -> Answer {
    match error {
        BodyError::TooLong => too_long(limit),
        BodyError::Incomplete => Answer::error(408, "the body did not arrive whole and in time"),
    }
}

/// The answer to a request whose headers alone show that its body is of another type, or longer than `limit` bytes.
#[must_use]
pub fn refusal(content_type: Option<&str>, content_length: Option<usize>, limit: usize) -> Option<Answer> {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Some(Answer::error(415, "the content type must be application/json"));
    }
    content_length.is_some_and(|length| length > limit).then(|| too_long(limit))
}

fn too_long(limit: usize) -> Answer {
    Answer::error(413, &format!("the body must have at most {} KiB", limit / 1024))
}

#[cfg(test)]
mod tests {
    use shortlink_core::ports::StoreError;

    use super::*;

    #[test]
    fn a_new_link_has_a_location_and_its_code_alone() {
        let answer = created(&Code::parse("my-link").unwrap(), None);
        assert_eq!(answer.body.as_deref(), Some(r#"{"status":201,"data":{"code":"my-link"}}"#));
        assert!(answer.headers.contains(&("location", "/v1/shortlink/my-link".into())));
    }

    #[test]
    fn a_service_that_knows_its_address_tells_the_links() {
        let answer = created(&Code::parse("my-link").unwrap(), Some("https://sho.rt"));
        let data = r#"{"code":"my-link","short_url":"https://sho.rt/my-link"}"#;
        assert_eq!(answer.body, Some(format!(r#"{{"status":201,"data":{data}}}"#)));
    }

    #[test]
    fn each_failure_has_its_status() {
        let status = |error| create_failed(&error).status;
        assert_eq!(status(CreateError::AliasTaken), 409);
        assert_eq!(status(CreateError::AlreadyExpired), 400);
        assert_eq!(status(CreateError::Blocked), 400);
        assert_eq!(status(CreateError::NoFreeCode), 503);
        assert_eq!(status(CreateError::Store(StoreError::Unavailable("down".into()))), 503);
        assert_eq!(status(CreateError::Store(StoreError::Unusable("versions".into()))), 500);
    }

    #[test]
    fn headers_alone_may_be_reason_enough() {
        let status =
            |content_type, length| refusal(content_type, length, 32 * 1024).map(|answer| answer.status);
        for accepted in ["application/json", "Application/JSON; charset=utf-8", " application/json "] {
            assert_eq!(status(Some(accepted), Some(32 * 1024)), None, "{accepted}");
        }
        for refused in [None, Some(""), Some("text/plain"), Some("application/jsonx")] {
            assert_eq!(status(refused, None), Some(415), "{refused:?}");
        }
        assert_eq!(status(Some("application/json"), Some(32 * 1024 + 1)), Some(413));
    }
}
