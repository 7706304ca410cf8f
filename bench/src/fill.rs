//! Filling the pool: by the batch, and by `redis-cli --pipe` with the same codes.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::sample::Outcome;
use crate::stage::{POOL, Stage};

const LIMIT: Duration = Duration::from_mins(3);

/// Empties the pool and lets `codes fill` fill it. Leaves what `redis-cli` pushes in the same round.
///
/// # Errors
/// It fails, makes another number of codes, or makes one twice.
pub fn batch(stage: &Stage, codes: u32) -> Result<Outcome> {
    let mut pool = stage.pool()?;
    let () = redis::cmd("DEL").arg(POOL).query(&mut pool)?;
    let began = Instant::now();
    stage.fill(codes)?;
    let outcome = outcome(codes, began.elapsed());

    let made: Vec<String> = redis::cmd("LRANGE").arg(POOL).arg(0).arg(-1).query(&mut pool)?;
    let different = made.iter().collect::<HashSet<_>>().len();
    ensure!(made.len() == different, "{} codes, only {different} of them different", made.len());
    ensure!(different == codes as usize, "the batch made {different} codes in place of {codes}");
    let mut protocol = String::with_capacity(made.len() * 48);
    for code in &made {
        let (list, length) = (POOL.len(), code.len());
        write!(protocol, "*3\r\n$5\r\nRPUSH\r\n${list}\r\n{POOL}\r\n${length}\r\n{code}\r\n")?;
    }
    fs::write(commands(stage), protocol).context("cannot write the commands for redis-cli")?;
    Ok(outcome)
}

/// Empties the pool and pushes the codes of the last [`batch`], one RPUSH each.
///
/// # Errors
/// It fails, or does not push all of them.
pub fn pipe(stage: &Stage, codes: u32) -> Result<Outcome> {
    let mut pool = stage.pool()?;
    let () = redis::cmd("DEL").arg(POOL).query(&mut pool)?;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"exec "$0" -h 127.0.0.1 -p "$1" --user shortlink_operator --pipe < "$2""#]);
    command.arg(&stage.tools.redis_cli).arg(stage.ports.codes.to_string()).arg(commands(stage));
    command.env("REDISCLI_AUTH", &stage.secrets.operator);
    let began = Instant::now();
    stage.site.run("redis-cli", command, LIMIT)?;
    let outcome = outcome(codes, began.elapsed());
    let pushed: u32 = redis::cmd("LLEN").arg(POOL).query(&mut pool)?;
    ensure!(pushed == codes, "redis-cli pushed {pushed} codes in place of {codes}");
    Ok(outcome)
}

fn commands(stage: &Stage) -> PathBuf {
    stage.site.dir().join("codes.resp")
}

fn outcome(codes: u32, took: Duration) -> Outcome {
    let rate = f64::from(codes) / took.as_secs_f64();
    Outcome { rate, requests: u64::from(codes), ..Outcome::default() }
}
