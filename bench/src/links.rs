//! The links that are resolved, and in which order.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::stage::Stage;

/// How many links there are.
pub const LINKS: u32 = 100_000;
/// Where a new link leads; these lead to this with a number after it.
pub const TARGET: &str = "https://example.com/articles/2024/a-heading-of-some-words";
/// How many requests a file holds before it begins again.
const SAMPLES: u32 = 1 << 18;
const SEED: u64 = 20_240_229;

/// The files of paths that `wrk` reads.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Every link once.
    pub each: PathBuf,
    /// Links as they are asked for in life: the n-th most wanted one n times less often than the first.
    pub zipf: PathBuf,
}

/// The path of the most wanted link.
#[must_use]
pub fn hot() -> String {
    path(0)
}

/// Where the most wanted link leads.
#[must_use]
pub fn hot_target() -> String {
    format!("{TARGET}-0")
}

/// Makes the links in Postgres, and the files.
///
/// # Errors
/// Postgres refuses, or a file cannot be written.
pub fn prepare(stage: &Stage) -> Result<Paths> {
    let made = stage.sql(&format!(
        "select count(*) from generate_series(0, {LINKS} - 1) as number,
           lateral shortlink.create_short_link('z' || lpad(to_hex(number), 6, '0'),
             '{TARGET}-' || number,
             now() + interval '14 days', false)"
    ))?;
    ensure!(made == LINKS.to_string(), "made {made} of {LINKS} links");
    stage.sql("vacuum analyze")?;
    let directory = stage.site.dir();
    Ok(Paths {
        each: write(directory, "each.txt", (0..LINKS).map(path))?,
        zipf: write(directory, "zipf.txt", zipf(LINKS, SAMPLES).map(path))?,
    })
}

/// The path of the link of that rank. Ranks are scattered over the codes, so that wanted links are not neighbours.
fn path(rank: u32) -> String {
    let number = u64::from(rank) * 7_919 % u64::from(LINKS);
    format!("/v1/shortlink/z{number:06x}")
}

fn write(directory: &Path, name: &str, lines: impl Iterator<Item = String>) -> Result<PathBuf> {
    let path = directory.join(name);
    let text: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Ranks from 0, drawn by Zipf's law with exponent 1, the same ones each time.
fn zipf(ranks: u32, samples: u32) -> impl Iterator<Item = u32> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=ranks)
        .map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        })
        .collect();
    let mut state = SEED;
    (0..samples).map(move |_| {
        let wanted = uniform(&mut state) * sum;
        let rank = sums.partition_point(|reached| *reached < wanted);
        u32::try_from(rank).unwrap_or(0).min(ranks - 1)
    })
}

/// From 0 to 1, by the generator `SplitMix64`.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let high = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0);
    f64::from(high) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_rank_has_a_link_of_its_own() {
        let paths: HashSet<String> = (0..LINKS).map(path).collect();
        assert_eq!(paths.len(), LINKS as usize);
        assert_eq!(hot(), "/v1/shortlink/z000000");
    }

    #[test]
    fn the_first_is_wanted_twice_as_often_as_the_second_and_all_is_repeatable() {
        let ranks: Vec<u32> = zipf(1_000, 100_000).collect();
        let count = |rank| ranks.iter().filter(|drawn| **drawn == rank).count();
        // A share of 1 / (1 + 1/2 + .. + 1/1000).
        assert!((12_900..13_800).contains(&count(0)), "{}", count(0));
        assert!((6_300..7_100).contains(&count(1)), "{}", count(1));
        assert_eq!(ranks, zipf(1_000, 100_000).collect::<Vec<_>>());
        assert!(ranks.iter().all(|rank| *rank < 1_000));
    }
}
