//! What a caller of a create is told.

use serde::Serialize;
use shortlink_core::{Code, CreateError};
use shortlink_guest::{
    answer::{Answer, LINKS},
    log,
};

#[derive(Serialize)]
struct Created<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_url: Option<String>,
}

/// 201 with the code of a new link, and its address where the service knows its own.
pub fn created(code: &Code, public_url: Option<&str>) -> Answer {
    let short_url = public_url.map(|public_url| format!("{public_url}/{code}"));
    Answer::envelope(201, Created { code: code.as_str(), short_url })
        .with("location", format!("{LINKS}/{code}"))
}

/// 413 for a body that is longer than the limit.
pub fn too_long() -> Answer {
    Answer::error(413, "the body must have at most 32 KiB")
}

/// The answer to a create that failed; logs what the caller is not told.
pub fn create_failed(error: &CreateError) -> Answer {
    match error {
        CreateError::AliasTaken => Answer::error(409, "`alias` is in use; choose another"),
        CreateError::AlreadyExpired => Answer::error(400, "`expires_at` must be later than now"),
        CreateError::NoFreeCode => {
            log::failure("create", &error.to_string());
            Answer::unavailable()
        }
        CreateError::Store(error) => Answer::store_failed("create", error),
    }
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
        assert_eq!(status(CreateError::NoFreeCode), 503);
        assert_eq!(status(CreateError::Store(StoreError::Unavailable("down".into()))), 503);
        assert_eq!(status(CreateError::Store(StoreError::Unusable("versions".into()))), 500);
    }
}
