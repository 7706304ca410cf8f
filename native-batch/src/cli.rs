//! The command line: flags, environment variables, defaults and the help.

mod block;
mod changes;
mod keys;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use block::{AddBlockArgs, BlockCommand, RemoveBlockArgs};
pub use changes::ChangesCommand;
pub use keys::{CreateKeyArgs, KeysCommand, RevokeKeyArgs};

use crate::config::Settings;
use crate::partitions::Month;

const AFTER_HELP: &str = "\
Examples:
  shortlink-batch migrate
  shortlink-batch partitions create --ahead 2
  shortlink-batch codes fill --target 100000
  shortlink-batch run                          # everything that cron needs
  shortlink-batch run --every 30s              # the same, in a container
  shortlink-batch partitions drop --expired --grace 30 --dry-run
  shortlink-batch keys create --name ci --scope create --scope manage --expires 2031-01-01
  shortlink-batch block add evil.example --disable-links

Pass secrets by the environment: other users of the machine can see the arguments of a process.

Exit codes:
  0  done, or nothing to do, or another batch is doing it
  1  a dependency or a step failed; running again is harmless
  2  wrong usage or a bad setting; running again will not help";

/// Keeps short-link's database and its pool of codes in order.
#[derive(Debug, Parser)]
#[command(name = "shortlink-batch", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    /// What the commands work on.
    #[command(flatten)]
    pub settings: Settings,
    /// Print JSON, one object a line (errors go to stderr)
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the database's schema up to date
    Migrate,
    /// The monthly partitions of the links
    #[command(subcommand)]
    Partitions(PartitionsCommand),
    /// The pool of generated codes
    #[command(subcommand)]
    Codes(CodesCommand),
    /// The API keys that links are created and managed with
    #[command(subcommand)]
    Keys(KeysCommand),
    /// The hosts that no new link may lead to
    #[command(subcommand)]
    Block(BlockCommand),
    /// Changed links that the redirect cache has to follow
    #[command(subcommand)]
    Changes(ChangesCommand),
    /// Everything that must happen regularly: write changed links to the cache, create partitions, drop expired ones, fill
    /// the pool
    Run(RunArgs),
}

impl Cli {
    /// Reads the arguments and the environment, in which an empty variable is an absent one. Ends the process with the
    /// help that was asked for, or with what is wrong.
    #[must_use]
    pub fn read() -> Self {
        let mut command = without_empty_variables(Self::command());
        command.build();
        let matches = command.clone().try_get_matches();
        let cli = matches.and_then(|matches| Self::from_arg_matches(&matches));
        cli.unwrap_or_else(|error| {
            let words: Vec<_> = std::env::args_os().filter_map(|word| word.into_string().ok()).collect();
            name_variable(error, &command, words.iter().map(String::as_str)).exit()
        })
    }
}

/// Makes clap not read the variables that are set to nothing, as manifests like to leave them behind.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(None::<&str>) } else { arg });
    command.mut_subcommands(without_empty_variables)
}

/// Adds the variable to an error that names a flag only: the bad value may have come from either. `words` is the command
/// line, whose subcommand has the flag.
fn name_variable<'a>(
    mut error: clap::Error,
    command: &clap::Command,
    words: impl Iterator<Item = &'a str>,
) -> clap::Error {
    let used = words.fold(command, |command, word| command.find_subcommand(word).unwrap_or(command));
    if let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some(arg) = used.get_arguments().find(|arg| arg.to_string() == *flag)
        && let Some(variable) = arg.get_env()
    {
        let named = format!("{flag} ({})", variable.display());
        error.insert(ContextKind::InvalidArg, ContextValue::String(named));
    }
    error
}

impl Command {
    /// Whether the output is read while the command works; then it is JSON where stdout is no terminal.
    #[must_use]
    pub fn streams(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Codes(CodesCommand::Fill(_)))
    }
}

/// The monthly partitions of the links.
#[derive(Debug, Subcommand)]
pub enum PartitionsCommand {
    /// Add the partitions of coming months, or of named months; those that exist stay as they are
    Create(CreateArgs),
    /// Show every partition with its bounds
    List,
    /// Remove the partitions whose links have all expired longer ago than the grace period
    Drop(DropArgs),
}

/// Which partitions to create.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct CreateArgs {
    /// This month and N more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=119))]
    pub ahead: Option<u8>,
    /// A month; can be repeated
    #[arg(long, value_name = "YYYY-MM")]
    pub month: Vec<Month>,
}

/// Which partitions to drop.
#[derive(Clone, Copy, Debug, Args)]
pub struct DropArgs {
    /// Confirm that data is to be removed; required
    #[arg(long, required = true)]
    pub expired: bool,
    /// How the partitions are chosen.
    #[command(flatten)]
    pub grace: Grace,
    /// Only show what would be dropped
    #[arg(long)]
    pub dry_run: bool,
}

