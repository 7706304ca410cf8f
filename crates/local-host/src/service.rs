//! The answer to one request.

use anyhow::Context;
use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use wasmtime_wasi_http::handler::TrapOrPanicError;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::app::{App, Route, Target};
use crate::headers::{self, ClientAddress};
use crate::route::{RESERVED_PREFIX, RouteMatch};

/// A component that fails costs a 500, not the connection.
///
/// # Errors
///
/// The request does not say clearly which host it is for. As in Spin, its connection is closed without an answer.
pub(crate) async fn answer(
    app: &App,
    request: Request<Incoming>,
    client: &ClientAddress,
) -> anyhow::Result<Response<WasiBody>> {
    // RFC 9112, section 3.2. Spin takes the first one, which a proxy in front may read otherwise.
    if request.headers().get_all(HOST).iter().nth(1).is_some() {
        return Ok(empty(StatusCode::BAD_REQUEST));
    }
    if let Some(name) = request.uri().path().strip_prefix(RESERVED_PREFIX) {
        return Ok(well_known(name));
    }
    let (mut head, body) = request.into_parts();
    // Cheap to clone: it shares the bytes.
    let target = head.uri.clone();
    let Some(found) = app.router.find(target.path()) else {
        return Ok(empty(StatusCode::NOT_FOUND));
    };
    headers::complete(&mut head).with_context(|| format!("a request for {}", target.path()))?;
    Ok(match &found.target.target {
        Target::Static(answer) => answer.clone().map(full),
        Target::Component(_) => from_component(&found, Request::from_parts(head, body), client).await,
    })
}

async fn from_component(
    found: &RouteMatch<'_, '_, Route>,
    mut request: Request<Incoming>,
    client: &ClientAddress,
) -> Response<WasiBody> {
    let Route { headers, target: Target::Component(instances) } = found.target else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let uri = request.uri().clone();
    headers.insert(request.headers_mut(), found, &uri, client);
    let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
    match instances.handle((), request).await {
        Ok(response) => response,
        Err(error) => {
            // A trap has been logged with its instance, which may have taken other requests with it.
            if !error.is::<TrapOrPanicError>() {
                tracing::error!("component `{}` failed a request: {error:?}", instances.state().component());
            }
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn well_known(name: &str) -> Response<WasiBody> {
    match name {
        "health" => Response::new(full(Bytes::from_static(b"OK"))),
        _ => empty(StatusCode::NOT_FOUND),
    }
}

fn empty(status: StatusCode) -> Response<WasiBody> {
    let mut response = Response::new(Empty::new().map_err(Error::from).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn full(bytes: Bytes) -> WasiBody {
    Full::new(bytes).map_err(Error::from).boxed_unsync()
}
