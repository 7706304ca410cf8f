//! How the cost of a redirect grows with the number of links and of partitions.
//!
//! Minutes lie between two sizes, so rates say little. This looks at the CPU time of all pieces for one request, divided by
//! that of a bare redirect measured a moment before: the CPU time alone differs by a tenth from minute to minute.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shortlink_local_stack::{interrupt, render};

use crate::check::{Bound, Check};
use crate::plan::{Load, Target};
use crate::report::{figure, print_table};
use crate::results::{Run, median};
use crate::servers::{BARE, Servers};
use crate::usage::observe;
use crate::wrk;

/// Links and partitions. The number of partitions grows first, then that of the links.
const SIZES: [(u32, u32); 5] = [(10_000, 1), (10_000, 15), (10_000, 60), (1_000_000, 15), (10_000_000, 15)];
/// Sizes that are compared, by their places above, and how many times the first one's cost the second may have.
const BOUNDS: [(usize, usize, f64); 4] = [(0, 1, 1.15), (0, 2, 1.15), (1, 3, 1.10), (1, 4, 1.10)];
/// A new connection is slow at first: Postgres reads about each partition when it is first used.
const WARM_UP_SECONDS: u32 = 5;
const RUN_SECONDS: u32 = 2;
const CLIENTS: u32 = 8;
/// How many links are asked for, each once where there are enough.
const FILE: &str = "growth.txt";
const ASKED: u64 = 200_000;
/// A prime that divides no number of links: the links come in no order.
const STRIDE: u64 = 15_485_863;

/// What one size costs, each the median of the runs: CPU time of a miss in microseconds and in bare redirects, and the same
/// of an unknown code.
type Cost = [Option<f64>; 4];
const COLUMNS: [(usize, &str); 2] = [(1, "miss"), (3, "unknown")];

/// Measures every size and prints the table. A "miss" is a redirect from Postgres, which is then cached.
pub fn run(servers: &Servers, runs: u32) -> Result<(Value, Vec<Check>)> {
    let mut costs: Vec<Cost> = Vec::new();
    for (links, partitions) in SIZES {
        eprintln!("{links} links in {partitions} partitions");
        costs.push(measure(servers, runs, links, partitions)?);
    }
    println!("\nCPU time of all pieces for one request, in microseconds and in bare redirects");
    let rows = SIZES.iter().zip(&costs).map(|((links, partitions), cost)| {
        let cost = cost.iter().zip([0, 2, 0, 2]).map(|(value, decimals)| figure(*value, decimals));
        [links.to_string(), partitions.to_string()].into_iter().chain(cost).collect()
    });
    print_table(&["links", "partitions", "miss", "of bare", "unknown", "of bare"], rows);

    let mut checks = Vec::new();
    for (base, larger, most) in BOUNDS {
        let (links, partitions) = SIZES[larger];
        for (column, name) in COLUMNS {
            let Some((base, larger)) = costs[base][column].zip(costs[larger][column]) else { continue };
            let what = format!("{name}, {links} links in {partitions} partitions");
            checks.push(Check::new(what, larger / base, Bound::AtMost(most)));
        }
    }
    let growth =
        SIZES.iter().zip(&costs).map(|((links, partitions), [miss, of_bare, unknown, unknown_of_bare])| {
            json!({
                "links": links,
                "partitions": partitions,
                "miss": { "micros": miss, "of_bare": of_bare },
                "unknown": { "micros": unknown, "of_bare": unknown_of_bare },
            })
        });
    Ok((json!({ "growth": growth.collect::<Vec<_>>(), "checks": checks }), checks))
}

fn measure(servers: &Servers, runs: u32, links: u32, partitions: u32) -> Result<Cost> {
    let values = [("links", &*links.to_string()), ("partitions", &partitions.to_string())];
    servers.sql(&render(include_str!("../sql/growth.sql"), &values)?)?;
    let path = |number| format!("/v1/shortlink/g{:06x}\n", number * STRIDE % u64::from(links));
    fs::write(servers.site.dir().join(FILE), (0..ASKED).map(path).collect::<String>())?;

    let mut asked = ask(servers, Load::From(FILE, 0), WARM_UP_SECONDS)?.outcome.requests;
    let (mut misses, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ensure!(!interrupt::requested(), "interrupted");
        servers.empty_cache()?;
        let bare = ask(servers, Load::Same(BARE), RUN_SECONDS)?.service_micros();
        let miss = ask(servers, Load::From(FILE, asked), RUN_SECONDS)?;
        let requests = miss.outcome.requests;
        ensure!(requests <= links, "{requests} misses of {links} links: some came from the cache");
        asked += requests;
        misses.extend(miss.service_micros().zip(bare));
        unknown.extend(ask(servers, Load::Unknown, RUN_SECONDS)?.service_micros().zip(bare));
    }
    let micros = |runs: &[(f64, f64)]| median(runs.iter().map(|(micros, _)| *micros).collect());
    let of_bare = |runs: &[(f64, f64)]| median(runs.iter().map(|(micros, bare)| micros / bare).collect());
    Ok([micros(&misses), of_bare(&misses), micros(&unknown), of_bare(&unknown)])
}

fn ask(servers: &Servers, load: Load, seconds: u32) -> Result<Run> {
    let run = observe(servers, seconds, || wrk::run(servers, Target::Host, load, CLIENTS, seconds))?;
    ensure!(run.outcome.errors == 0, "{} errors", run.outcome.errors);
    Ok(run)
}
