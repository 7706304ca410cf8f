//! `codes status`: how full the pool is, and how many codes are left to issue.

use anyhow::Result;
use serde_json::json;

use super::cipher::CodeCipher;
use super::counter::State;
use super::pool::Pool;
use crate::config::Settings;
use crate::database;
use crate::report::Report;

pub async fn status(settings: &Settings, report: &Report) -> Result<()> {
    let given = match settings.codes_key() {
        Ok(key) => Some(CodeCipher::new(key)?.fingerprint().to_owned()),
        Err(_not_needed_here) => None,
    };
    let available = Pool::connect(settings).await?.len().await?;
    let state = State::read(&database::connect(settings).await?).await?;
    let key = match (&given, &state.fingerprint) {
        (None, _) => "not given",
        (_, None) => "none used yet",
        (Some(given), Some(stored)) if given == stored => "matches",
        _ => "differs",
    };
    let fields = json!({
        "available": available,
        "issued": state.next,
        "remaining": state.remaining(),
        "key": key,
        "fingerprint": state.fingerprint,
    });
    let human = format!(
        "available in the pool  {available}\nnumbers issued         {}\nnumbers remaining      {}\nkey                    {key}{}",
        state.next,
        state.remaining(),
        state
            .fingerprint
            .as_ref()
            .map(|stored| format!(" (stored fingerprint {stored})"))
            .unwrap_or_default(),
    );
    report.say("codes", &fields, &human);
    Ok(())
}
