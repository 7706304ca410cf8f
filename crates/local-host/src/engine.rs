//! The wasmtime engine and what components find in it.

use wasmtime::component::Linker;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView};

use crate::bindings::{postgres, redis, variables};
use crate::state::{HostData, InstanceState, MAX_MEMORY_BYTES};

/// Instances alive at a time, over all components.
const MAX_INSTANCES: u32 = 1000;
/// A component is several core modules: its own and the glue between it and the host.
const CORE_INSTANCES_PER_INSTANCE: u32 = 8;
const FRUGAL_RESERVATION: u64 = 8 << 20;
const MAX_INSTANCE_METADATA_BYTES: usize = 1 << 20;

/// An engine that takes instances from a pool, or allocates each one where the pool's address space is not available.
pub(crate) fn engine() -> anyhow::Result<Engine> {
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    match Engine::new(&pooled) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!("no instance pool, so components run slower: {error:#}");
            Ok(Engine::new(&frugal())?)
        }
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.memory_init_cow(true);
    config
}

/// Where address space is scarce: memories reserve little and check their bounds, instead of reserving 4 GiB each.
fn frugal() -> Config {
    let mut config = config();
    config.memory_reservation(FRUGAL_RESERVATION).memory_reservation_for_growth(FRUGAL_RESERVATION);
    config.memory_guard_size(64 << 10);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * CORE_INSTANCES_PER_INSTANCE)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * 2)
        .total_stacks(MAX_INSTANCES)
        .max_component_instance_size(MAX_INSTANCE_METADATA_BYTES)
        .max_core_instance_size(MAX_INSTANCE_METADATA_BYTES)
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(100_000)
        // Zeroing this much is cheaper than giving the pages back and faulting them in again.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10);
    pool
}

/// Everything a component may import: WASI without outbound HTTP, and the `spin:` interfaces of this host.
pub(crate) fn linker(engine: &Engine) -> anyhow::Result<Linker<InstanceState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::bindings::http::types::add_to_linker::<_, WasiHttp>(
        &mut linker,
        InstanceState::http,
    )?;
    postgres::add_to_linker::<_, HostData>(&mut linker, |state| state)?;
    redis::add_to_linker::<_, HostData>(&mut linker, |state| state)?;
    variables::add_to_linker::<_, HostData>(&mut linker, |state| state)?;
    Ok(linker)
}
