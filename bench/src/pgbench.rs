//! Runs of `pgbench`: what Postgres gives to a client that sends nothing but the statement of the create component.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use shortlink_local_stack::stack::DATABASE;

use crate::plan::Protocol;
use crate::sample::Outcome;
use crate::stage::Stage;

/// The statement of the create component. Its codes are as long as generated ones; two of them being the same is as
/// unlikely as it is harmless.
const SCRIPT: &str = "\\set number random(0, 268435455)
select from shortlink.create_short_link('p' || lpad(to_hex(:number::int), 7, '0'),
  'https://example.com/articles/2024/a-heading-of-some-words',
  timestamptz 'epoch' + :expiry::bigint * interval '1 millisecond', false);
";
const FORTNIGHT: Duration = Duration::from_hours(14 * 24);

/// Runs it as the user of the components.
///
/// # Errors
/// It does not run, or a transaction fails.
pub fn run(stage: &Stage, protocol: Protocol, clients: u32, seconds: u32, number: u32) -> Result<Outcome> {
    let (name, directory) = (format!("pgbench-{number}"), stage.site.dir());
    let script = directory.join("create.sql");
    fs::write(&script, SCRIPT).with_context(|| format!("cannot write {}", script.display()))?;
    let expiry = SystemTime::now().duration_since(UNIX_EPOCH)? + FORTNIGHT;

    let mut command = Command::new(&stage.tools.pgbench);
    let protocol = match protocol {
        Protocol::Extended => "extended",
        Protocol::Prepared => "prepared",
    };
    command.args(["--no-vacuum", "--protocol", protocol, "--jobs", "1"]);
    command.args(["--client", &clients.to_string(), "--time", &seconds.to_string()]);
    command.arg("--file").arg(&script).arg("--define").arg(format!("expiry={}", expiry.as_millis()));
    command.arg("--log").arg("--log-prefix").arg(directory.join(&name));
    command.args(["--host", "127.0.0.1", "--port", &stage.ports.postgres.to_string()]);
    command.args(["--username", "shortlink_app", DATABASE]).current_dir(directory);
    command.env("PGPASSWORD", &stage.secrets.app);
    stage.site.run(&name, command, Duration::from_secs(u64::from(seconds) + 30))?;

    let output = fs::read_to_string(stage.site.log(&name))?;
    let rate = output.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let times = latencies(directory, &name)?;
    ensure!(!times.is_empty(), "pgbench finished no transaction:\n{output}");
    Ok(Outcome {
        rate: rate.with_context(|| format!("pgbench tells no rate:\n{output}"))?,
        p50_ms: percentile(&times, 50),
        p99_ms: percentile(&times, 99),
        requests: u64::try_from(times.len())?,
        errors: 0,
    })
}

/// The times of all transactions in microseconds, sorted: the third column of the log.
fn latencies(directory: &std::path::Path, name: &str) -> Result<Vec<u32>> {
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

fn percentile(sorted: &[u32], percent: usize) -> Option<f64> {
    let index = (sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?);
    Some(f64::from(*sorted.get(index)?) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_milliseconds() {
        let times: Vec<u32> = (1..=1_000).map(|time| time * 1_000).collect();
        assert_eq!(percentile(&times, 50), Some(501.0));
        assert_eq!(percentile(&times, 99), Some(991.0));
        assert_eq!(percentile(&[], 99), None);
    }
}
