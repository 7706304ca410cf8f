//! Output for the operator: sentences and a progress bar on a terminal, JSON lines for programs.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use refinery::error::Kind;
use serde_json::{Value, json};
use tokio_postgres::error::DbError;

/// How often a JSON line shows the progress.
const PROGRESS_PAUSE: Duration = Duration::from_secs(1);

/// Prints what happened, for people or for programs.
#[derive(Debug)]
pub struct Report {
    json: bool,
    /// The first failure to write to stdout.
    unwritten: OnceLock<io::Error>,
}

impl Report {
    /// JSON when asked for, and for output that streams also where stdout is no terminal.
    #[must_use]
    pub fn new(json: bool, streams: bool) -> Self {
        Self { json: json || (streams && !io::stdout().is_terminal()), unwritten: OnceLock::new() }
    }

    /// Prints an event: one JSON line, or the sentence.
    pub fn say(&self, event: &str, fields: &Value, human: &str) {
        let line = if self.json { json_line(event, fields) } else { human.to_owned() };
        let mut stdout = io::stdout().lock();
        if let Err(error) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
            // The work goes on; `finish` reports the first failure, a later one adds nothing.
            let _ = self.unwritten.set(error);
        }
    }

    /// Prints a sentence for people to stderr, so that stdout holds the result and nothing else.
    pub fn note(&self, sentence: &str) {
        if !self.json {
            let _ = writeln!(io::stderr().lock(), "{sentence}");
        }
    }

    /// To be called at the end.
    ///
    /// # Errors
    /// Something could not be written to stdout, because the disk is full, say. A reader that has closed the pipe has
    /// read all that it wants.
    pub fn finish(&self) -> Result<()> {
        match self.unwritten.get() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(io::Error::from(error.kind())).context("cannot write to standard output")
            }
            _ => Ok(()),
        }
    }

    /// Prints an error with its causes to stderr.
    pub fn error(&self, error: &anyhow::Error) {
        self.failure(&json!({}), &message(error));
    }

    /// Prints the error of one step among several to stderr.
    pub fn step_error(&self, step: &str, error: &anyhow::Error) {
        let message = message(error);
        if self.json {
            self.failure(&json!({"step": step}), &message);
        } else {
            self.failure(&json!({}), &format!("{step}: {message}"));
        }
    }

    fn failure(&self, fields: &Value, message: &str) {
        let mut fields = fields.clone();
        let line = if self.json {
            fields["error"] = message.into();
            json_line("error", &fields)
        } else {
            format!("error: {message}")
        };
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Shows the progress of work that has `total` parts.
    pub(crate) fn progress(&self, command: &'static str, total: u64) -> Progress<'_> {
        let bar = (!self.json && total > 0 && io::stderr().is_terminal()).then(|| bar(total));
        Progress { report: self, command, total, bar, printed_at: Mutex::new(Instant::now()) }
    }
}

/// The progress of one piece of work.
pub(crate) struct Progress<'a> {
    report: &'a Report,
    command: &'static str,
    total: u64,
    bar: Option<ProgressBar>,
    /// When a JSON line was last printed.
    printed_at: Mutex<Instant>,
}

impl Progress<'_> {
    /// Shows that `done` parts are done and that the pool holds `available` codes.
    pub fn at(&self, done: u64, available: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(self.total.max(done));
            bar.set_position(done);
        } else if self.report.json && self.is_due() {
            let fields =
                json!({"command": self.command, "done": done, "total": self.total, "available": available});
            self.report.say("progress", &fields, "");
        }
    }

    /// Removes the bar, so that the result takes its place.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn is_due(&self) -> bool {
        let Ok(mut printed_at) = self.printed_at.lock() else { return false };
        let is_due = printed_at.elapsed() >= PROGRESS_PAUSE;
        if is_due {
            *printed_at = Instant::now();
        }
        is_due
    }
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("filling {bar:32} {human_pos}/{human_len} {rate} {eta}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
        // A bar that cannot be written to is drawn without it.
        let _ = write!(text, "{:.0}/s", state.per_sec());
    };
    ProgressBar::new(total).with_style(style.with_key("rate", rate))
}

/// The error and its causes in one line. What Postgres says stands for itself, without the words of the libraries around it.
fn message(error: &anyhow::Error) -> String {
    let texts = error.chain().filter_map(|cause| {
        if let Some(error) = cause.downcast_ref::<DbError>() {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            return Some(format!("{}{hint}", error.message()));
        }
        if let Some(Kind::Connection(what, _)) =
            cause.downcast_ref::<refinery::Error>().map(refinery::Error::kind)
        {
            return Some(what.clone());
        }
        let is_from_postgres =
            cause.downcast_ref::<tokio_postgres::Error>().is_some_and(|error| error.as_db_error().is_some());
        (!is_from_postgres).then(|| cause.to_string())
    });
    texts.collect::<Vec<_>>().join(": ")
}

fn json_line(event: &str, fields: &Value) -> String {
    let mut line =
        json!({"event": event, "at": humantime::format_rfc3339_millis(SystemTime::now()).to_string()});
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields.clone());
    }
    line.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_is_one_object_with_its_event_and_time() {
        let line: Value = serde_json::from_str(&json_line("filled", &json!({"pushed": 7}))).unwrap();
        assert_eq!((&line["event"], &line["pushed"]), (&"filled".into(), &7.into()));
        assert!(line["at"].as_str().unwrap().ends_with('Z'));
    }
}
