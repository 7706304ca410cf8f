//! The command line, in the words of `spin up`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use shortlink_local_host::{InstanceReuse, VariableSources};

/// Runs a Spin application on wasmtime, without the spin command.
#[derive(Parser)]
#[command(name = "local-host", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serves the HTTP triggers of a manifest until SIGTERM or Ctrl-C.
    #[command(after_help = "Variables come from --variable, then SPIN_VARIABLE_<NAME>, then the manifest.\n\
        RUST_LOG sets what is logged to stderr (default: warn).\n\n\
        Example:\n  SPIN_VARIABLE_REDIS_PASSWORD=... local-host up --from spin.toml --listen 127.0.0.1:8000")]
    Up(Up),
}

#[derive(Args)]
pub(crate) struct Up {
    /// The application's manifest.
    #[arg(short, long, visible_alias = "file", value_name = "FILE", default_value = "spin.toml")]
    pub(crate) from: PathBuf,

    /// Where to listen; port 0 is any free one, and the one it is gets printed.
    #[arg(long, value_name = "ADDRESS", env = "SPIN_HTTP_LISTEN_ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: String,

    /// Sets a variable of the manifest; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    variable: Vec<(String, String)>,

    /// Requests that one instance of a component serves.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = at_least_one)]
    max_instance_reuse_count: usize,

    /// Requests that one instance of a component serves at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    max_instance_concurrent_reuse_count: usize,

    /// How long an instance may be idle, such as 500ms or 2s.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    idle_instance_timeout: Duration,
}

impl Up {
    pub(crate) fn variables(&self) -> anyhow::Result<VariableSources> {
        let sources = VariableSources::from_environment()?;
        Ok(self.variable.iter().fold(sources, |sources, (name, value)| sources.with(name, value)))
    }

    pub(crate) fn reuse(&self) -> InstanceReuse {
        InstanceReuse {
            max_requests: self.max_instance_reuse_count,
            max_concurrent_requests: self.max_instance_concurrent_reuse_count,
            idle_timeout: self.idle_instance_timeout,
        }
    }
}

/// The message has the name only: the value may be a password.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("must be NAME=VALUE".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn up(arguments: &[&str]) -> Result<Up, clap::Error> {
        let arguments = ["local-host", "up"].iter().chain(arguments);
        Cli::try_parse_from(arguments).map(|Cli { command: Command::Up(up) }| up)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_spins() {
        let up = up(&[]).unwrap();
        assert_eq!(up.from, PathBuf::from("spin.toml"));
        let (reuse, default) = (up.reuse(), InstanceReuse::default());
        assert_eq!(reuse.max_requests, default.max_requests);
        assert_eq!(reuse.max_concurrent_requests, default.max_concurrent_requests);
        assert_eq!(reuse.idle_timeout, default.idle_timeout);
    }

    #[test]
    fn a_variables_value_may_hold_anything() {
        let up = up(&["--variable", "a=b=c", "--variable", "d="]).unwrap();
        assert_eq!(up.variable, [("a".into(), "b=c".into()), ("d".into(), String::new())]);
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            ["--variable", "a"],
            ["--max-instance-reuse-count", "0"],
            ["--max-instance-concurrent-reuse-count", "x"],
            ["--idle-instance-timeout", "1"],
        ] {
            assert!(up(&arguments).is_err(), "{arguments:?}");
        }
    }
}
