//! How the cost of a redirect grows with the number of links and of partitions.
//!
//! A rate says little when minutes lie between two figures, so this looks at the CPU time of all pieces for one request. Even
//! that differs by a tenth from minute to minute on a machine that is shared, so it is divided by that of a component that
//! does nothing but redirect, measured a moment before.

use std::fs;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;
use shortlink_local_stack::interrupt;

use crate::bench::Bench;
use crate::check::{Bound, Check};
use crate::manifest::BARE;
use crate::plan::{Door, Load};
use crate::report;
use crate::sample::{Sample, median_of, micros_of_a_request};

/// As many links in as many partitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Size {
    links: u32,
    partitions: u32,
}

const FEW: u32 = 10_000;
/// Each is made anew in every round: that takes no time.
const PARTITIONS: [u32; 3] = [1, 15, 60];
/// In as many partitions as the second of those above, and each made once.
const LINKS: [u32; 3] = [FEW, 1_000_000, 10_000_000];
/// A connection is slow at first: Postgres reads of the partitions when they are first used. Spin keeps 64, and an
/// instance keeps one for a quarter of a second.
const WARM_UP_SECONDS: u32 = 5;
const RUN_SECONDS: u32 = 2;
const CLIENTS: u32 = 8;
/// How many links are asked for, each once as far as there are enough, in an order without neighbours.
const ASKED: u32 = 200_000;
/// A prime, so that the links come in no order: it divides no number of links.
const STRIDE: u64 = 15_485_863;

/// What one size costs: CPU time a request, the median of the runs.
#[derive(Debug, Serialize)]
pub struct Cost {
    #[serde(flatten)]
    size: Size,
    /// A redirect out of Postgres, which is then put into the cache.
    miss: Figure,
    /// A code that nobody made.
    unknown: Figure,
}

/// CPU time a request.
#[derive(Clone, Copy, Debug, Serialize)]
struct Figure {
    /// In microseconds.
    micros: Option<f64>,
    /// In that of a bare redirect.
    of_bare: Option<f64>,
}

/// The runs of one size.
struct Runs {
    size: Size,
    misses: Series,
    unknown: Series,
}

/// Microseconds of CPU time a request, in each run: of what is looked at, and of a bare redirect beside it.
#[derive(Default)]
struct Series(Vec<(f64, f64)>);

impl Series {
    fn figure(&self) -> Figure {
        let median = |of: fn(&(f64, f64)) -> f64| median_of(self.0.iter().map(of).collect());
        Figure { micros: median(|(micros, _)| *micros), of_bare: median(|(micros, bare)| micros / bare) }
    }
}

impl Bench<'_> {
    /// Measures every size.
    ///
    /// # Errors
    /// A run that cannot be made, or one with errors.
    pub fn growth(&mut self) -> Result<(Vec<Cost>, Vec<Check>)> {
        let runs = |links, partitions| Runs {
            size: Size { links, partitions },
            misses: Series::default(),
            unknown: Series::default(),
        };
        let mut by_partitions = PARTITIONS.map(|partitions| runs(FEW, partitions));
        for _ in 0..self.options.runs {
            for runs in &mut by_partitions {
                self.fill_and_measure(runs, 1)?;
            }
        }
        let mut by_links = LINKS.map(|links| runs(links, PARTITIONS[1]));
        for runs in &mut by_links {
            self.fill_and_measure(runs, self.options.runs)?;
        }
        let costs = |runs: [Runs; 3]| {
            runs.map(|Runs { size, misses, unknown }| Cost {
                size,
                miss: misses.figure(),
                unknown: unknown.figure(),
            })
        };
        let (by_partitions, by_links) = (costs(by_partitions), costs(by_links));
        let mut checks = checks(&by_partitions, 1.15);
        checks.extend(self::checks(&by_links, 1.10));
        Ok((by_partitions.into_iter().chain(by_links).collect(), checks))
    }

    fn fill_and_measure(&mut self, runs: &mut Runs, times: u32) -> Result<()> {
        let Size { links, partitions } = runs.size;
        eprintln!("{links} links in {partitions} partitions");
        self.stage.sql(&dataset(runs.size))?;
        for table in ["short_code", "short_link"] {
            self.stage.sql(&format!("vacuum analyze shortlink.{table}"))?;
        }
        self.stage.sql("checkpoint")?;
        let list = self.stage.site.dir().join("growth.txt");
        let asked = (0..u64::from(ASKED)).map(|number| path(number * STRIDE % u64::from(links)));
        fs::write(&list, asked.collect::<String>())?;
        let mut from = self.asked(&Load::From(list.clone(), 0), WARM_UP_SECONDS)?.outcome.requests;
        for _ in 0..times {
            ensure!(!interrupt::requested(), "interrupted");
            self.stage.forget()?;
            let bare = self.asked(&Load::Same(BARE.to_owned()), RUN_SECONDS)?;
            let miss = self.asked(&Load::From(list.clone(), from), RUN_SECONDS)?;
            ensure!(
                miss.outcome.requests <= u64::from(links),
                "{} misses in {RUN_SECONDS} s: of {links} links some were asked for twice, and came from the cache",
                miss.outcome.requests
            );
            from += miss.outcome.requests;
            let unknown = self.asked(&Load::Unknown, RUN_SECONDS)?;
            let bare = micros_of_a_request(&bare);
            runs.misses.0.extend(micros_of_a_request(&miss).zip(bare));
            runs.unknown.0.extend(micros_of_a_request(&unknown).zip(bare));
        }
        Ok(())
    }

    fn asked(&mut self, load: &Load, seconds: u32) -> Result<Sample> {
        let sample = self.observed_wrk(Door::Host, load, CLIENTS, seconds, false)?;
        ensure!(sample.outcome.errors == 0, "{} errors", sample.outcome.errors);
        Ok(sample)
    }
}

