//! The links that are resolved, and the order in which they are asked for.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rand::SeedableRng;
use rand::distr::Distribution;
use rand::rngs::StdRng;
use rand_distr::Zipf;

pub const LINKS: u32 = 100_000;
/// The URL of a new link; those of the links here have their number after it.
pub const URL: &str = "https://example.com/articles/2024/a-heading-of-some-words";
/// The path of the most popular link.
pub const HOT: &str = "/v1/shortlink/z000000";
/// Holds the path of every link once.
pub const EACH_FILE: &str = "each.txt";
/// Holds paths of links, the n-th most popular one n times less often than the first.
pub const ZIPF_FILE: &str = "zipf.txt";

/// How many requests that file holds before `wrk` starts it again.
const REQUESTS: usize = 1 << 18;
/// The same order in every run.
const SEED: u64 = 20_240_229;

/// Creates the links, and counts them.
pub fn sql() -> String {
    format!(
        "select count(*) from generate_series(0, {LINKS} - 1) as number,
           lateral shortlink.create_short_link('z' || lpad(to_hex(number), 6, '0'),
             '{URL}-' || number,
             now() + interval '14 days', false)"
    )
}

/// Writes the files that `wrk` reads.
pub fn write(directory: &Path) -> Result<()> {
    fs::write(directory.join(EACH_FILE), (0..LINKS).map(path).collect::<String>())?;
    Ok(fs::write(directory.join(ZIPF_FILE), zipf()?.map(path).collect::<String>())?)
}

/// The line of the link of that rank, 0 for the most popular. Ranks are scattered over the codes, so that popular links are
/// not neighbours.
fn path(rank: u32) -> String {
    let number = u64::from(rank) * 7_919 % u64::from(LINKS);
    format!("/v1/shortlink/z{number:06x}\n")
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ranks are from 1 to LINKS")]
fn zipf() -> Result<impl Iterator<Item = u32>> {
    let ranks = Zipf::new(f64::from(LINKS), 1.0)?.sample_iter(StdRng::seed_from_u64(SEED));
    Ok(ranks.take(REQUESTS).map(|rank| rank as u32 - 1))
}
