//! `local-stack`: the whole of short-link on this machine, started and stopped.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use serde_json::json;
use shortlink_local_stack::stack::{self, Condition, StartOptions, State};
use shortlink_local_stack::{Secrets, Tls, batch, batch_environment, checkout, interrupt};

const AFTER_HELP: &str = "\
Ports, each on 127.0.0.1:
  SHORT_LINK_PROXY_PORT     8080  nginx, the front door
  SHORT_LINK_API_PORT       8000  the host of the components
  SHORT_LINK_POSTGRES_PORT  5432  Postgres
  SHORT_LINK_CACHE_PORT     6379  Redis, the cache
  SHORT_LINK_CODES_PORT     6380  Redis, the pool of codes
Other variables:
  SHORT_LINK_HOST           spin | local-host; else spin if 4.1 or newer is on the PATH
  SHORT_LINK_TLS            on | off; TLS to Postgres and both Redis, with certificates of its own
  SHORT_LINK_CODES_TARGET   100000; how many codes the pool holds
  SHORT_LINK_CREATE_RATE, SHORT_LINK_CREATE_BURST, SHORT_LINK_MISS_RATE, SHORT_LINK_MISS_BURST
                            the limits of the front door, see infra/local/README.md

Examples:
  local-stack start
  SHORT_LINK_POSTGRES_PORT=5433 local-stack start
  local-stack batch codes status
  local-stack stop --keep-data";

/// Starts and stops Postgres, two Redis, the host of the components, the batch and nginx on this machine.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Arguments {
    /// The root of the checkout [default: the nearest one from here upwards]
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything, wait until it serves, leave it running; harmless when it runs
    Start,
    /// Stop what `start` started and remove its files; harmless when nothing runs
    Stop {
        /// Keep the data, the secrets and the logs for the next start
        #[arg(long)]
        keep_data: bool,
    },
    /// Show what runs; exits with 1 unless all of it does
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run shortlink-batch against the running stack
    Batch {
        /// What to pass on, such as `migrate` or `codes status`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = arguments.root.map_or_else(checkout, |root| {
        root.canonicalize().with_context(|| format!("there is no {}", root.display()))
    })?;
    let directory = stack::state_directory(&root);
    match arguments.command {
        Command::Start => {
            interrupt::listen().context("cannot listen for Ctrl-C")?;
            let state = stack::start(&StartOptions::from_env(root)?, &mut say)?;
            say(&summary(&state, &directory));
            Ok(ExitCode::SUCCESS)
        }
        Command::Stop { keep_data } => {
            stack::stop(&directory, keep_data, &mut say)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Status { json } => status(&directory, json),
        Command::Batch { arguments } => run_batch(&directory, &arguments),
    }
}

/// Prints a line. A closed pipe, as in `local-stack status | head -1`, is no error.
fn say(line: &str) {
    let _unread = writeln!(io::stdout(), "{line}");
}

fn status(directory: &Path, json: bool) -> Result<ExitCode> {
    let state = State::load(directory)?;
    let condition = state.as_ref().map_or(Condition::Stopped, State::condition);
    let word = match &condition {
        Condition::Stopped => "stopped",
        Condition::Running => "running",
        Condition::Broken(_) => "broken",
    };
    let processes = state.as_ref().map_or(&[][..], |state| &state.processes);
    if json {
        let processes: Vec<_> = processes
            .iter()
            .map(|process| {
                json!({
                    "name": process.name, "pid": process.pid, "alive": process.is_alive(), "log": process.log,
                })
            })
            .collect();
        let ports = state.as_ref().map(|state| state.ports);
        say(&format!("{:#}", json!({ "status": word, "ports": ports, "processes": processes })));
    } else {
        say(word);
        for process in processes {
            let alive = if process.is_alive() { "running" } else { "dead" };
            say(&format!(
                "  {:<9} {alive:<8} pid {:<8} {}",
                process.name,
                process.pid,
                process.log.display()
            ));
        }
    }
    Ok(if condition == Condition::Running { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_batch(directory: &Path, arguments: &[String]) -> Result<ExitCode> {
    let Some(state) = State::load(directory)?.filter(|state| state.condition() != Condition::Stopped) else {
        bail!("the local stack is not running: make startlocal");
    };
    let secrets = Secrets::load_or_create(&directory.join("secrets.env"))?;
    let environment =
        batch_environment(Tls::load(&state.data).as_ref(), &state.ports, &secrets, stack::DATABASE, 0);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Returns only when it could not become the other program.
    let error = batch::command(&batch::find()?, &environment, &arguments).exec();
    Err(error).context("cannot run shortlink-batch")
}

fn summary(state: &State, directory: &Path) -> String {
    let ports = state.ports;
    let proxy = format!("localhost:{}", ports.proxy);
    format!(
        "
  front door     http://{proxy}
  components     http://localhost:{}
  Postgres       localhost:{}, database {}
  Redis          localhost:{} (cache), localhost:{} (codes)
  logs           {}
  secrets        {}

Try it:
  curl -sS -X POST {proxy}/v1/shortlink -H 'content-type: application/json' -d '{{\"url\":\"https://example.com\",\"alias\":\"my-link\"}}'
  curl -i {proxy}/v1/shortlink/my-link
  curl -sS {proxy}/v1/health/ready

Stop it with: make stoplocal",
        ports.api,
        ports.postgres,
        stack::DATABASE,
        ports.cache,
        ports.codes,
        directory.join("logs").display(),
        directory.join("secrets.env").display(),
    )
}
