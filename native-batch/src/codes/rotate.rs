//! `codes rotate-key` and `codes skip`: what an operator does to the counter after a leak or a restore.
//!
//! Neither can make a code lead to two places: it is `create_short_link` that claims a code, whoever generated it. What they
//! change is how often a claim is refused and the next code taken.

use anyhow::{Result, bail};
use serde_json::json;

use super::cipher::CodeCipher;
use super::counter::State;
use crate::config::Settings;
use crate::database::{self, Lock};
use crate::report::Report;

/// Makes the key of the settings the one that codes are generated with from now on. `from` is the fingerprint of the one
/// that it replaces, so that a wrong variable somewhere never changes the key.
pub async fn rotate_key(settings: &Settings, from: &str, report: &Report) -> Result<()> {
    let cipher = CodeCipher::new(settings.codes_key()?)?;
    let to = cipher.fingerprint();
    let client = database::connect(settings).await?;
    let work = async {
        database::keep_commits(&client).await?;
        let stored = State::read(&client).await?.fingerprint;
        match stored.as_deref() {
            Some(stored) if stored == to => return Ok(false),
            Some(stored) if stored != from => {
                bail!(
                    "--from is {from}, but the codes so far were generated with the key {stored}; nothing was changed"
                )
            }
            None => bail!("no code has been generated yet: any key will do, and there is nothing to rotate"),
            Some(_) => {}
        }
        let sql = "update shortlink.code_counter set key_fingerprint = $1 where key_fingerprint = $2";
        if client.execute(sql, &[&to, &from]).await? != 1 {
            bail!("another key was stored at the same time; try again");
        }
        Ok(true)
    };
    let Some(changed) = Lock::FillCodes.unless_held(&client, work).await? else {
        bail!("another batch is filling the pool; try again when it is done");
    };
    let human = if changed {
        format!("codes are generated with the key {to} from now on, and {from} is refused")
    } else {
        format!("codes are generated with the key {to} already")
    };
    report.say("key_rotated", &json!({"from": from, "to": to, "changed": changed}), &human);
    Ok(())
}

/// Skips the next `count` numbers, so that none of them becomes a code.
pub async fn skip(settings: &Settings, count: u64, report: &Report) -> Result<()> {
    let client = database::connect(settings).await?;
    database::keep_commits(&client).await?;
    let remaining = State::read(&client).await?.remaining();
    if count > remaining {
        bail!("only {remaining} numbers are left; nothing was changed");
    }
    // Should others take numbers meanwhile, the column's own check refuses to go past the last one.
    let sql = "update shortlink.code_counter set next_number = next_number + $1 returning next_number";
    let row = client.query_one(sql, &[&i64::try_from(count)?]).await?;
    let next: i64 = row.get(0);
    let human = format!("skipped {count} numbers; the next one is {next}");
    report.say("skipped", &json!({"skipped": count, "next": next}), &human);
    Ok(())
}
