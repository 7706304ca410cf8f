//! Runs of `pgbench`: how many creates Postgres does for a client that sends nothing but their statement.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use shortlink_local_stack::stack::DATABASE;

use crate::results::Outcome;
use crate::servers::Servers;

/// The statement of the create component. Its codes are random and as long as generated ones; a collision is as unlikely as
/// it is harmless.
const SCRIPT: &str = include_str!("../sql/create.pgbench");
const FORTNIGHT: Duration = Duration::from_hours(14 * 24);

/// Runs it as the user of the components; `protocol` is `extended`, which parses and plans for each call, or `prepared`.
pub fn run(servers: &Servers, protocol: &str, clients: u32, seconds: u32) -> Result<Outcome> {
    let (name, directory) = (format!("pgbench-{}", servers.next_run()), servers.site.dir());
    let script = directory.join("create.pgbench");
    fs::write(&script, SCRIPT)?;
    let expiry = SystemTime::now().duration_since(UNIX_EPOCH)? + FORTNIGHT;

    let mut command = Command::new(servers.tool("pgbench")?);
    command.args(["--no-vacuum", "--protocol", protocol, "--jobs", "1"]);
    command.args(["--client", &clients.to_string(), "--time", &seconds.to_string()]);
    command.arg("--file").arg(&script).arg("--define").arg(format!("expiry={}", expiry.as_millis()));
    command.arg("--log").arg("--log-prefix").arg(directory.join(&name));
    command.args(["--host", "127.0.0.1", "--port", &servers.ports.postgres.to_string()]);
    command.args(["--username", "shortlink_app", DATABASE]).current_dir(directory);
    command.env("PGPASSWORD", &servers.secrets.app);
    servers.site.run(&name, command, Duration::from_secs(u64::from(seconds) + 30))?;

    let output = fs::read_to_string(servers.site.log(&name))?;
    let rate = output.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let times = latencies(directory, &name)?;
    let percentile = |percent| Some(f64::from(*times.get(times.len() * percent / 100)?) / 1_000.0);
    Ok(Outcome {
        // On a busy machine the clients may still connect when the time is up, and it reports no rate.
        rate: rate.unwrap_or(0.0),
        p50_ms: percentile(50),
        p99_ms: percentile(99),
        requests: u32::try_from(times.len())?,
        errors: if times.is_empty() { clients } else { 0 },
    })
}

/// The times of all transactions in microseconds, sorted: the third column of the log, which is then removed.
fn latencies(directory: &Path, name: &str) -> Result<Vec<u32>> {
    let mut times = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&format!("{name}.")) {
            let log = fs::read_to_string(entry.path())?;
            times.extend(log.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u32>().ok()));
            fs::remove_file(entry.path())?;
        }
    }
    times.sort_unstable();
    Ok(times)
}
