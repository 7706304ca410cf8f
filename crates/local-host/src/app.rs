//! From a manifest to something that answers requests: components compiled, variables resolved, routes laid out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::Response;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi_http::handler::ProxyHandler;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::allowed_hosts::AllowedHosts;
use crate::connections::Pools;
use crate::engine;
use crate::headers::RouteHeaders;
use crate::instance::{InstanceReuse, Instances};
use crate::manifest::{ComponentDeclaration, Manifest, StaticResponse, TriggerTarget};
use crate::route::{RoutePattern, Router};
use crate::state::{ComponentContext, InstanceState};
use crate::variables::{AppVariables, VariableSources};

/// An application, ready to serve.
pub struct App {
    pub(crate) router: Router<Route>,
    listing: Vec<RouteListing>,
}

/// A route of an application, for people to read.
#[derive(Debug, Clone)]
pub struct RouteListing {
    /// As the manifest has it.
    pub route: String,
    /// The component that answers; `None` for a static response.
    pub component: Option<String>,
    /// What the manifest says about that component.
    pub description: Option<String>,
}

pub(crate) struct Route {
    pub(crate) headers: RouteHeaders,
    pub(crate) target: Target,
}

pub(crate) enum Target {
    Component(ProxyHandler<Instances>),
    Static(Response<Bytes>),
}

impl App {
    /// Compiles the components that have a route, some seconds for each, and checks all that can be checked before the
    /// first request.
    ///
    /// # Errors
    ///
    /// A component that is missing, broken or imports what this host does not have; a variable without a value; a
    /// template, an allowed host, a route or a static response that makes no sense.
    pub fn prepare(
        manifest: &Manifest,
        variables: &VariableSources,
        reuse: InstanceReuse,
    ) -> anyhow::Result<Self> {
        let variables = AppVariables::resolve(&manifest.variables, variables)?;
        let mut contexts = BTreeMap::new();
        for (id, declaration) in used_components(manifest)? {
            let context =
                context(id, declaration, &variables).with_context(|| format!("component `{id}`"))?;
            contexts.insert(id, (Arc::new(context), manifest.directory.join(&declaration.source)));
        }

        let engine = engine::engine()?;
        let linker = engine::linker(&engine)?;
        let handlers: BTreeMap<&str, ProxyHandler<Instances>> = thread::scope(|scope| {
            let compiling: Vec<_> = contexts
                .into_iter()
                .map(|(id, (context, path))| {
                    let (engine, linker) = (&engine, &linker);
                    (id, scope.spawn(move || handler(engine, linker, context, &path, reuse)))
                })
                .collect();
            compiling
                .into_iter()
                .map(|(id, thread)| {
                    let handler = thread.join().map_err(|_| anyhow!("the compiler panicked")).flatten();
                    Ok((id, handler.with_context(|| format!("component `{id}`"))?))
                })
                .collect::<anyhow::Result<_>>()
        })?;
        lay_out(manifest, &handlers)
    }

    /// The routes in the manifest's order.
    #[must_use]
    pub fn routes(&self) -> &[RouteListing] {
        &self.listing
    }
}

fn used_components(manifest: &Manifest) -> anyhow::Result<BTreeMap<&str, &ComponentDeclaration>> {
    let mut used = BTreeMap::new();
    for trigger in &manifest.triggers {
        if let TriggerTarget::Component(id) = trigger.target()?
            && let Some(declaration) = manifest.components.get(id)
        {
            used.insert(id, declaration);
        }
    }
    Ok(used)
}

fn context(
    id: &str,
    declaration: &ComponentDeclaration,
    variables: &AppVariables,
) -> anyhow::Result<ComponentContext> {
    Ok(ComponentContext {
        id: id.to_owned(),
        allowed_hosts: AllowedHosts::parse(id, &declaration.allowed_outbound_hosts, variables)?,
        variables: variables.for_component(&declaration.variables)?,
        postgres: Pools::default(),
    })
}

fn handler(
    engine: &Engine,
    linker: &Linker<InstanceState>,
    context: Arc<ComponentContext>,
    path: &Path,
    reuse: InstanceReuse,
) -> anyhow::Result<ProxyHandler<Instances>> {
    let wasm =
        std::fs::read(path).with_context(|| format!("cannot read {}; has it been built?", path.display()))?;
    let component = Component::from_binary(engine, &wasm)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{} is no component that can be compiled", path.display()))?;
    let instance = linker
        .instantiate_pre(&component)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{} imports what local-host does not offer", path.display()))?;
    let service = ServicePre::new(instance)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{} does not export wasi:http/handler@0.3.0", path.display()))?;
    Ok(Instances::handler(context, service, reuse))
}

fn lay_out(manifest: &Manifest, handlers: &BTreeMap<&str, ProxyHandler<Instances>>) -> anyhow::Result<App> {
    let mut routes = Vec::new();
    let mut listing = Vec::new();
    for trigger in &manifest.triggers {
        let pattern = RoutePattern::new(&trigger.route);
        let (target, component) = match trigger.target()? {
            TriggerTarget::Component(id) => {
                let handler = handlers.get(id).with_context(|| format!("there is no component `{id}`"))?;
                (Target::Component(handler.clone()), Some(id))
            }
            TriggerTarget::Static(response) => {
                let answer = static_answer(response)
                    .with_context(|| format!("the static response of route {}", trigger.route))?;
                (Target::Static(answer), None)
            }
        };
        listing.push(RouteListing {
            route: trigger.route.clone(),
            component: component.map(str::to_owned),
            description: component.and_then(|id| manifest.components.get(id)?.description.clone()),
        });
        routes.push((pattern.clone(), Route { headers: RouteHeaders::new(&pattern)?, target }));
    }
    Ok(App { router: Router::build(routes)?, listing })
}

fn static_answer(response: &StaticResponse) -> anyhow::Result<Response<Bytes>> {
    let mut answer = Response::builder().status(response.status_code);
    for (name, value) in &response.headers {
        answer = answer.header(name, value);
    }
    Ok(answer.body(Bytes::from(response.body.clone()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(wasm: &[u8]) -> anyhow::Result<App> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("web.wasm"), wasm)?;
        let manifest = directory.path().join("spin.toml");
        std::fs::write(
            &manifest,
            r#"
            spin_manifest_version = 2
            [application]
            name = "app"
            [[trigger.http]]
            route = "/web"
            component = "web"
            [[trigger.http]]
            route = "/..."
            static_response = { status_code = 404, headers = { "content-type" = "text/plain" }, body = "none" }
            [component.web]
            source = "web.wasm"
            "#,
        )?;
        App::prepare(&Manifest::load(&manifest)?, &VariableSources::default(), InstanceReuse::default())
    }

    fn refusal(wasm: &[u8]) -> String {
        prepare(wasm).map(|_| ()).map_err(|error| format!("{error:#}")).unwrap_err()
    }

    /// A component with nothing in it.
    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    /// A core module with nothing in it.
    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn a_file_that_is_no_http_component_is_refused_by_name() {
        assert!(refusal(b"text").contains("component `web`"));
        assert!(refusal(EMPTY_MODULE).contains("no component that can be compiled"));
        assert!(refusal(EMPTY_COMPONENT).contains("does not export wasi:http/handler"));
    }
}
