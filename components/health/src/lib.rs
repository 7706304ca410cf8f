//! `GET /v1/health` and `GET /v1/health/ready`.

use shortlink_spin_adapters::endpoint::health;
use spin_sdk::wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Request, Response},
};

struct Component;

spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        health::respond(request).await
    }
}
