//! A history check: many clients create, resolve, change, delete and create again while a seeded schedule breaks everything
//! around the service. Every promise is written down and checked, as it goes and at the end.
//!
//! `make soak SECONDS=60 SEED=7`. The seed decides which faults come in which order, for how long, and what each client
//! asks for; how the machine interleaves them is its own affair. Exit code 1: a promise was broken.

mod client;
mod dice;
mod faults;
mod http;
mod keeper;
mod ledger;
mod world;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::Parser;

use crate::{client::Client, faults::Faults, ledger::Ledger, world::World};

#[derive(Parser)]
struct Arguments {
    /// How long to go on.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Replays the schedule of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// How many clients.
    #[arg(long, default_value_t = 16)]
    clients: u64,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => dice::seed()?,
    };
    println!("soak: {} s, {} clients, SEED={seed}", arguments.seconds, arguments.clients);
    let mut world = World::start()?;
    let key = world.create_key()?;
    let batch = world.batch_caller()?;
    let (ledger, stop, address) = (Ledger::default(), AtomicBool::new(false), world.address());
    let began = Instant::now();
    let injected = thread::scope(|scope| {
        for number in 0..arguments.clients {
            let client = Client::new(number, seed, address, &key, &ledger);
            let stop = &stop;
            thread::Builder::new()
                .name(format!("client-{number}"))
                .spawn_scoped(scope, move || client.run(stop))?;
        }
        scope.spawn(|| keeper::apply_changes(&batch, &ledger, &stop));
        scope.spawn(|| keeper::revoke_keys(&batch, address, &ledger, &stop));
        let mut faults = Faults::new(seed);
        let result = faults.inject(&mut world, Duration::from_secs(arguments.seconds));
        stop.store(true, Ordering::Relaxed);
        result.map(|()| faults)
    })?;
    let load_lasted = began.elapsed();
    world.heal()?;
    ledger.verify(&world)?;
    println!("seed                {seed}");
    injected.print();
    Ok(if ledger.print(load_lasted) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
