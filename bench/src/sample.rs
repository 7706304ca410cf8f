//! The figures of one run, and of all runs of one measurement.

use serde::Serialize;

use crate::usage::Usage;

/// What the load generator says about a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Requests, transactions or codes a second.
    pub rate: f64,
    /// Half of the requests took no longer, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 of 100 requests took no longer, in milliseconds.
    pub p99_ms: Option<f64>,
    /// Answers counted.
    pub requests: u64,
    /// Requests that failed, or were not answered as they had to be.
    pub errors: u64,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// The load.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Instances of components near the end of the run.
    pub instances: Option<u64>,
    /// What it cost.
    pub usage: Vec<Usage>,
}

/// The median of what the runs have of a figure; nothing when none has it.
pub fn median(samples: &[Sample], figure: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    median_of(samples.iter().filter_map(figure).collect())
}

/// The CPU time that all pieces of the service spent on one request, in microseconds: other work on the machine changes
/// it less than it changes a rate.
#[must_use]
pub fn micros_of_a_request(sample: &Sample) -> Option<f64> {
    let pieces = sample.usage.iter().filter(|usage| usage.process != "load");
    let seconds: f64 = pieces.map(|usage| usage.cpu_seconds).sum();
    let requests = u32::try_from(sample.outcome.requests).ok().filter(|requests| *requests > 0)?;
    Some(seconds * 1e6 / f64::from(requests))
}

/// The median of the runs' ratios, each to the other measurement's run in the same round.
#[must_use]
pub fn ratio(samples: &[Sample], base: &[Sample]) -> Option<f64> {
    let pairs = samples.iter().zip(base).filter(|(_, base)| base.outcome.rate > 0.0);
    median_of(pairs.map(|(sample, base)| sample.outcome.rate / base.outcome.rate).collect())
}

/// The median; nothing when there are no values.
pub fn median_of(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(*values.get(middle - 1)?, upper) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median_of(vec![]), None);
        assert_eq!(median_of(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median_of(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_ratio_compares_runs_of_the_same_round() {
        let run = |rate| Sample {
            outcome: Outcome { rate, ..Outcome::default() },
            instances: None,
            usage: Vec::new(),
        };
        let (one, other) = ([run(50.0), run(5.0), run(80.0)], [run(100.0), run(10.0), run(100.0)]);
        assert_eq!(ratio(&one, &other), Some(0.5));
        assert_eq!(ratio(&one, &[]), None);
    }
}
