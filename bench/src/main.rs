//! `make bench`: how fast short-link is beside the least that the same machine could do, in the same minutes.
//!
//! Absolute figures say more about a machine than about a service, so each one is divided by a base that was measured
//! next to it: redirects by a component that does nothing but redirect, creates by `pgbench` calling the same
//! function, the filling of the pool by `redis-cli --pipe`, the front door by the host behind it.
//!
//! [`plan`] lists the measurements, [`check`] their bounds.

mod bench;
mod check;
mod growth;
mod links;
mod options;
mod pgbench;
mod plan;
mod pool;
mod report;
mod results;
mod servers;
mod usage;
mod wrk;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use shortlink_local_stack::interrupt;

use crate::options::Options;
use crate::servers::Servers;

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
    eprintln!("starting Postgres, two Redis, the host and nginx");
    let servers = Servers::start()?;
    eprintln!("the host is {}", servers.host);
    let (figures, checks) = if options.growth {
        growth::run(&servers, options.runs)?
    } else {
        let results = bench::run(&servers, options)?;
        report::print(&results);
        let checks = check::checks(&results, servers.host);
        (report::json(&results, &checks, servers.host, options), checks)
    };
    report::print_checks(&checks);
    report::write(&options.json, &figures)?;
    println!("\nall figures: {}", options.json.display());
    Ok(checks.iter().all(|check| check.passed))
}
