//! Which instance of a component serves a request. wasmtime's `ProxyHandler` does the work; this is the policy that Spin
//! has too: an instance serves many requests, some at a time, and goes when it has had nothing to do for a while.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, Proxy, ProxyHandler, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::state::{ComponentContext, InstanceState};

/// How long and by how many requests an instance is used.
#[derive(Debug, Clone, Copy)]
pub struct InstanceReuse {
    /// Requests that one instance serves before it is replaced.
    pub max_requests: usize,
    /// Requests that one instance serves at a time.
    pub max_concurrent_requests: usize,
    /// How long an instance may have nothing to do.
    pub idle_timeout: Duration,
}

/// Spin's: 128 requests, 16 at a time, one second.
impl Default for InstanceReuse {
    fn default() -> Self {
        Self { max_requests: 128, max_concurrent_requests: 16, idle_timeout: Duration::from_secs(1) }
    }
}

/// The instances of one component.
pub(crate) struct Instances {
    context: Arc<ComponentContext>,
    service: ServicePre<InstanceState>,
    reuse: InstanceReuse,
}

impl Instances {
    pub(crate) fn handler(
        context: Arc<ComponentContext>,
        service: ServicePre<InstanceState>,
        reuse: InstanceReuse,
    ) -> ProxyHandler<Self> {
        ProxyHandler::new(Self { context, service, reuse })
    }

    /// The component's id in the manifest.
    pub(crate) fn component(&self) -> &str {
        &self.context.id
    }
}

impl HandlerState for Instances {
    type StoreData = InstanceState;
    type WorkerExpiration = IdleTimeout;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<InstanceState, IdleTimeout, Worker>> {
        let mut store = Store::new(self.service.engine(), InstanceState::new(self.context.clone()));
        store.limiter(|state| &mut state.limits);
        let service = self.service.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy: Proxy::P3(service),
            view: InstanceState::http_view,
            expiration: IdleTimeout::new(self.reuse.idle_timeout),
            state: Worker { context: self.context.clone(), reuse: self.reuse },
        })
    }
}

/// Ends an instance that has had nothing to do. A request takes as long as it takes, as with Spin.
pub(crate) struct IdleTimeout {
    timeout: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl IdleTimeout {
    fn new(timeout: Duration) -> Self {
        Self { timeout, sleep: Box::pin(tokio::time::sleep(timeout)) }
    }
}

impl WorkerExpiration for IdleTimeout {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        let WorkerStatus::Idle = status else { return Poll::Pending };
        let Some(deadline) = since.checked_add(self.timeout) else { return Poll::Pending };
        if self.sleep.deadline() != deadline.into() {
            self.sleep.as_mut().reset(deadline.into());
        }
        self.sleep.as_mut().poll(context)
    }
}

/// One instance at work.
pub(crate) struct Worker {
    context: Arc<ComponentContext>,
    reuse: InstanceReuse,
}

impl WorkerState for Worker {
    type StoreData = InstanceState;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.reuse.max_requests {
            ShouldAccept::Never
        } else if concurrent >= self.reuse.max_concurrent_requests {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _store: StoreContextMut<'_, InstanceState>,
        _data: (),
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<InstanceState>, result: wasmtime::Result<()>) {
        if let Err(error) = result {
            tracing::error!("an instance of component `{}` failed: {error:?}", self.context.id);
        }
        drop(store);
    }
}
