//! The figures of each run, and their medians.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::Measurement;

/// What the load generator reports of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Requests, transactions, links of `create-several` or codes a second.
    pub rate: f64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub requests: u32,
    /// Requests that failed or got the wrong answer, and links that were promised and do not exist.
    pub errors: u32,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Instances of components near the end of the run.
    pub instances: Option<u32>,
    /// CPU time of each piece, with all its processes; `load` is the load generator.
    pub cpu_seconds: BTreeMap<&'static str, f64>,
}

impl Run {
    /// CPU time for one request, in microseconds. Other work on the machine changes it less than it changes a rate.
    pub fn cpu_micros(&self, piece: &str) -> Option<f64> {
        let requests = Some(self.outcome.requests).filter(|requests| *requests > 0)?;
        Some(self.cpu_seconds.get(piece)? * 1e6 / f64::from(requests))
    }

    /// The same of all pieces but the load generator.
    pub fn service_micros(&self) -> Option<f64> {
        let pieces = self.cpu_seconds.keys().filter(|piece| **piece != "load");
        pieces.map(|piece| self.cpu_micros(piece)).sum()
    }
}

/// A measurement and its runs, in the order of the rounds.
#[derive(Debug)]
pub struct Measured {
    pub measurement: Measurement,
    pub clients: u32,
    pub runs: Vec<Run>,
}

impl Measured {
    pub fn title(&self) -> String {
        format!("{}@{}", self.measurement.name, self.clients)
    }

    /// The median of a figure over the runs that have it.
    pub fn median(&self, figure: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
        median(self.runs.iter().filter_map(figure).collect())
    }

    pub fn p99_ms(&self) -> Option<f64> {
        self.median(|run| run.outcome.p99_ms)
    }

    pub fn errors(&self) -> u32 {
        self.runs.iter().map(|run| run.outcome.errors).sum()
    }
}

/// The results of all rounds.
#[derive(Debug)]
pub struct Results(pub Vec<Measured>);

impl Results {
    pub fn get(&self, name: &str, clients: u32) -> Option<&Measured> {
        self.all(name).find(|measured| measured.clients == clients)
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &Measured> {
        self.0.iter().filter(move |measured| measured.measurement.name == name)
    }

    /// The median of the ratios of rates, each of two runs in the same round.
    pub fn ratio(&self, name: &str, base: &str, clients: u32) -> Option<f64> {
        let (runs, base) = (&self.get(name, clients)?.runs, &self.get(base, clients)?.runs);
        let rates = runs.iter().zip(base).map(|(run, base)| (run.outcome.rate, base.outcome.rate));
        median(rates.filter(|(_, base)| *base > 0.0).map(|(rate, base)| rate / base).collect())
    }
}

/// The median; `None` without values.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }
}
