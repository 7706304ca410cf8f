//! What the host keeps for each instance, and for each component.

use std::sync::Arc;

use http::HeaderName;
use wasmtime::component::{HasData, ResourceTable};
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error as HttpError, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::allowed_hosts::AllowedHosts;
use crate::connections::Pools;
use crate::variables::ComponentVariables;

/// The limit of one instance's linear memory. Spin sets none; a component that needs more than this locally has a leak.
pub(crate) const MAX_MEMORY_BYTES: usize = 256 << 20;

/// What all instances of a component share.
pub(crate) struct ComponentContext {
    pub(crate) id: String,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) variables: ComponentVariables,
    pub(crate) postgres: Pools,
}

/// The data of one instance's store.
pub(crate) struct InstanceState {
    pub(crate) context: Arc<ComponentContext>,
    pub(crate) table: ResourceTable,
    pub(crate) limits: StoreLimits,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoOutboundHttp,
}

impl InstanceState {
    /// A component writes to the host's own stdout and stderr; it has no files, no environment, no sockets.
    pub(crate) fn new(context: Arc<ComponentContext>) -> Self {
        Self {
            context,
            table: ResourceTable::new(),
            limits: StoreLimitsBuilder::new().memory_size(MAX_MEMORY_BYTES).build(),
            wasi: WasiCtx::builder().inherit_stdout().inherit_stderr().build(),
            http: WasiHttpCtx::new(),
            hooks: NoOutboundHttp,
        }
    }

    /// The view that `wasi:http` works on, as a plain function.
    pub(crate) fn http_view(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpView::http(self)
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for InstanceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Ties the generated bindings to [`InstanceState`].
pub(crate) struct HostData;

impl HasData for HostData {
    type Data<'a> = &'a mut InstanceState;
}

/// The linker has no `wasi:http/client`, so nothing calls `send_request`; if something did, it would be denied.
struct NoOutboundHttp;

type Sent = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>);

impl WasiHttpHooks for NoOutboundHttp {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _body_result: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, HttpError>> + Send> {
        Box::new(async { Err(HttpError::HttpRequestDenied) })
    }
}
