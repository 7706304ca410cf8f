//! Runs the command that was given, and chooses the exit code.

use std::error::Error;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::{BlockCommand, ChangesCommand, Cli, CodesCommand, Command, KeysCommand, PartitionsCommand};
use crate::config::ConfigError;
use crate::partitions::Months;
use crate::report::Report;
use crate::stop::Stop;
use crate::{block, changes, codes, keys, migrate, partitions, run, tls};

/// Runs one command on a runtime of its own.
///
/// # Errors
/// Why the command failed.
pub fn block_on(cli: Cli, report: &Report) -> Result<()> {
    tls::install();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(dispatch(cli, report))
}

async fn dispatch(cli: Cli, report: &Report) -> Result<()> {
    let settings = &cli.settings;
    match cli.command {
        Command::Migrate => migrate::migrate(settings, report).await,
        Command::Partitions(PartitionsCommand::Create(args)) => {
            let months = args.ahead.map_or(Months::Named(args.month), Months::Ahead);
            partitions::create(settings, &months, report).await
        }
        Command::Partitions(PartitionsCommand::List) => partitions::list(settings, report).await,
        Command::Partitions(PartitionsCommand::Drop(args)) => {
            partitions::drop_expired(settings, args.grace, args.dry_run, report).await
        }
        Command::Codes(CodesCommand::Fill(args)) => {
            codes::fill(settings, args.target, report, &Stop::never()).await
        }
        Command::Codes(CodesCommand::Status) => codes::status(settings, report).await,
        Command::Codes(CodesCommand::RotateKey(args)) => {
            codes::rotate_key(settings, &args.from, report).await
        }
        Command::Codes(CodesCommand::Skip(args)) => codes::skip(settings, args.count, report).await,
        Command::Keys(KeysCommand::Create(args)) => keys::create(settings, &args, report).await,
        Command::Keys(KeysCommand::List) => keys::list(settings, report).await,
        Command::Keys(KeysCommand::Revoke(args)) => keys::revoke(settings, &args.name, report).await,
        Command::Block(BlockCommand::Add(args)) => block::add(settings, &args, report).await,
        Command::Block(BlockCommand::List) => block::list(settings, report).await,
        Command::Block(BlockCommand::Remove(args)) => block::remove(settings, &args.hosts, report).await,
        Command::Changes(ChangesCommand::Apply) => changes::apply(settings, report).await,
        Command::Run(args) => run::run(settings, args, report).await,
    }
}

/// 2 for a setting that has to be changed, 1 for anything that may succeed the next time.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(<dyn Error>::is::<ConfigError>) { ExitCode::from(2) } else { ExitCode::FAILURE }
}
