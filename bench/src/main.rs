//! `make bench`: how fast short-link is beside the least that the same machine could do, in the same minutes.
//!
//! Absolute figures say more about a machine than about a service, so each one is divided by a base that was measured
//! next to it: redirects by a component that does nothing but redirect, creates by `pgbench` calling the same
//! function, the filling of the pool by `redis-cli --pipe`, the front door by the host behind it.
//!
//! [`plan`] says what is measured and [`check`] what it has to show.

mod bench;
mod check;
mod fill;
mod fixed;
mod growth;
mod links;
mod manifest;
mod observe;
mod options;
mod pgbench;
mod plan;
mod report;
mod results;
mod sample;
mod stage;
mod tools;
mod usage;
mod wrk;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use shortlink_local_stack::interrupt;

use crate::bench::Bench;
use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(passed) if passed || !options.check => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    interrupt::listen()?;
    let mut bench = Bench::start(options)?;
    if options.growth {
        let (costs, checks) = bench.growth()?;
        growth::report(&options.json, &costs, &checks)?;
        return Ok(checks.iter().all(|check| check.passed));
    }
    let results = bench.run()?;
    let checks = check::checks(&results, bench.host());
    report::print(&results, &checks);
    report::write(&options.json, &results, &checks, bench.host(), options)?;
    println!("\nall figures: {}", options.json.display());
    Ok(checks.iter().all(|check| check.passed))
}
