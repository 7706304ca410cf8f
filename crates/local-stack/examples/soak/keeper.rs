//! What cron and an administrator do meanwhile: changes are applied every two seconds, and keys are created and revoked.

use std::{
    net::SocketAddr,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::{
    http::Http,
    ledger::{Ledger, now_millis},
};

/// How long a revoked key may be taken for good, in milliseconds.
const VERDICT_LIFETIME: i64 = 10_000;

/// Calls the batch.
pub type Batch<'a> = &'a (dyn Fn(&[&str]) -> Command + Sync);

/// Applies changes to the cache, round after round, and writes down each round that succeeded.
pub fn apply_changes(batch: Batch, ledger: &Ledger, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let began = now_millis();
        // It succeeds too when another batch is at it, as `run` may be, of which nothing is known here.
        let said = output(batch, &["--json", "changes", "apply"]);
        if said.is_some_and(|said| said.contains("changes_applied")) {
            ledger.round(began, now_millis());
        }
        thread::sleep(Duration::from_secs(2));
    }
}

/// Creates a key, uses it, revokes it and goes on using it until it must be dead, again and again.
pub fn revoke_keys(batch: Batch, address: SocketAddr, ledger: &Ledger, stop: &AtomicBool) {
    let mut http = Http::new(address);
    for number in 0.. {
        let name = format!("short-lived-{number}");
        let created = output(batch, &["keys", "create", "--name", &name, "--scope", "read"]);
        let Some(key) = created.map(|key| key.trim().to_owned()) else {
            thread::sleep(Duration::from_millis(200));
            if stop.load(Ordering::Relaxed) {
                return;
            }
            continue;
        };
        let (created, mut tried, mut revoked) = (now_millis(), false, None);
        while revoked.is_none_or(|revoked| now_millis() < revoked + VERDICT_LIFETIME + 1_000) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            // It is revoked once it was used for a while.
            if revoked.is_none() && now_millis() > created + 1_000 {
                tried = true;
                revoked = output(batch, &["keys", "revoke", &name]).map(|_| now_millis());
            }
            let asked = now_millis();
            let answer = http.send("GET", "/v1/links?limit=1", &[format!("x-api-key: {key}")], "");
            ledger.count_request(answer.is_some());
            match answer {
                Some(answer) if answer.status == 503 => ledger.unavailable(&answer),
                Some(answer) if answer.status == 200 => {
                    let since = revoked.map_or(0, |revoked| asked - revoked);
                    if since >= VERDICT_LIFETIME {
                        ledger.wrong(&format!("{name} was good {since} ms after it was revoked"));
                    }
                }
                // A revocation that seemed to fail may have happened.
                Some(answer) if answer.status == 401 && tried => {}
                Some(answer) => ledger.wrong(&format!("{} for {name}: {}", answer.status, answer.body)),
                None => {}
            }
            thread::sleep(Duration::from_millis(50));
        }
        ledger.key_died();
    }
}

/// What the batch printed, if it succeeded.
fn output(batch: Batch, arguments: &[&str]) -> Option<String> {
    let output = batch(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
