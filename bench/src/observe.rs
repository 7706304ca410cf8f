//! Watches the processes during a run.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::sample::{Outcome, Sample};
use crate::stage::Stage;
use crate::usage::{Processes, Usage};

/// Makes the run and takes down what it costs. Memory, and `instances` if they matter, are looked at after most of
/// `length` has gone.
///
/// # Errors
/// The run's own.
pub fn observe(
    stage: &mut Stage,
    length: Duration,
    instances: bool,
    run: impl FnOnce(&Stage) -> Result<Outcome>,
) -> Result<Sample> {
    let pieces = stage.processes();
    let stage = &*stage;
    let before = Processes::now();
    let (outcome, seen) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            thread::sleep(length.mul_f64(0.8));
            let processes = Processes::now();
            let memory: Vec<f64> = pieces.iter().map(|(_, pid)| processes.memory_mib(*pid)).collect();
            (memory, instances.then(|| stage.instances()).flatten())
        });
        (run(stage), watcher.join().ok())
    });
    let outcome = outcome?;
    let after = Processes::now();
    let (memory, instances) = seen.unwrap_or_default();
    let costs = pieces.iter().zip(memory).map(|((process, pid), memory_mib)| Usage {
        process,
        cpu_seconds: (after.cpu_seconds(*pid) - before.cpu_seconds(*pid)).max(0.0),
        memory_mib,
    });
    let mut usage: Vec<Usage> = costs.collect();
    let load = after.load_seconds() - before.load_seconds();
    usage.push(Usage { process: "load", cpu_seconds: load, memory_mib: 0.0 });
    Ok(Sample { outcome, instances, usage })
}
