//! This component as its world in `wit/` describes it: with any other import or export it does not compile.

#![allow(
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; which lints it meets depends on the target"
)]

wit_bindgen::generate!({
    world: "manage",
    path: "../../wit",
    with: {
        "wasi:http/types@0.3.0": spin_sdk::wasip3::http::types,
    },
    generate_all,
});

use exports::wasi::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

struct Component;

export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        crate::respond(request).await
    }
}
