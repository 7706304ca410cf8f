//! Numbers for Prometheus: a file for the textfile collector of its node exporter, or an address to scrape.

mod endpoint;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, Opts, Registry, TextEncoder};

pub(crate) use endpoint::Endpoint;

use crate::observe::Observation;

const LAST_SUCCESS: &str = "shortlink_batch_last_success_timestamp_seconds";

/// One round of `run`: what it found, and the results of its steps.
pub(crate) struct Round<'a> {
    pub seen: &'a Observation,
    /// How many codes the pool shall hold.
    pub target: u64,
    /// Each step, and whether it failed.
    pub steps: &'a [(&'static str, bool)],
    pub ended: SystemTime,
    pub took: Duration,
}

/// The text that Prometheus reads. What is not known is left out, so that a dashboard shows a gap and not an old number.
/// `last_success` is that of an earlier round; this one's takes its place if no step failed.
pub(crate) fn text(round: &Round, last_success: Option<f64>) -> Result<String> {
    let page = Page(Registry::new());
    let seen = round.seen;
    page.one("shortlink_codes_available", "Codes in the pool.", seen.codes_available.map(float))?;
    page.one("shortlink_codes_target", "Codes that the pool shall hold.", Some(float(round.target)))?;
    page.one(
        "shortlink_codes_remaining",
        "Codes that the counter can still issue.",
        seen.codes_remaining.map(float),
    )?;
    page.one(
        "shortlink_partition_months_ahead",
        "Months in a row after this one that have a partition; -1 when this one has none.",
        seen.partitions_ahead.map(f64::from),
    )?;
    let links =
        seen.links.iter().map(|(name, rows)| (name.as_str(), float(u64::try_from(*rows).unwrap_or(0))));
    page.many("shortlink_links", "Links by partition, as Postgres estimates them.", "partition", links)?;
    page.one("shortlink_keys", "API keys that are neither expired nor revoked.", seen.keys.map(float))?;
    page.one(
        "shortlink_changes_waiting",
        "Changes of links that the batch has still to write to the redirect cache.",
        seen.changes_waiting.map(float),
    )?;
    let ended = seconds(round.ended);
    page.one("shortlink_batch_last_run_timestamp_seconds", "When the last round ended.", Some(ended))?;
    let succeeded = round.steps.iter().all(|(_, failed)| !failed);
    let success = if succeeded { Some(ended) } else { last_success };
    page.one(LAST_SUCCESS, "When the last round ended in which no step failed.", success)?;
    let took = Some(round.took.as_secs_f64());
    page.one("shortlink_batch_run_duration_seconds", "How long the last round took.", took)?;
    let steps = round.steps.iter().map(|(step, failed)| (*step, f64::from(u8::from(*failed))));
    page.many("shortlink_batch_step_failed", "Whether the step failed in the last round.", "step", steps)?;
    TextEncoder::new().encode_to_string(&page.0.gather()).context("cannot encode the metrics")
}

/// The last success in a text: a round that fails keeps what an earlier process has written.
pub fn last_success(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(LAST_SUCCESS)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Replaces the file atomically: a reader sees the former text or this one.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let mut draft = path.as_os_str().to_owned();
    // The textfile collector reads what ends in .prom, so not this.
    draft.push(format!(".{}.new", std::process::id()));
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // Most often it was never created; what counts is the error that is returned.
        let _ = fs::remove_file(&draft);
    }
    written.with_context(|| format!("--metrics-file: cannot write {}", path.display()))
}

struct Page(Registry);

impl Page {
    fn one(&self, name: &str, help: &str, value: Option<f64>) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        self.add(gauge)
    }

    fn many<'a>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'a str, f64)>,
    ) -> Result<()> {
        let gauges = GaugeVec::new(Opts::new(name, help), &[label])?;
        for (which, value) in values {
            gauges.with_label_values(&[which]).set(value);
        }
        self.add(gauges)
    }

    fn add(&self, collector: impl Collector + 'static) -> Result<()> {
        Ok(self.0.register(Box::new(collector))?)
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "all of them are far below 2^53, or rounding does no harm")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(seen: &Observation, failed: bool, last_success: Option<f64>) -> String {
        let steps = [("codes fill", failed), ("partitions drop", false)];
        let (ended, took) = (UNIX_EPOCH + Duration::from_secs(1000), Duration::from_millis(1500));
        text(&Round { seen, target: 500, steps: &steps, ended, took }, last_success).unwrap()
    }

    #[test]
    fn every_number_has_its_line() {
        let seen = Observation {
            codes_available: Some(7),
            codes_remaining: Some(3_521_614_606_208),
            partitions_ahead: Some(-1),
            links: vec![("short_link_203105".into(), 12)],
            keys: Some(3),
            changes_waiting: Some(0),
        };
        let page = page(&seen, false, None);
        for line in [
            "shortlink_codes_available 7",
            "shortlink_codes_target 500",
            "shortlink_codes_remaining 3521614606208",
            "shortlink_partition_months_ahead -1",
            "shortlink_links{partition=\"short_link_203105\"} 12",
            "shortlink_keys 3",
            "shortlink_changes_waiting 0",
            "shortlink_batch_last_run_timestamp_seconds 1000",
            "shortlink_batch_last_success_timestamp_seconds 1000",
            "shortlink_batch_run_duration_seconds 1.5",
            "shortlink_batch_step_failed{step=\"codes fill\"} 0",
            "# TYPE shortlink_codes_available gauge",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn what_is_not_known_is_left_out_and_a_failure_keeps_the_last_success() {
        let page = page(
            &Observation::default(),
            true,
            last_success("a 1\nshortlink_batch_last_success_timestamp_seconds 900\n"),
        );
        assert!(!page.contains("codes_available") && !page.contains("months_ahead"), "{page}");
        assert!(page.contains("shortlink_batch_step_failed{step=\"codes fill\"} 1"), "{page}");
        assert_eq!(last_success(&page), Some(900.0));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_and_leaves_nothing() {
        let error = write(Path::new("/no-such-directory/short-link.prom"), "").unwrap_err();
        assert!(format!("{error:#}").contains("--metrics-file"), "{error:#}");
    }
}
