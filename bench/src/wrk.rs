//! Runs of `wrk`.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::links::TARGET;
use crate::plan::{Door, Load};
use crate::sample::Outcome;
use crate::stage::Stage;

const REPORT: &str = include_str!("../wrk/report.lua");
const SAME: &str = include_str!("../wrk/same.lua");
const LIST: &str = include_str!("../wrk/list.lua");
const UNIQUE: &str = include_str!("../wrk/unique.lua");
const UNKNOWN: &str = concat!(include_str!("../wrk/unique.lua"), include_str!("../wrk/unknown.lua"));
const CREATE: &str = "/v1/shortlink";

/// A run of `wrk` to come.
#[derive(Clone, Debug)]
pub struct Wrk<'a> {
    /// Whom it asks.
    pub door: Door,
    /// What for.
    pub load: &'a Load,
    /// Its connections, each with one request at a time.
    pub clients: u32,
    /// How long it takes at most.
    pub seconds: u32,
    /// A number that no other run of this process has.
    pub number: u32,
}

#[derive(Deserialize)]
struct Report {
    requests: u32,
    /// In microseconds, as all times.
    duration: u32,
    p50: u32,
    p99: u32,
    /// Connections that failed, and answers that did not come in time.
    broken: u64,
    /// Answers with a status of 400 or more.
    refused: u64,
    /// Answers with another status than the one that was to come, where the script looks.
    wrong: u64,
}

impl Wrk<'_> {
    /// Runs it.
    ///
    /// # Errors
    /// It does not run, or does not report.
    pub fn run(&self, stage: &Stage) -> Result<Outcome> {
        let (name, threads) = (format!("wrk-{}", self.number), self.threads());
        let (lua, arguments) = self.script(threads);
        let script = stage.site.dir().join(format!("{name}.lua"));
        fs::write(&script, format!("{REPORT}{lua}"))
            .with_context(|| format!("cannot write {}", script.display()))?;

        let port = match self.door {
            Door::Host => stage.ports.api,
            Door::Proxy => stage.ports.proxy,
            Door::Fixed => stage.fixed.port(),
        };
        let mut command = Command::new(&stage.tools.wrk);
        command.args(["--threads", &threads.to_string(), "--connections", &self.clients.to_string()]);
        command.args(["--duration", &self.seconds.to_string(), "--timeout", "10"]);
        command.arg("--script").arg(&script);
        command.arg(format!("http://127.0.0.1:{port}")).arg("--").args(arguments);
        let limit = Duration::from_secs(u64::from(self.seconds) + 30);
        stage.site.run(&name, command, limit)?;

        let log = fs::read_to_string(stage.site.log(&name))?;
        let line = log.lines().rfind(|line| line.starts_with('{'));
        let line = line.with_context(|| format!("wrk reports nothing:\n{log}"))?;
        Ok(self.outcome(&serde_json::from_str(line)?))
    }

    fn script(&self, threads: u32) -> (&'static str, Vec<String>) {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (threads, number) = (threads.to_string(), self.number.to_string());
        match self.load {
            Load::Same(path) => (SAME, own(&["GET", path])),
            Load::Round(file) => (LIST, own(&[&file.to_string_lossy(), "0", &threads])),
            Load::From(file, first) => (LIST, own(&[&file.to_string_lossy(), &first.to_string(), &threads])),
            Load::Unknown => (UNKNOWN, own(&[&number, "GET", "/v1/shortlink/u-{unique}"])),
            Load::Create => (SAME, own(&["POST", CREATE, &format!(r#"{{"url":"{TARGET}"}}"#)])),
            Load::CreateAlias => {
                let body = format!(r#"{{"url":"{TARGET}","alias":"a-{{unique}}"}}"#);
                (UNIQUE, own(&[&number, "POST", CREATE, &body]))
            }
        }
    }

    fn outcome(&self, report: &Report) -> Outcome {
        let requests = u64::from(report.requests);
        let wrong = match self.load {
            Load::Unknown => report.wrong,
            _ => report.refused,
        };
        let milliseconds = |microseconds| Some(f64::from(microseconds) / 1_000.0);
        Outcome {
            rate: f64::from(report.requests) / (f64::from(report.duration.max(1)) / 1e6),
            p50_ms: milliseconds(report.p50),
            p99_ms: milliseconds(report.p99),
            requests,
            // Clients that all still wait at the end have met no error, and yet nobody was served.
            errors: report.broken + wrong + if requests == 0 { u64::from(self.clients) } else { 0 },
        }
    }

    /// Few, for they take cores from the servers: one of them makes more requests than any host here answers. Only nginx,
    /// where it has no component to ask, answers more than that.
    fn threads(&self) -> u32 {
        let cores =
            thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
        match self.load {
            // One after the other.
            Load::From(..) => 1,
            Load::Same(_) if !matches!(self.door, Door::Host) => (cores / 2).clamp(1, 8).min(self.clients),
            _ => (cores / 4).clamp(1, 8).min(self.clients),
        }
    }
}
