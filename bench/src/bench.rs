//! Goes through the measurements, round by round.

use anyhow::{Context, Result, bail, ensure};
use shortlink_local_stack::interrupt;

use crate::links::{self, EACH_FILE, LINKS};
use crate::options::Options;
use crate::plan::{Load, Target, Work, round};
use crate::results::{Measured, Results, Run};
use crate::servers::Servers;
use crate::usage::observe;
use crate::{pgbench, pool, wrk};

/// Before each run: new instances start, and connections are opened.
const WARM_UP_SECONDS: u32 = 1;
/// More codes than any service here hands out in a second.
const CODES_A_SECOND: u32 = 20_000;
const SEVERAL_CODES_A_SECOND: u32 = 100_000;
/// The longest cold run: even fast hosts have not asked for every link by then.
const COLD_SECONDS: u32 = 5;
/// How many cold runs it may take to ask for every link.
const COLD_RUNS: u32 = 36;

/// Measures all that the options ask for. Requests that fail are counted; a run that cannot be done is an error.
pub fn run(servers: &Servers, options: &Options) -> Result<Results> {
    eprintln!("creating {LINKS} links");
    let created = servers.sql(&links::sql())?;
    ensure!(created == LINKS.to_string(), "created {created} of {LINKS} links");
    servers.sql(&links::key_sql())?;
    let round = round(&options.clients, &options.only);
    if round.iter().any(|(measurement, _)| matches!(measurement.work, Work::Wrk(_, Load::List(_)))) {
        eprintln!("creating the links that are listed");
        servers.sql(&links::owned_sql())?;
    }
    servers.sql("vacuum analyze")?;
    links::write(servers.site.dir())?;
    servers.check_answers()?;
    let round = round.into_iter();
    let mut results: Vec<Measured> =
        round.map(|(measurement, clients)| Measured { measurement, clients, runs: Vec::new() }).collect();
    for round in 1..=options.runs {
        for measured in &mut results {
            ensure!(!interrupt::requested(), "interrupted");
            let (clients, seconds, title) = (measured.clients, options.seconds, measured.title());
            let run = match measured.measurement.work {
                Work::Wrk(_, Load::From(..)) if round > 1 => continue, // All links are in the cache now.
                Work::Wrk(_, Load::From(..)) => cold(servers, clients, seconds.min(COLD_SECONDS)),
                Work::Wrk(target, load) => requests(servers, target, load, clients, seconds),
                Work::Pgbench(protocol) => {
                    pgbench::run(servers, protocol, clients, WARM_UP_SECONDS)?;
                    observe(servers, seconds, || pgbench::run(servers, protocol, clients, seconds))
                }
                Work::Fill => observe(servers, 1, || pool::fill(servers)),
                Work::Pipe => observe(servers, 1, || pool::pipe(servers)),
            };
            let mut run = run.with_context(|| title.clone())?;
            run.instances = run.instances.filter(|_| measured.measurement.has_instances());
            eprintln!("round {round} of {}: {title:<24} {:>9.0}/s", options.runs, run.outcome.rate);
            measured.runs.push(run);
        }
    }
    Ok(Results(results))
}

fn requests(servers: &Servers, target: Target, load: Load, clients: u32, seconds: u32) -> Result<Run> {
    let wrk = |seconds| wrk::run(servers, target, load, clients, seconds);
    if load.creates() == 0 {
        wrk(WARM_UP_SECONDS)?;
        return observe(servers, seconds, || wrk(seconds));
    }
    let codes = if load.creates() > 1 { SEVERAL_CODES_A_SECOND } else { CODES_A_SECOND };
    servers.fill_pool((seconds + WARM_UP_SECONDS) * codes)?;
    wrk(WARM_UP_SECONDS)?;
    let before = servers.count_links()?;
    let mut run = observe(servers, seconds, || wrk(seconds))?;
    let created = servers.count_links()? - before;
    // A success without a link in Postgres, such as a code that was given out twice. As many as there are clients stay
    // unnoticed: creates in flight when the load ended are in Postgres, and nobody read their answers.
    let promised = (run.outcome.requests - run.outcome.errors) * load.creates();
    run.outcome.errors += promised.saturating_sub(created);
    run.outcome.rate *= f64::from(load.creates());
    Ok(run)
}

/// Asks for the links in their order, each for the first time. The first run counts; the others go on until all links are
/// in the cache, as the Zipf mix needs them.
fn cold(servers: &Servers, clients: u32, seconds: u32) -> Result<Run> {
    let wrk = |load, seconds| wrk::run(servers, Target::Host, load, clients, seconds);
    wrk(Load::Unknown, WARM_UP_SECONDS)?;
    let run = observe(servers, seconds, || wrk(Load::From(EACH_FILE, 0), seconds))?;
    let mut asked = run.outcome.requests;
    for _ in 0..COLD_RUNS {
        if asked >= LINKS {
            return Ok(run);
        }
        asked += wrk(Load::From(EACH_FILE, asked), COLD_SECONDS)?.requests;
    }
    bail!("{asked} links were resolved in {} s", COLD_RUNS * COLD_SECONDS)
}
