//! `local-host up`: the part of `spin up` that this repository needs.

mod cli;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use shortlink_local_host::{App, Manifest, RouteListing};
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, Up};

/// Connections that wait to be accepted: nginx opens one for each POST. Spin leaves it at 128.
const BACKLOG: u32 = 1024;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command: Command::Up(up) } = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    match run(up).await {
        // At once: idle instances have nothing left to do, and taking each down would look like a failure of it.
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(up: Up) -> anyhow::Result<()> {
    // From here on, so that a signal while the components compile is not lost.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // First, because it is quick and fails most often.
    let listener = bind(&up.listen).await?;
    let manifest = Manifest::load(&up.from)?;
    let (variables, reuse) = (up.variables()?, up.reuse());
    let preparing = tokio::task::spawn_blocking(move || App::prepare(&manifest, &variables, reuse));
    let app = tokio::select! {
        app = preparing => app??,
        _ = terminate.recv() => std::process::exit(0),
        _ = interrupt.recv() => std::process::exit(0),
    };
    announce(&format!("http://{}", listener.local_addr()?), app.routes());
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    shortlink_local_host::serve(app, listener, shutdown).await;
    Ok(())
}

async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    let listening = async {
        let mut listener = Err(io::ErrorKind::AddrNotAvailable.into());
        for address in lookup_host(address).await? {
            listener = listen(address);
            if listener.is_ok() {
                break;
            }
        }
        listener
    };
    listening.await.with_context(|| format!("cannot listen on {address} (--listen)"))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn announce(base: &str, routes: &[RouteListing]) {
    // A closed stdout is no reason to stop.
    let _ = write_announcement(&mut io::stdout().lock(), base, routes);
}

fn write_announcement(out: &mut impl Write, base: &str, routes: &[RouteListing]) -> io::Result<()> {
    writeln!(out, "Serving {base}\nAvailable routes:")?;
    for RouteListing { route, component, description } in routes {
        writeln!(out, "  {}: {base}{route}", component.as_deref().unwrap_or("(static response)"))?;
        if let Some(description) = description {
            writeln!(out, "    {description}")?;
        }
    }
    out.flush()
}
