//! The tables, and the file of all figures.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::check::{Bound, Check};
use crate::options::Options;
use crate::results::{Results, Run};
use crate::servers::PIECES;

/// Prints the figures, then the CPU time for each request.
pub fn print(results: &Results) {
    let header = ["measurement", "clients", "a second", "p50 ms", "p99 ms", "errors", "inst.", "ratio"];
    let rows = results.0.iter().map(|measured| {
        let base = measured.measurement.base;
        let ratio = results.ratio(measured.measurement.name, base, measured.clients);
        vec![
            measured.measurement.name.to_owned(),
            measured.clients.to_string(),
            figure(measured.median(|run| Some(run.outcome.rate)), 0),
            figure(measured.median(|run| run.outcome.p50_ms), 2),
            figure(measured.p99_ms(), 2),
            measured.errors().to_string(),
            figure(measured.median(|run| run.instances.map(f64::from)), 0),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2} of {base}")),
        ]
    });
    print_table(&header, rows);

    println!("\nCPU time for each request, in microseconds; \"all\" is without the load generator");
    let pieces = || PIECES.into_iter().chain(["load"]);
    let header: Vec<&str> = ["measurement"].into_iter().chain(pieces()).chain(["all"]).collect();
    let rows = results.0.iter().map(|measured| {
        let cells = pieces().map(|piece| figure(measured.median(|run| run.cpu_micros(piece)), 1));
        let all = figure(measured.median(Run::service_micros), 1);
        [measured.title()].into_iter().chain(cells).chain([all]).collect()
    });
    print_table(&header, rows);
}

/// Prints the checks; of the runs without errors only that there were no others.
pub fn print_checks(checks: &[Check]) {
    let shown = checks.iter().filter(|check| !check.passed || !check.what.starts_with("errors of"));
    let rows = shown.map(|check| {
        let bound = match check.bound {
            Bound::AtLeast(least) => format!(">= {least}"),
            Bound::AtMost(most) => format!("<= {most}"),
        };
        let verdict = if check.passed { "" } else { "MISSED" };
        vec![check.what.clone(), format!("{:.2}", check.value), bound, verdict.to_owned()]
    });
    print_table(&["check", "figure", "bound", ""], rows);
    if checks.iter().all(|check| check.passed) {
        println!("every check passed, and no request failed");
    }
}

/// Prints a line for each row, every column as wide as its widest cell.
pub fn print_table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let header = header.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<Vec<String>> = [header].into_iter().chain(rows).collect();
    let width = |column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    println!();
    for row in &rows {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<0$}", width(0)),
            _ => format!("{cell:>0$}", width(column)),
        });
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// Every figure of every run, and the medians.
pub fn json(results: &Results, checks: &[Check], host: &str, options: &Options) -> Value {
    let measurements = results.0.iter().map(|measured| {
        let (name, base) = (measured.measurement.name, measured.measurement.base);
        json!({
            "name": name,
            "clients": measured.clients,
            "rate": measured.median(|run| Some(run.outcome.rate)),
            "p50_ms": measured.median(|run| run.outcome.p50_ms),
            "p99_ms": measured.p99_ms(),
            "cpu_us_per_request": measured.median(Run::service_micros),
            "base": base,
            "ratio": results.ratio(name, base, measured.clients),
            "runs": measured.runs,
        })
    });
    json!({
        "host": host,
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "seconds": options.seconds,
        "runs": options.runs,
        "measurements": measurements.collect::<Vec<_>>(),
        "checks": checks,
    })
}

/// Writes the file, and creates its directory.
pub fn write(path: &Path, figures: &Value) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, format!("{figures:#}\n")).with_context(|| format!("cannot write {}", path.display()))
}

/// A figure with that many decimals, or a dash.
pub fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}
