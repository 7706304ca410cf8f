//! What the operator sees: sentences and a progress bar on a terminal, JSON lines for programs.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Value, json};

/// How often a JSON line tells how far the work has come.
const PROGRESS_PAUSE: Duration = Duration::from_secs(1);

/// Prints what happened, for people or for programs.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    json: bool,
}

impl Report {
    /// JSON when asked for, and for output that streams also where stdout is no terminal.
    #[must_use]
    pub fn new(json: bool, streams: bool) -> Self {
        Self { json: json || (streams && !io::stdout().is_terminal()) }
    }

    /// Prints an event: one JSON line, or the sentence.
    pub fn say(&self, event: &str, fields: &Value, human: &str) {
        let line = if self.json { json_line(event, fields) } else { human.to_owned() };
        // Nobody listens any more; the work is worth finishing all the same.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }

    /// Prints an error with its causes to stderr.
    pub fn error(&self, error: &anyhow::Error) {
        self.failure(&json!({}), &format!("{error:#}"));
    }

    /// Prints the error of one step among several to stderr.
    pub fn step_error(&self, step: &str, error: &anyhow::Error) {
        let message = format!("{error:#}");
        if self.json {
            self.failure(&json!({"step": step}), &message);
        } else {
            self.failure(&json!({}), &format!("{step}: {message}"));
        }
    }

    fn failure(self, fields: &Value, message: &str) {
        let mut fields = fields.clone();
        let line = if self.json {
            fields["error"] = message.into();
            json_line("error", &fields)
        } else {
            format!("error: {message}")
        };
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Follows work of which `total` parts are to be done.
    pub(crate) fn progress(&self, command: &'static str, total: u64) -> Progress<'_> {
        let bar = (!self.json && total > 0 && io::stderr().is_terminal()).then(|| bar(total));
        Progress { report: self, command, total, bar, told: Mutex::new(Instant::now()) }
    }
}

/// How far a piece of work has come.
pub(crate) struct Progress<'a> {
    report: &'a Report,
    command: &'static str,
    total: u64,
    bar: Option<ProgressBar>,
    told: Mutex<Instant>,
}

impl Progress<'_> {
    /// So much is done; so many codes are there.
    pub fn at(&self, done: u64, available: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(self.total.max(done));
            bar.set_position(done);
        } else if self.report.json && self.is_time() {
            let fields =
                json!({"command": self.command, "done": done, "total": self.total, "available": available});
            self.report.say("progress", &fields, "");
        }
    }

    /// Takes the bar away, so that the result stands in its place.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn is_time(&self) -> bool {
        let Ok(mut told) = self.told.lock() else { return false };
        let due = told.elapsed() >= PROGRESS_PAUSE;
        if due {
            *told = Instant::now();
        }
        due
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
