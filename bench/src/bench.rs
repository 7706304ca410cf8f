//! Goes through the plan, round by round.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use shortlink_local_stack::interrupt;

use crate::links;
use crate::manifest::{BARE, STATIC};
use crate::observe::observe;
use crate::options::Options;
use crate::plan::{Door, Load, Measurement, Work, measurements};
use crate::results::{self, Results};
use crate::sample::{Outcome, Sample};
use crate::stage::{Stage, expect_status};
use crate::wrk::Wrk;
use crate::{fill, fixed, pgbench};

/// Before each run: new instances start, and connections are opened.
const WARM_UP_SECONDS: u32 = 1;
/// More codes than any service here hands out in a second.
const CODES_A_SECOND: u32 = 20_000;
/// The longest cold run: even fast hosts have not asked for every link by then.
const COLD_SECONDS: u32 = 5;
/// Every link has to have been asked for by then.
const COLD_LIMIT: Duration = Duration::from_mins(3);

/// The pieces, and how many runs there were.
pub struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) stage: Stage,
    runs: u32,
}

impl<'a> Bench<'a> {
    /// Starts all that is measured.
    ///
    /// # Errors
    /// Something is missing or does not start.
    pub fn start(options: &'a Options) -> Result<Self> {
        eprintln!("starting Postgres, two Redis, the host and nginx");
        let stage = Stage::start(options)?;
        eprintln!("the host is {}", stage.host_title());
        Ok(Self { options, stage, runs: 0 })
    }

    /// The title of the host.
    #[must_use]
    pub fn host(&self) -> &'static str {
        self.stage.host_title()
    }

    /// Measures all that the options ask for.
    ///
    /// # Errors
    /// A run that cannot be made. Requests that fail are counted instead.
    pub fn run(&mut self) -> Result<Results> {
        eprintln!("making {} links", links::LINKS);
        let paths = links::prepare(&self.stage)?;
        let api = self.stage.ports.api;
        for path in [STATIC, BARE, &links::hot()] {
            expect_status(api, path, 302)?;
        }
        fixed::expect_headers_of_a_hit(&self.stage)?;
        let plan = measurements(self.options, &paths);
        let mut results = Results(
            plan.into_iter()
                .map(|measurement| results::Result { measurement, samples: Vec::new() })
                .collect(),
        );
        for round in 0..self.options.runs {
            for result in &mut results.0 {
                if round > 0 && result.measurement.once() {
                    continue;
                }
                ensure!(!interrupt::requested(), "interrupted");
                let sample = self.sample(&result.measurement).with_context(|| result.title())?;
                eprintln!(
                    "round {} of {}: {:<24} {:>9.0}/s",
                    round + 1,
                    self.options.runs,
                    result.title(),
                    sample.outcome.rate
                );
                result.samples.push(sample);
            }
        }
        Ok(results)
    }

    fn sample(&mut self, measurement: &Measurement) -> Result<Sample> {
        let (codes, clients, seconds) = (self.options.codes, measurement.clients, self.options.seconds);
        let watch = Duration::from_secs(u64::from(seconds));
        match &measurement.work {
            Work::Http(door, Load::From(file, _)) => self.cold(measurement, *door, file),
            Work::Http(door, load) => self.http(measurement, *door, load),
            Work::Pgbench(protocol) => {
                let (protocol, warm_up, number) = (*protocol, self.next(), self.next());
                pgbench::run(&self.stage, protocol, clients, WARM_UP_SECONDS, warm_up)?;
                observe(&mut self.stage, watch, false, |stage| {
                    pgbench::run(stage, protocol, clients, seconds, number)
                })
            }
            Work::Fill => {
                observe(&mut self.stage, Duration::from_secs(1), false, |stage| fill::batch(stage, codes))
            }
            Work::Pipe => {
                observe(&mut self.stage, Duration::from_secs(1), false, |stage| fill::pipe(stage, codes))
            }
        }
    }

    fn http(&mut self, measurement: &Measurement, door: Door, load: &Load) -> Result<Sample> {
        let (seconds, clients) = (self.options.seconds, measurement.clients);
        if measurement.creates() {
            self.stage.fill((seconds + WARM_UP_SECONDS) * CODES_A_SECOND)?;
        }
        self.wrk(door, load, clients, WARM_UP_SECONDS)?;
        let before = if measurement.creates() { self.stage.count_all_links()? } else { 0 };
        let mut sample = self.observed_wrk(door, load, clients, seconds, measurement.has_instances())?;
        if measurement.creates() {
            let made = self.stage.count_all_links()? - before;
            sample.outcome.errors += missing(&sample.outcome, made);
        }
        Ok(sample)
    }

    /// Asks for the links in their order, each for the first time. The first run is the sample; the others go on until
    /// all links are in the cache, as the Zipf mix wants them.
    fn cold(&mut self, measurement: &Measurement, door: Door, file: &Path) -> Result<Sample> {
        let (began, clients) = (Instant::now(), measurement.clients);
        let from = |first| Load::From(file.to_owned(), first);
        self.wrk(door, &Load::Unknown, clients, WARM_UP_SECONDS)?;
        let seconds = self.options.seconds.min(COLD_SECONDS);
        let sample = self.observed_wrk(door, &from(0), clients, seconds, measurement.has_instances())?;
        let mut asked = sample.outcome.requests;
        while asked < u64::from(links::LINKS) {
            ensure!(
                began.elapsed() < COLD_LIMIT,
                "{asked} links were resolved in {} s",
                COLD_LIMIT.as_secs()
            );
            asked += self.wrk(door, &from(asked), clients, COLD_SECONDS)?.requests;
        }
        Ok(sample)
    }

    fn wrk(&mut self, door: Door, load: &Load, clients: u32, seconds: u32) -> Result<Outcome> {
        Wrk { door, load, clients, seconds, number: self.next() }.run(&self.stage)
    }

    /// A run of `wrk`, and what it costs; `instances` says whether theirs are counted.
    pub(crate) fn observed_wrk(
        &mut self,
        door: Door,
        load: &Load,
        clients: u32,
        seconds: u32,
        instances: bool,
    ) -> Result<Sample> {
        let wrk = Wrk { door, load, clients, seconds, number: self.next() };
        let length = Duration::from_secs(u64::from(seconds));
        observe(&mut self.stage, length, instances, |stage| wrk.run(stage))
    }

    fn next(&mut self) -> u32 {
        self.runs += 1;
        self.runs
    }
}

/// Creates that were answered with success and are not in Postgres, as would happen to a code that was given out twice. As
/// many as there are clients may hide behind creates whose answers nobody read when the load ended.
fn missing(outcome: &Outcome, made: u64) -> u64 {
    outcome.requests.saturating_sub(outcome.errors).saturating_sub(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_was_promised_and_is_not_there_is_an_error() {
        let outcome = Outcome { requests: 10, errors: 1, ..Outcome::default() };
        assert_eq!((missing(&outcome, 9), missing(&outcome, 12), missing(&outcome, 7)), (0, 0, 2));
    }
}
