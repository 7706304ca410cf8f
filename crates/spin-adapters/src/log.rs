//! Failures, one line of JSON each on standard error, which Spin writes to the component's log.

use serde::Serialize;

#[derive(Serialize)]
struct Line<'a> {
    level: &'static str,
    operation: &'a str,
    cause: &'a str,
}

/// Logs that an operation failed, and why. Callers keep hosts, passwords and SQL out of the cause.
pub fn failure(operation: &str, cause: &str) {
    let line = serde_json::to_string(&Line { level: "error", operation, cause });
    eprintln!("{}", line.unwrap_or_default());
}
