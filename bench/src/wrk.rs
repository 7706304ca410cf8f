//! Runs of `wrk`.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::links::{self, KEY, URL};
use crate::plan::{Load, SEVERAL, Target};
use crate::results::Outcome;
use crate::servers::Servers;

const REPORT: &str = include_str!("../wrk/report.lua");
const SAME: &str = include_str!("../wrk/same.lua");
const LIST: &str = include_str!("../wrk/list.lua");
const UNIQUE: &str = include_str!("../wrk/unique.lua");
const UNKNOWN: &str = concat!(include_str!("../wrk/unique.lua"), include_str!("../wrk/unknown.lua"));

/// Runs it with that many connections, each with one request at a time.
pub fn run(servers: &Servers, target: Target, load: Load, clients: u32, seconds: u32) -> Result<Outcome> {
    let (number, threads) = (servers.next_run().to_string(), threads(target, load).min(clients).to_string());
    let directory = servers.site.dir();
    let file = |name| directory.join(name).to_string_lossy().into_owned();
    let path = "/v1/shortlink".to_owned();
    let owned = str::to_owned;
    let (script, arguments) = match load {
        Load::Same(path) => (SAME, vec![owned("GET"), owned(path)]),
        Load::Round(name) => (LIST, vec![file(name), owned("0"), threads.clone()]),
        Load::From(name, first) => (LIST, vec![file(name), first.to_string(), threads.clone()]),
        Load::Unknown => (UNKNOWN, vec![number.clone(), owned("GET"), path + "/u-{unique}"]),
        Load::List(skipped) => (SAME, vec![owned("GET"), links::list_path(servers, skipped)?]),
        Load::CreateSeveral => {
            let several = vec![format!(r#"{{"url":"{URL}"}}"#); SEVERAL as usize].join(",");
            (SAME, vec![owned("POST"), "/v1/links".to_owned(), format!(r#"{{"links":[{several}]}}"#)])
        }
        Load::Create | Load::CreateOwned => {
            (SAME, vec![owned("POST"), path, format!(r#"{{"url":"{URL}"}}"#)])
        }
        Load::CreateAlias => {
            let body = format!(r#"{{"url":"{URL}","alias":"a-{{unique}}"}}"#);
            (UNIQUE, vec![number.clone(), owned("POST"), path, body])
        }
    };
    let name = format!("wrk-{number}");
    let file = directory.join(format!("{name}.lua"));
    fs::write(&file, format!("{REPORT}{script}"))?;

    let port = match target {
        Target::Host => servers.ports.api,
        Target::Proxy => servers.ports.proxy,
        Target::Fixed => servers.fixed.port(),
    };
    let mut command = Command::new(servers.tool("wrk")?);
    command.args(["--threads", &threads, "--connections", &clients.to_string()]);
    if load.has_key() {
        command.arg("--header").arg(format!("x-api-key: {KEY}"));
    }
    command.args(["--duration", &seconds.to_string(), "--timeout", "10"]).arg("--script").arg(file);
    command.arg(format!("http://127.0.0.1:{port}")).arg("--").args(arguments);
    servers.site.run(&name, command, Duration::from_secs(u64::from(seconds) + 30))?;

    let log = fs::read_to_string(servers.site.log(&name))?;
    let line = log.lines().rfind(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("wrk reports nothing:\n{log}"))?;
    let mut outcome: Outcome = serde_json::from_str(line)?;
    if outcome.requests == 0 {
        // All clients still wait at the end: no request failed, but none was answered.
        outcome.errors += clients;
    }
    Ok(outcome)
}

/// Few, for they take cores from the servers: one thread makes more requests than any host here answers. Only nginx, where
/// it has no component to ask, answers more than that.
fn threads(target: Target, load: Load) -> u32 {
    let cores = thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    match (load, target) {
        // One after the other.
        (Load::From(..), _) => 1,
        (Load::Same(_), Target::Proxy | Target::Fixed) => (cores / 2).clamp(1, 8),
        _ => (cores / 4).clamp(1, 8),
    }
}
