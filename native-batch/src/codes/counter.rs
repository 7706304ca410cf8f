//! The counter in Postgres of the numbers that have been turned into codes. It only increases, and a number is taken before
//! its code leaves the batch: whatever fails later, no number is issued twice.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use shortlink_core::GENERATED_CODES;
use tokio_postgres::Client;

use crate::config::ConfigError;

/// The counter's state.
pub struct State {
    /// The first number not yet issued.
    pub next: u64,
    /// The key that turned the numbers before it into codes; `None` before the first.
    pub fingerprint: Option<String>,
}

impl State {
    pub async fn read(client: &Client) -> Result<Self> {
        let row = client
            .query_opt("select next_number, key_fingerprint from shortlink.code_counter", &[])
            .await
            .context("cannot read the counter of codes (has `shortlink-batch migrate` run?)")?
            .context(
                "shortlink.code_counter has lost its row: restore it, since next_number must never go back",
            )?;
        Ok(Self { next: u64::try_from(row.get::<_, i64>(0))?, fingerprint: row.get(1) })
    }

    /// How many codes can still be issued.
    pub fn remaining(&self) -> u64 {
        GENERATED_CODES.saturating_sub(self.next)
    }

    /// Refuses a key that is not the one of the codes so far: two keys would map different numbers to the same code.
    pub fn check_key(&self, fingerprint: &str) -> Result<(), ConfigError> {
        match &self.fingerprint {
            Some(first) if first != fingerprint => Err(ConfigError::new(
                "SHORTLINK_CODES_KEY",
                format!(
                    "is another key than the one the codes so far were generated with (fingerprint {fingerprint}, the \
                     database has {first}); use that key, or change keys by `codes rotate-key --from {first}`"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Takes up to `count` numbers, which nobody else gets from then on.
pub async fn take(client: &Client, fingerprint: &str, count: u64) -> Result<Range<u64>> {
    let state = State::read(client).await?;
    state.check_key(fingerprint)?;
    if state.remaining() == 0 {
        bail!("all {GENERATED_CODES} codes have been issued; creates continue with random ones");
    }
    let count = i64::try_from(count.min(state.remaining()))?;
    let row = client
        .query_opt(
            "update shortlink.code_counter set next_number = next_number + $1, key_fingerprint = $2
             where key_fingerprint is null or key_fingerprint = $2
             returning next_number - $1, next_number",
            &[&count, &fingerprint],
        )
        .await
        .context("cannot take numbers from the counter of codes")?
        .context("another key was stored at the same time; try again")?;
    Ok(u64::try_from(row.get::<_, i64>(0))?..u64::try_from(row.get::<_, i64>(1))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_accepted_and_then_no_other() {
        let state = |fingerprint: Option<&str>| State { next: 0, fingerprint: fingerprint.map(Into::into) };
        assert!(state(None).check_key("aa").is_ok());
        assert!(state(Some("aa")).check_key("aa").is_ok());
        let error = state(Some("aa")).check_key("bb").unwrap_err().to_string();
        assert!(error.starts_with("SHORTLINK_CODES_KEY is another key"), "{error}");
    }

    #[test]
    fn after_the_last_number_none_remain() {
        assert_eq!(State { next: GENERATED_CODES - 1, fingerprint: None }.remaining(), 1);
        assert_eq!(State { next: GENERATED_CODES, fingerprint: None }.remaining(), 0);
    }
}
