//! `codes fill`: pushes codes until the pool holds its target.
//!
//! One block of numbers at a time is taken from the counter, encrypted on all cores while its first codes are pushed,
//! and finished before the next is taken. So a batch that is killed, or whose Redis fails, loses at most one block.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use shortlink_core::Code;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::cipher::CodeCipher;
use super::counter::{self, State};
use super::pool::Pool;
use crate::config::Settings;
use crate::database::{self, Lock};
use crate::report::{Progress, Report};
use crate::stop::Stop;

/// Numbers taken from the counter at once: a commit each, so not too few; lost when killed, so not too many.
const BLOCK: u64 = 10_000;
/// Codes encrypted by one task and pushed in one pipeline.
const CHUNK: u64 = 2_500;
/// A counter that does not answer for so long is treated as gone.
const COUNTER_PATIENCE: Duration = Duration::from_mins(1);

struct Fill<'a> {
    database: &'a Client,
    pool: Pool,
    cipher: Arc<CodeCipher>,
}

pub async fn fill(settings: &Settings, target: u64, report: &Report, stop: &Stop) -> Result<()> {
    let cipher = Arc::new(CodeCipher::new(settings.codes_key()?)?);
    let pool = Pool::connect(settings).await?;
    let database = database::connect(settings).await?;
    let mut fill = Fill { database: &database, pool, cipher };
    match Lock::FillCodes.unless_held(&database, fill.start(target, report, stop)).await? {
        Some((pushed, available)) => report.say(
            "filled",
            &json!({"pushed": pushed, "available": available, "target": target, "complete": available >= target}),
            &format!("pushed {pushed} codes; the pool holds {available} of {target}"),
        ),
        None => {
            report.say("busy", &json!({"command": "codes fill"}), "another batch is filling the pool");
        }
    }
    Ok(())
}

impl Fill<'_> {
    /// How many codes were pushed, and how many there are now.
    async fn start(&mut self, target: u64, report: &Report, stop: &Stop) -> Result<(u64, u64)> {
        database::keep_commits(self.database).await?;
        State::read(self.database).await?.check_key(self.cipher.fingerprint())?;
        let available = self.pool.len().await?;
        let progress = report.progress("codes fill", target.saturating_sub(available));
        let outcome = self.up_to(target, available, &progress, stop).await;
        progress.finish();
        outcome
    }

    async fn up_to(
        &mut self,
        target: u64,
        mut available: u64,
        progress: &Progress<'_>,
        stop: &Stop,
    ) -> Result<(u64, u64)> {
        let mut pushed = 0;
        while available < target && !stop.requested() {
            let take = counter::take(self.database, self.cipher.fingerprint(), BLOCK.min(target - available));
            let block = timeout(COUNTER_PATIENCE, take).await.context("Postgres did not answer")??;
            let mut chunks = Vec::new();
            for first in block.clone().step_by(usize::try_from(CHUNK)?) {
                chunks.push(self.encrypt(first..block.end.min(first + CHUNK)));
            }
            for chunk in chunks {
                let codes = chunk.await?;
                available = self.push(&codes).await?;
                pushed += codes.len() as u64;
                progress.at(pushed, available);
            }
        }
        Ok((pushed, available))
    }

    fn encrypt(&self, numbers: Range<u64>) -> JoinHandle<Vec<Code>> {
        let cipher = Arc::clone(&self.cipher);
        tokio::task::spawn_blocking(move || numbers.filter_map(|number| cipher.encrypt(number)).collect())
    }

    async fn push(&mut self, codes: &[Code]) -> Result<u64> {
        // The lock went with the connection: another batch may be filling by now.
        if self.database.is_closed() {
            bail!("the connection to Postgres was lost while filling");
        }
        self.pool.push(codes).await
    }
}
