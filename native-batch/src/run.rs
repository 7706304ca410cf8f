//! `run`: what has to happen regularly, once for cron or again and again in a container.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::cli::RunArgs;
use crate::codes::{self, CodeCipher};
use crate::config::Settings;
use crate::partitions::{self, Months};
use crate::report::Report;
use crate::stop::Stop;

/// A step that takes longer hangs on something; what it has done so far stands, and the next round goes on from there.
const STEP_LIMIT: Duration = Duration::from_mins(15);

pub async fn run(settings: &Settings, args: RunArgs, report: &Report) -> Result<()> {
    check(settings)?;
    let mut stop = Stop::on_signals().context("cannot listen for signals")?;
    loop {
        let failed = round(settings, args, report, &stop).await;
        match args.every {
            None if failed > 0 => bail!("{failed} of 3 steps failed"),
            None => return Ok(()),
            Some(pause) => tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.wait() => {}
            },
        }
        if stop.requested() {
            report.say("stopped", &json!({}), "stopped");
            return Ok(());
        }
    }
}

/// A bad setting ends the process right away instead of failing again in each round.
fn check(settings: &Settings) -> Result<()> {
    settings.database_url()?;
    settings.redis_codes_url()?;
    CodeCipher::new(settings.codes_key()?)?;
    Ok(())
}

/// Every step is tried, whatever became of the one before. Returns how many failed.
async fn round(settings: &Settings, args: RunArgs, report: &Report, stop: &Stop) -> usize {
    let months = Months::Ahead(args.ahead);
    let steps = [
        step("partitions create", partitions::create(settings, &months, report), report, stop).await,
        step("codes fill", codes::fill(settings, args.fill.target, report, stop), report, stop).await,
        step("partitions drop", partitions::drop_expired(settings, args.grace, false, report), report, stop)
            .await,
    ];
    steps.into_iter().filter(|done| !done).count()
}

async fn step(name: &str, work: impl Future<Output = Result<()>>, report: &Report, stop: &Stop) -> bool {
    if stop.requested() {
        return true;
    }
    let outcome = tokio::time::timeout(STEP_LIMIT, work).await;
    match outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("gave up after {} s", STEP_LIMIT.as_secs()))) {
        Ok(()) => true,
        Err(error) => {
            report.step_error(name, &error);
            false
        }
    }
}
