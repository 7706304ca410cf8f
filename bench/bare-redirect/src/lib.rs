//! Answers 302 to whatever it is asked: the ceiling for any redirect on the same host and the same bindings.

use spin_sdk::wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Fields, Request, Response},
    wit_future,
};

struct Component;

spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let headers = [
            ("location".to_owned(), b"https://example.com/".to_vec()),
            ("content-length".to_owned(), b"0".to_vec()),
        ];
        let headers =
            Fields::from_list(&headers).map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
        let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
        drop(trailers);
        let (response, _sent) = Response::new(headers, None, trailers_reader);
        response.set_status_code(302).map_err(|()| ErrorCode::InternalError(None))?;
        Ok(response)
    }
}
