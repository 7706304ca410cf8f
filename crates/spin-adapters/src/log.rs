//! Failures, one line of JSON each on standard error, which Spin writes to the component's log.

use serde_json::json;

/// Logs that an operation failed, and why. Callers keep hosts, passwords and SQL out of the cause.
pub fn failure(operation: &str, cause: &str) {
    eprintln!("{}", json!({ "level": "error", "operation": operation, "cause": cause }));
}
