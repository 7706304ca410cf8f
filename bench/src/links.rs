//! The links that are resolved, and the order in which they are asked for.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use rand::SeedableRng;
use rand::distr::Distribution;
use rand::rngs::StdRng;
use rand_distr::Zipf;
use shortlink_core::{Code, KeyId, LinkQuery, Position};

use crate::servers::Servers;

pub const LINKS: u32 = 100_000;
/// The URL of a new link; those of the links here have their number after it.
pub const URL: &str = "https://example.com/articles/2024/a-heading-of-some-words";
/// The path of the most popular link.
pub const HOT: &str = "/v1/shortlink/z000000";
/// Its path at the root.
pub const ROOT_HOT: &str = "/z000000";
/// Holds the path of every link once.
pub const EACH_FILE: &str = "each.txt";
/// Holds paths of links, the n-th most popular one n times less often than the first.
pub const ZIPF_FILE: &str = "zipf.txt";
/// The same at the root.
pub const ROOT_ZIPF_FILE: &str = "root-zipf.txt";
/// An API key that may do everything with its own links.
pub const KEY: &str = "slk_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// How many links it has when they are listed.
const OWNED: u32 = 1_000_000;

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

/// Stores the key.
pub fn key_sql() -> String {
    format!(
        "insert into shortlink.api_key (key_name, key_hash, scopes)
         values ('bench', sha256('{KEY}'), '{{create,manage}}')"
    )
}

/// Stores the links that are listed: one a second until now, without the functions, which would take minutes.
pub fn owned_sql() -> String {
    format!(
        "select shortlink.create_short_link_partition(now() - number * interval '1 month')
             from generate_series(0, 1) as number;
         insert into shortlink.short_code (short_code, created_at, expires_at, key_id)
             select 'k' || number, now() - number * interval '1 second', 'infinity', key_id
             from generate_series(1, {OWNED}) as number, shortlink.api_key;
         insert into shortlink.short_link (short_code, url, created_at, expires_at, is_custom, key_id)
             select short_code, '{URL}', created_at, expires_at, true, key_id
             from shortlink.short_code where key_id > 0 and expires_at = 'infinity'"
    )
}

/// The path of a page of them, after the newest `skipped` ones.
pub fn list_path(servers: &Servers, skipped: u32) -> Result<String> {
    let path = "/v1/links?limit=50".to_owned();
    let Some(before) = skipped.checked_sub(1) else { return Ok(path) };
    let last = servers.sql(&format!(
        "select key_id || ' ' || (extract(epoch from created_at) * 1000000)::bigint || ' ' || short_code
         from shortlink.short_link where key_id > 0 order by created_at desc, short_code desc offset {before} limit 1"
    ))?;
    let [key, created_at, code] = last.split(' ').collect::<Vec<_>>()[..] else { bail!("no link {skipped}") };
    let (key, position) =
        (KeyId(key.parse()?), Position { created_at_micros: created_at.parse()?, code: Code::parse(code)? });
    let cursor = LinkQuery::from_query("limit=50", key)?.cursor(&position, key);
    Ok(format!("{path}&cursor={cursor}"))
}

/// Writes the files that `wrk` reads.
pub fn write(directory: &Path) -> Result<()> {
    let zipf: String = zipf()?.map(path).collect();
    fs::write(directory.join(EACH_FILE), (0..LINKS).map(path).collect::<String>())?;
    fs::write(directory.join(ROOT_ZIPF_FILE), zipf.replace("/v1/shortlink/", "/"))?;
    Ok(fs::write(directory.join(ZIPF_FILE), zipf)?)
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
