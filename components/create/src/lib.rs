//! `POST /v1/shortlink`.

use shortlink_spin_adapters::endpoint::create;
use spin_sdk::wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Request, Response},
};

struct Component;

spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        create::respond(request).await
    }
}