/// How long an expired link stays on record.
#[derive(Clone, Copy, Debug, Args)]
pub struct Grace {
    /// Days that a link stays on record (410, not 404) after it expired, at the least
    #[arg(long = "grace", value_name = "DAYS", env = "SHORTLINK_GRACE_DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(u16).range(0..=3650))]
    pub days: u16,
}

/// The pool of generated codes.
#[derive(Debug, Subcommand)]
pub enum CodesCommand {
    /// Fill the pool up
    Fill(FillArgs),
    /// Show how full the pool is, and how many codes are left to issue
    Status,
    /// Generate codes with another key, the one in `SHORTLINK_CODES_KEY`, from now on
    RotateKey(RotateArgs),
    /// Never issue the next numbers of the counter: after the database was restored from a backup
    Skip(SkipArgs),
}

/// Which key is replaced.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The fingerprint of the key to replace, as `codes status` shows it
    #[arg(long, value_name = "FINGERPRINT")]
    pub from: String,
}

/// How many numbers to skip.
#[derive(Clone, Copy, Debug, Args)]
pub struct SkipArgs {
    /// How many; more than were issued since the backup
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub count: u64,
}

/// How full the pool is to be.
#[derive(Clone, Copy, Debug, Args)]
pub struct FillArgs {
    /// How many codes the pool is to hold
    #[arg(long, value_name = "N", env = "SHORTLINK_CODES_TARGET", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub target: u64,
}

/// How often to run, and with which limits.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Repeat after this pause, such as 30s or 5m, until SIGTERM or SIGINT; once without it
    #[arg(long, value_name = "PAUSE", value_parser = pause)]
    pub every: Option<Duration>,
    /// How many months after this one to have partitions for
    #[arg(long, value_name = "MONTHS", env = "SHORTLINK_PARTITIONS_AHEAD", default_value_t = 2,
          value_parser = clap::value_parser!(u8).range(0..=119))]
    pub ahead: u8,
    /// How partitions to drop are chosen.
    #[command(flatten)]
    pub grace: Grace,
    /// How full the pool is to be.
    #[command(flatten)]
    pub fill: FillArgs,
    /// Write metrics for Prometheus' textfile collector to this file after each round; its name must end in .prom
    #[arg(long, value_name = "PATH", value_parser = metrics_file)]
    pub metrics_file: Option<PathBuf>,
    /// Serve metrics for Prometheus on this address, such as 0.0.0.0:9187, at /metrics
    #[arg(long, value_name = "ADDR", requires = "every")]
    pub metrics_listen: Option<SocketAddr>,
}

/// The collector reads no other files.
fn metrics_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension == "prom" => Ok(path),
        _ => Err("its name must end in .prom".to_owned()),
    }
}

fn pause(text: &str) -> Result<Duration, String> {
    let pause = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if pause < Duration::from_millis(100) { Err("must be at least 100ms".into()) } else { Ok(pause) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn months_and_ahead_exclude_each_other_and_one_is_needed() {
        assert!(parse("shortlink-batch partitions create").is_err());
        assert!(parse("shortlink-batch partitions create --ahead 1 --month 2026-01").is_err());
        assert!(parse("shortlink-batch partitions create --month 2026-01 --month 2026-02").is_ok());
    }

    #[test]
    fn an_error_names_the_variable_as_well_as_the_flag() {
        for (line, named) in [
            (
                "shortlink-batch partitions drop --expired --grace x",
                "'--grace <DAYS> (SHORTLINK_GRACE_DAYS)'",
            ),
            ("shortlink-batch codes fill --target x", "'--target <N> (SHORTLINK_CODES_TARGET)'"),
            ("shortlink-batch run --ahead=200", "'--ahead <MONTHS> (SHORTLINK_PARTITIONS_AHEAD)'"),
            ("shortlink-batch partitions create --ahead=200", "'--ahead <N>'"),
        ] {
            let mut command = Cli::command();
            command.build();
            let error = command.clone().try_get_matches_from(line.split(' ')).unwrap_err();
            let error = name_variable(error, &command, line.split(' ')).to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn nothing_is_dropped_without_saying_so() {
        assert!(parse("shortlink-batch partitions drop").is_err());
        assert!(parse("shortlink-batch partitions drop --expired").is_ok());
    }

    #[test]
    fn a_pause_is_written_as_people_write_it() {
        assert_eq!(pause("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(pause("30").is_err());
        assert!(pause("0s").is_err());
    }

    #[test]
    fn a_file_that_the_collector_would_not_read_is_refused() {
        assert!(parse("shortlink-batch run --metrics-file /var/lib/node_exporter/short-link.prom").is_ok());
        for path in ["/tmp/short-link.txt", "short-link", ".prom"] {
            assert!(parse(&format!("shortlink-batch run --metrics-file {path}")).is_err(), "{path}");
        }
    }

    #[test]
    fn the_help_never_shows_a_secret_from_the_environment() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("DATABASE_URL") && !help.contains("DATABASE_URL="), "{help}");
    }
}
