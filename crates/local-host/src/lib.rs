//! Runs the components of a `spin.toml` on wasmtime, for where the `spin` command is absent.
//!
//! A manifest is [loaded](Manifest::load), [prepared](App::prepare) and [served](serve). What it asks for is either done as
//! Spin does it or refused before the first request; nothing is ignored. The `.wasm` files are black boxes: HTTP
//! components (`wasi:http@0.3.0`) that may use WASI, `spin:redis`, `spin:postgres` and `spin:variables`.

mod allowed_hosts;
mod app;
mod bindings;
mod connections;
mod engine;
mod headers;
mod instance;
mod manifest;
#[expect(clippy::result_large_err, reason = "the interface's error holds the server's whole report")]
mod postgres;
mod redis;
mod route;
mod server;
mod service;
mod state;
mod template;
mod variables;
mod variables_host;

pub use app::{App, RouteListing};
pub use instance::InstanceReuse;
pub use manifest::Manifest;
pub use server::serve;
pub use variables::VariableSources;
