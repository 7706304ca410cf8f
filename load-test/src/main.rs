//! `make loadtestcreate`, `loadtestredirect`, `stresstestcreate` and `stresstestredirect`: users who put load on a running
//! service on this machine, and a report of how it bore that.
//!
//! The exit code says whether the service kept its promise: no request failed, and 99 of 100 were answered in time.

mod links;
mod scenario;
mod shape;
mod target;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use goose::GooseError;
use goose::config::GooseConfiguration;
use goose::prelude::*;
use reqwest::Client;
use reqwest::redirect::Policy;

use crate::links::Links;
use crate::shape::{Action, Shape, Test};
use crate::target::Target;

/// Presses a short-link on this machine and reports how it bore that.
#[derive(Parser)]
#[command(name = "load-test", version)]
struct Options {
    /// Which test
    test: Test,
    /// The front door
    #[arg(long, value_name = "URL", env = "LOAD_TEST_TARGET", default_value = "http://127.0.0.1:8080",
          value_parser = Target::parse)]
    target: Target,
    /// How many users [default: the test's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    users: Option<u32>,
    /// How many users begin each second [default: the test's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    ramp: Option<u32>,
    /// For how long all users go on [default: the test's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,
    /// What 99 of 100 answers may take, in milliseconds [default: the test's]
    #[arg(long, value_name = "N")]
    p99_ms: Option<u32>,
    /// How long a user rests between two requests, in milliseconds; with the default not even the stress test comes
    /// near the front door's limits
    #[arg(long, value_name = "N", default_value_t = 25)]
    pause_ms: u64,
    /// Where the report goes [default: target/<test>.html]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Options {
    fn shape(&self) -> Shape {
        let own = self.test.shape();
        Shape {
            users: self.users.unwrap_or(own.users),
            ramp: self.ramp.unwrap_or(own.ramp),
            seconds: self.seconds.unwrap_or(own.seconds),
            p99_ms: self.p99_ms.unwrap_or(own.p99_ms),
        }
    }

    fn report(&self) -> PathBuf {
        self.report.clone().unwrap_or_else(|| PathBuf::from(format!("target/{}.html", self.test.name())))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(&Options::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load-test: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    // Not followed: the test is of this service, not of the places its links lead to.
    let client =
        Client::builder().redirect(Policy::none()).no_proxy().timeout(Duration::from_secs(10)).build()?;
    // Fails early when the service does not answer.
    let links = Links::create(&client, &options.target).await?;
    let pause = Duration::from_millis(options.pause_ms);
    let scenario = match options.test.action() {
        Action::Create => scenario::create(&client, pause)?,
        Action::Redirect => scenario::redirect(&client, links, pause)?,
    };
    let report = options.report();
    if let Some(directory) = report.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let attack = GooseAttack::initialize_with_config(configuration(options)?)?;
    let ended = Box::pin(attack.register_scenario(scenario).execute()).await;
    println!("report: {}", report.display());
    let requests: usize = match ended {
        Ok(metrics) => metrics.requests.values().map(|request| request.raw_data.counter).sum(),
        Err(GooseError::ThresholdsFailed { failed, .. }) => {
            let failed = failed.iter().map(|result| format!("{}: {}", result.rule, result.observed));
            anyhow::bail!("not kept: {}", failed.collect::<Vec<_>>().join("; "));
        }
        Err(error) => return Err(error.into()),
    };
    ensure!(requests > 0, "no request was sent");
    Ok(())
}

/// All of the test, the time in which users are still being added included, and no doors for remote control.
fn configuration(options: &Options) -> Result<GooseConfiguration> {
    let Shape { users, ramp, seconds, p99_ms } = options.shape();
    let report = options.report();
    let report = report.to_str().context("the name of the report is no text")?;
    let (users, ramp, seconds) = (users.to_string(), ramp.to_string(), format!("{seconds}s"));
    let slowest = format!("p99<={p99_ms}ms");
    let arguments = [
        ["--host", options.target.as_str()],
        ["--users", &users],
        ["--increase-rate", &ramp],
        ["--run-time", &seconds],
        ["--report-file", report],
        ["--threshold", "error-rate<=0%"],
        ["--threshold", &slowest],
    ];
    let switches = ["--no-threshold-abort", "--no-reset-metrics", "--no-telnet", "--no-gzip", "--quiet"];
    let arguments: Vec<&str> = arguments.iter().flatten().copied().chain(switches).collect();
    Ok(GooseConfiguration::parse_args_default(&arguments)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goose_understands_the_settings_of_every_test() {
        for test in ["load-create", "load-redirect", "stress-create", "stress-redirect"] {
            let options = Options::try_parse_from(["load-test", test]).unwrap();
            let configuration = configuration(&options).unwrap();
            let users = usize::try_from(options.test.shape().users).unwrap();
            assert_eq!(configuration.users, Some(users));
            assert_eq!(options.report(), PathBuf::from(format!("target/{test}.html")));
        }
    }

    #[test]
    fn another_machine_is_refused() {
        let options = Options::try_parse_from(["load-test", "load-create", "--target", "http://example.com"]);
        assert!(options.is_err());
    }
}
