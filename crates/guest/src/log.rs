//! Failures, one line of JSON each on standard error, which Spin writes to the component's log.

use serde::Serialize;

/// The longest cause that is logged, in characters.
const LONGEST: usize = 300;
/// Where the text of a Rust error goes on with the stack of its host.
const BACKTRACE: &str = "Stack backtrace:";

#[derive(Serialize)]
struct Event<'a> {
    level: &'static str,
    operation: &'a str,
    key: &'a str,
    code: &'a str,
}

/// Logs who changed which link: the key's name, and never the key.
pub fn event(operation: &str, key: &str, code: &str) {
    let line = serde_json::to_string(&Event { level: "info", operation, key, code });
    eprintln!("{}", line.unwrap_or_default());
}

#[derive(Serialize)]
struct Line<'a> {
    level: &'static str,
    operation: &'a str,
    cause: &'a str,
}

/// Logs that an operation failed, and why: one line, without a backtrace. Callers keep hosts, passwords and SQL out of the
/// cause.
pub fn failure(operation: &str, cause: &str) {
    let line = serde_json::to_string(&Line { level: "error", operation, cause: &one_line(cause) });
    eprintln!("{}", line.unwrap_or_default());
}

/// The chain of causes in one line. Spin reports errors of Postgres as the debug text of `anyhow`: the error, the line
/// `Caused by:`, a numbered line for each cause and, with `RUST_BACKTRACE=1`, a backtrace.
fn one_line(cause: &str) -> String {
    let chain = cause.split(BACKTRACE).next().unwrap_or_default();
    let parts = chain.lines().map(without_number).filter(|part| !part.is_empty() && *part != "Caused by:");
    let joined = parts.collect::<Vec<_>>().join(": ");
    if joined.chars().count() <= LONGEST {
        return joined;
    }
    joined.chars().take(LONGEST.saturating_sub(1)).chain(['…']).collect()
}

/// A line without the number that it has in a list of causes.
fn without_number(line: &str) -> &str {
    let line = line.trim();
    match line.split_once(": ") {
        Some((number, rest)) if number.parse::<u8>().is_ok() => rest.trim(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_causes_is_one_line_without_the_backtrace() {
        let text = "error connecting to server\n\nCaused by:\n    0: tls\n    1: Connection refused (os error 111)\n\n\
            Stack backtrace:\n   0: anyhow::error::from\n             at ./src/client.rs:7";
        assert_eq!(one_line(text), "error connecting to server: tls: Connection refused (os error 111)");
        assert_eq!(
            one_line("db error\n\nCaused by:\n    ERROR: out of disk"),
            "db error: ERROR: out of disk"
        );
        assert_eq!(one_line("no answer in time"), "no answer in time");
    }

    #[test]
    fn a_long_cause_is_cut_at_a_character() {
        let cut = one_line(&"ä".repeat(1000));
        assert_eq!(cut.chars().count(), LONGEST);
        assert!(cut.ends_with("ä…"));
    }
}
