//! Filling the pool: by the batch, and by `redis-cli --pipe` with the same codes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::results::Outcome;
use crate::servers::{POOL, Servers};

const CODES: u32 = 1_000_000;
const PIPE_LIMIT: Duration = Duration::from_mins(3);

/// Fills the empty pool by `codes fill`. Leaves the codes for [`pipe`].
pub fn fill(servers: &Servers) -> Result<Outcome> {
    let outcome = timed(servers, || servers.fill_pool(CODES))?;
    let codes: Vec<String> = redis::cmd("LRANGE").arg(POOL).arg(0).arg(-1).query(&mut servers.pool()?)?;
    let push = |code| redis::cmd("RPUSH").arg(POOL).arg(code).get_packed_command();
    fs::write(commands(servers), codes.into_iter().flat_map(push).collect::<Vec<u8>>())?;
    Ok(outcome)
}

/// Fills the empty pool with the codes of the last [`fill`], one RPUSH each.
pub fn pipe(servers: &Servers) -> Result<Outcome> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"exec "$0" -h 127.0.0.1 -p "$1" --user shortlink_operator --pipe < "$2""#]);
    command.arg(servers.tool("redis-cli")?).arg(servers.ports.codes.to_string()).arg(commands(servers));
    command.env("REDISCLI_AUTH", &servers.secrets.operator);
    timed(servers, || servers.site.run("redis-cli", command, PIPE_LIMIT))
}

fn timed(servers: &Servers, fill: impl FnOnce() -> Result<()>) -> Result<Outcome> {
    let mut pool = servers.pool()?;
    redis::cmd("DEL").arg(POOL).exec(&mut pool)?;
    let start = Instant::now();
    fill()?;
    let rate = f64::from(CODES) / start.elapsed().as_secs_f64();
    let length: u32 = redis::cmd("LLEN").arg(POOL).query(&mut pool)?;
    ensure!(length == CODES, "the pool holds {length} codes in place of {CODES}");
    Ok(Outcome { rate, requests: CODES, ..Outcome::default() })
}

fn commands(servers: &Servers) -> PathBuf {
    servers.site.dir().join("codes.resp")
}