/// Empties the tables, and fills as many of the months that are over.
fn dataset(Size { links, partitions }: Size) -> String {
    format!(
        "truncate shortlink.short_code, shortlink.short_link;
         do $$
         declare
             v_month timestamptz := date_trunc('month', now() at time zone 'UTC') at time zone 'UTC';
             v_name name;
         begin
             for v_name in select inhrelid::regclass::text from pg_inherits
                 where inhparent = 'shortlink.short_link'::regclass loop
                 execute 'drop table ' || v_name;
             end loop;
             for number in 0 .. {partitions} - 1 loop
                 perform shortlink.create_short_link_partition(v_month - number * interval '1 month');
             end loop;
         end $$;
         create temporary table made as
             select 'g' || lpad(to_hex(number), 6, '0') as code,
                 date_trunc('month', now() at time zone 'UTC') at time zone 'UTC'
                     - (number % {partitions}) * interval '1 month' + number * interval '1 microsecond' as at
             from generate_series(0, {links} - 1) as number;
         insert into shortlink.short_code select code, at, now() + interval '14 days' from made;
         insert into shortlink.short_link
             select code, 'https://example.com/articles/2024/a-heading-of-some-words-' || code, at,
                 now() + interval '14 days', false
             from made;"
    )
}

fn path(number: u64) -> String {
    format!("/v1/shortlink/g{number:06x}\n")
}

/// That no size costs more than so many times what the first one costs.
fn checks(costs: &[Cost], most: f64) -> Vec<Check> {
    let Some((first, others)) = costs.split_first() else { return Vec::new() };
    let mut checks = Vec::new();
    for other in others {
        let kinds = [("miss", first.miss, other.miss), ("unknown", first.unknown, other.unknown)];
        for (kind, first, cost) in kinds {
            let Some(value) = first.of_bare.zip(cost.of_bare).map(|(first, cost)| cost / first) else {
                continue;
            };
            let Size { links, partitions } = other.size;
            let what = format!("{kind}, {links} links in {partitions} partitions");
            checks.push(Check { what, value, bound: Bound::AtMost(most), passed: value <= most });
        }
    }
    checks
}

/// Prints the table and the checks, and writes both beside the file of the other figures.
///
/// # Errors
/// The file cannot be written.
pub fn report(path: &std::path::Path, costs: &[Cost], checks: &[Check]) -> Result<()> {
    println!("\nCPU time of all pieces for one request, in microseconds and in bare redirects");
    println!(
        "{:>10} {:>10} {:>8} {:>8} {:>8} {:>8}",
        "links", "partitions", "miss", "of bare", "unknown", "of bare"
    );
    for Cost { size: Size { links, partitions }, miss, unknown } in costs {
        let [miss, unknown] = [miss, unknown].map(|Figure { micros, of_bare }| {
            format!("{:>8} {:>8}", report::figure(*micros, 0), report::figure(*of_bare, 2))
        });
        println!("{links:>10} {partitions:>10} {miss} {unknown}");
    }
    report::print_checks(checks);
    report::write_json(path, &json!({ "growth": costs, "checks": checks }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_compared_with_the_first() {
        let cost = |partitions, miss| Cost {
            size: Size { links: FEW, partitions },
            miss: Figure { micros: None, of_bare: Some(miss) },
            unknown: Figure { micros: None, of_bare: None },
        };
        let checks = checks(&[cost(1, 10.0), cost(15, 11.0), cost(60, 12.0)], 1.15);
        let figures: Vec<_> = checks.iter().map(|check| (check.what.as_str(), check.passed)).collect();
        assert_eq!(
            figures,
            [("miss, 10000 links in 15 partitions", true), ("miss, 10000 links in 60 partitions", false)]
        );
    }

    #[test]
    fn a_slow_minute_does_not_count() {
        let figure = Series(vec![(400.0, 40.0), (800.0, 80.0), (480.0, 40.0)]).figure();
        assert_eq!((figure.micros, figure.of_bare), (Some(480.0), Some(10.0)));
    }

    #[test]
    fn every_link_that_is_asked_for_was_made() {
        for links in LINKS {
            assert!(!STRIDE.is_multiple_of(u64::from(links)) && !u64::from(links).is_multiple_of(STRIDE));
        }
        assert_eq!(path(255), "/v1/shortlink/g0000ff\n");
    }
}
