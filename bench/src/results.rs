//! The runs of every measurement.

use clap::ValueEnum;

use crate::plan::{Group, Measurement};
use crate::sample::{Sample, median, ratio};

/// A measurement and its runs, in the order of the rounds.
#[derive(Debug)]
pub struct Result {
    /// What was measured.
    pub measurement: Measurement,
    /// One for each round.
    pub samples: Vec<Sample>,
}

impl Result {
    /// The median rate, a second.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        median(&self.samples, |sample| Some(sample.outcome.rate))
    }

    /// The median of the times that half of the requests were within, in milliseconds.
    #[must_use]
    pub fn p50_ms(&self) -> Option<f64> {
        median(&self.samples, |sample| sample.outcome.p50_ms)
    }

    /// The median of the times that 99 of 100 requests were within, in milliseconds.
    #[must_use]
    pub fn p99_ms(&self) -> Option<f64> {
        median(&self.samples, |sample| sample.outcome.p99_ms)
    }

    /// The errors of all runs.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.samples.iter().map(|sample| sample.outcome.errors).sum()
    }

    /// `name@clients`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}@{}", name(self.measurement.group), self.measurement.clients)
    }
}

/// The results of all rounds.
#[derive(Debug)]
pub struct Results(pub Vec<Result>);

impl Results {
    /// The result of that name and number of clients.
    #[must_use]
    pub fn get(&self, group: Group, clients: u32) -> Option<&Result> {
        self.0.iter().find(|one| one.measurement.group == group && one.measurement.clients == clients)
    }

    /// The results of that name, by rising numbers of clients.
    #[must_use]
    pub fn all(&self, group: Group) -> Vec<&Result> {
        let mut found: Vec<&Result> =
            self.0.iter().filter(|result| result.measurement.group == group).collect();
        found.sort_by_key(|result| result.measurement.clients);
        found
    }

    /// Its rate, divided by that of the other measurement with as many clients.
    #[must_use]
    pub fn ratio(&self, group: Group, base: Group, clients: u32) -> Option<f64> {
        ratio(&self.get(group, clients)?.samples, &self.get(base, clients)?.samples)
    }
}

/// The name that the command line knows.
#[must_use]
pub fn name(group: Group) -> String {
    group.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
