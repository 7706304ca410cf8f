//! The command line.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::plan::MEASUREMENTS;

/// Measures redirects, creates and the filling of the pool, each beside the least that the same machine could do.
///
/// Starts servers of its own on free ports, in a directory of its own; all traffic stays on 127.0.0.1.
#[derive(Parser)]
#[command(name = "bench", version)]
pub struct Options {
    /// How long each run of each measurement takes
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,

    /// Runs of each measurement; the tables show their median
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=15))]
    pub runs: u32,

    /// Numbers of clients of the redirects
    #[arg(long, value_name = "N,..", default_value = "8,64", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(1..=512))]
    pub clients: Vec<u32>,

    /// Only these measurements; a ratio needs both of its sides
    #[arg(long, value_name = "NAME,..", value_delimiter = ',',
          value_parser = PossibleValuesParser::new(MEASUREMENTS.map(|measurement| measurement.name)))]
    pub only: Vec<String>,

    /// How the cost of a redirect grows up to 10 million links and 60 partitions, and nothing else: about ten minutes
    #[arg(long, conflicts_with_all = ["only", "clients", "seconds"])]
    pub growth: bool,

    /// Fail when a ratio misses its bound
    #[arg(long)]
    pub check: bool,

    /// Where to write all figures
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    pub json: PathBuf,
}
