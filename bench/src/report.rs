//! The tables, and the file of all figures.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::check::{Bound, Check};
use crate::options::Options;
use crate::results::{self, Results};
use crate::sample::{median, micros_of_a_request};
use crate::usage::Usage;

/// Prints the figures, then what each run cost, then the checks.
pub fn print(results: &Results, checks: &[Check]) {
    print_rates(results);
    print_costs(results);
    print_checks(checks);
}

/// Prints the checks; of the measurements without errors only that there are no others.
pub fn print_checks(checks: &[Check]) {
    println!("\n{:<44} {:>9}   bound", "check", "figure");
    for check in checks.iter().filter(|check| !(check.passed && check.what.starts_with("errors of"))) {
        let bound = match check.bound {
            Bound::AtLeast(least) => format!(">= {least}"),
            Bound::AtMost(most) => format!("<= {most}"),
        };
        let verdict = if check.passed { "" } else { "  MISSED" };
        println!("{:<44} {:>9.2}   {bound}{verdict}", check.what, check.value);
    }
    if checks.iter().all(|check| check.passed) {
        println!("every check passed, and no request failed");
    }
}

fn print_rates(results: &Results) {
    println!(
        "\n{:<20} {:>7} {:>10} {:>8} {:>8} {:>6} {:>5}  ratio",
        "measurement", "clients", "a second", "p50 ms", "p99 ms", "errors", "inst."
    );
    for result in &results.0 {
        let measurement = &result.measurement;
        let ratio = measurement.base.and_then(|base| {
            let ratio = results.ratio(measurement.group, base, measurement.clients)?;
            Some(format!("{ratio:.2} of {}", results::name(base)))
        });
        println!(
            "{:<20} {:>7} {:>10} {:>8} {:>8} {:>6} {:>5}  {}",
            results::name(measurement.group),
            measurement.clients,
            figure(result.rate(), 0),
            figure(result.p50_ms(), 2),
            figure(result.p99_ms(), 2),
            result.errors(),
            figure(median(&result.samples, |sample| count(sample.instances)), 0),
            ratio.unwrap_or_default()
        );
    }
}

fn print_costs(results: &Results) {
    println!("\nCPU seconds of a run / MiB of memory near its end");
    let names = ["host", "nginx", "fixed", "postgres", "cache", "codes", "load"];
    println!("{:<24}{} {:>12}", "measurement", columns(names.map(str::to_owned)), "us a request");
    for result in &results.0 {
        let cells = names.map(|name| {
            let of = |figure: fn(&Usage) -> f64| {
                median(&result.samples, |sample| {
                    sample.usage.iter().find(|usage| usage.process == name).map(figure)
                })
            };
            let cpu = figure(of(|usage| usage.cpu_seconds), 2);
            format!("{cpu} / {}", figure(of(|usage| usage.memory_mib), 0))
        });
        let each = figure(median(&result.samples, micros_of_a_request), 1);
        println!("{:<24}{} {each:>12}", result.title(), columns(cells));
    }
}

fn columns<const N: usize>(cells: [String; N]) -> String {
    cells.map(|cell| format!("{cell:>13}")).concat()
}

/// Writes every figure of every run.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, results: &Results, checks: &[Check], host: &str, options: &Options) -> Result<()> {
    let measurements: Vec<Value> = results
        .0
        .iter()
        .map(|result| {
            let measurement = &result.measurement;
            let base = measurement.base;
            json!({
                "name": measurement.group,
                "clients": measurement.clients,
                "rate": result.rate(),
                "p50_ms": result.p50_ms(),
                "p99_ms": result.p99_ms(),
                "errors": result.errors(),
                "cpu_us_per_request": median(&result.samples, micros_of_a_request),
                "base": base,
                "ratio": base.and_then(|base| results.ratio(measurement.group, base, measurement.clients)),
                "runs": result.samples,
            })
        })
        .collect();
    let all = json!({
        "host": host,
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "cores": thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "seconds": options.seconds,
        "runs": options.runs,
        "measurements": measurements,
        "checks": checks,
    });
    write_json(path, &all)
}

/// Writes a file, and makes its directory.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(path: &Path, all: &Value) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let text = serde_json::to_string_pretty(all)?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

/// A figure with so many digits behind the point, or a dash.
pub fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

fn count(value: Option<u64>) -> Option<f64> {
    value.and_then(|value| u32::try_from(value).ok()).map(f64::from)
}
