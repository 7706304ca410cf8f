//! `run`: the regular work, once for cron or repeatedly in a container.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::changes;
use crate::cli::RunArgs;
use crate::codes::{self, CodeCipher};
use crate::config::Settings;
use crate::idempotency;
use crate::metrics::{self, Endpoint, Round};
use crate::observe::Observation;
use crate::partitions::{self, Months};
use crate::report::Report;
use crate::stop::Stop;

/// A step that takes longer is stopped: it hangs. What it has done stays done, and the next round continues from there.
const STEP_LIMIT: Duration = Duration::from_mins(15);

/// A step's name, and whether it failed.
type Outcome = (&'static str, bool);

pub async fn run(settings: &Settings, args: RunArgs, report: &Report) -> Result<()> {
    check(settings)?;
    let mut stop = Stop::on_signals().context("cannot listen for signals")?;
    let endpoint = match args.metrics_listen {
        Some(address) => Some(Endpoint::open(address).await?),
        None => None,
    };
    let mut publisher = Publisher { args: &args, endpoint, last_success: None };
    loop {
        let (began, mut seen) = (Instant::now(), Observation::default());
        let mut steps = round(settings, &args, report, &stop, &mut seen).await;
        // A round that was interrupted has no result.
        if !stop.requested() {
            if let Err(error) = publisher.publish(&seen, &steps, began.elapsed()) {
                report.step_error("metrics", &error);
                steps.push(("metrics", true));
            }
            summary(&seen, &args, &steps, began.elapsed(), report);
        }
        let failed = failed(&steps);
        match args.every {
            None if !failed.is_empty() => bail!("failed: {}", failed.join(", ")),
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

/// A bad setting ends the process at once instead of failing in each round.
fn check(settings: &Settings) -> Result<()> {
    settings.database_url()?;
    settings.redis_codes()?;
    settings.redis_cache()?;
    CodeCipher::new(settings.codes_key()?)?;
    Ok(())
}

/// Runs every step, also after one that failed.
async fn round(
    settings: &Settings,
    args: &RunArgs,
    report: &Report,
    stop: &Stop,
    seen: &mut Observation,
) -> Vec<Outcome> {
    let (months, target) = (Months::Ahead(args.ahead), args.fill.target);
    vec![
        // First: a link whose entry in the cache was not written is followed as it was until this step.
        step("changes apply", changes::apply(settings, report), report, stop).await,
        step("partitions create", partitions::create(settings, &months, report), report, stop).await,
        step("codes fill", codes::fill(settings, target, report, stop), report, stop).await,
        step("partitions drop", partitions::drop_expired(settings, args.grace, false, report), report, stop)
            .await,
        step("idempotency clear", idempotency::clear(settings, report), report, stop).await,
        step("observe", seen.fill(settings), report, stop).await,
    ]
}

async fn step(
    name: &'static str,
    work: impl Future<Output = Result<()>>,
    report: &Report,
    stop: &Stop,
) -> Outcome {
    if stop.requested() {
        return (name, false);
    }
    let outcome = tokio::time::timeout(STEP_LIMIT, work).await;
    match outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("gave up after {} s", STEP_LIMIT.as_secs()))) {
        Ok(()) => (name, false),
        Err(error) => {
            report.step_error(name, &error);
            (name, true)
        }
    }
}

fn failed(steps: &[Outcome]) -> Vec<&'static str> {
    steps.iter().filter_map(|(name, failed)| failed.then_some(*name)).collect()
}

/// Prints the last line of a round: the current state. What is not known is left out.
fn summary(seen: &Observation, args: &RunArgs, steps: &[Outcome], took: Duration, report: &Report) {
    let failed = failed(steps);
    let mut fields = json!({
        "codes_target": args.fill.target, "failed": failed, "duration_ms": u64::try_from(took.as_millis()).ok(),
    });
    let known = [
        ("codes_available", seen.codes_available.map(Value::from)),
        ("codes_remaining", seen.codes_remaining.map(Value::from)),
        ("partitions_ahead", seen.partitions_ahead.map(Value::from)),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            fields[name] = value;
        }
    }
    let shown = |number: Option<String>| number.unwrap_or_else(|| "?".to_owned());
    let human = format!(
        "codes available: {}; months with partitions after this one: {}; steps that failed: {}",
        shown(seen.codes_available.map(|number| number.to_string())),
        shown(seen.partitions_ahead.map(|number| number.to_string())),
        if failed.is_empty() { "none".to_owned() } else { failed.join(", ") },
    );
    report.say("round", &fields, &human);
}

/// Where the metrics go.
struct Publisher<'a> {
    args: &'a RunArgs,
    endpoint: Option<Endpoint>,
    last_success: Option<f64>,
}

impl Publisher<'_> {
    fn publish(&mut self, seen: &Observation, steps: &[Outcome], took: Duration) -> Result<()> {
        let file = self.args.metrics_file.as_deref();
        if file.is_none() && self.endpoint.is_none() {
            return Ok(());
        }
        let former = file.and_then(|path| std::fs::read_to_string(path).ok());
        let last_success = self.last_success.or_else(|| metrics::last_success(&former?));
        let ended = SystemTime::now();
        let round = Round { seen, target: self.args.fill.target, steps, ended, took };
        let text = metrics::text(&round, last_success)?;
        self.last_success = metrics::last_success(&text);
        if let Some(endpoint) = &self.endpoint {
            endpoint.show(&text);
        }
        file.map_or(Ok(()), |path| metrics::write(path, &text))
    }
}
