//! shortlink-batch: see `shortlink-batch --help`.

use std::process::ExitCode;

use shortlink_batch::{cli::Cli, commands, report::Report};

fn main() -> ExitCode {
    let cli = Cli::read();
    let report = Report::new(cli.json, cli.command.streams());
    match commands::block_on(cli, &report).and_then(|()| report.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.error(&error);
            commands::exit_code(&error)
        }
    }
}
