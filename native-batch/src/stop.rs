//! The request to stop: SIGTERM or SIGINT.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Whether the process has been asked to stop.
#[derive(Clone)]
pub struct Stop(Option<watch::Receiver<bool>>);

impl Stop {
    /// Never requested: for work that a signal may kill.
    pub fn never() -> Self {
        Self(None)
    }

    /// Requested by the first SIGTERM or SIGINT. The second ends the process at once.
    pub fn on_signals() -> io::Result<Self> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            sender.send_replace(true);
            either(&mut terminate, &mut interrupt).await;
            std::process::exit(1);
        });
        Ok(Self(Some(receiver)))
    }

    /// Whether it has happened.
    pub fn requested(&self) -> bool {
        self.0.as_ref().is_some_and(|receiver| *receiver.borrow())
    }

    /// Until it happens.
    pub async fn wait(&mut self) {
        match &mut self.0 {
            // An error means that the sender is gone, and with it the runtime.
            Some(receiver) => _ = receiver.wait_for(|stop| *stop).await,
            None => std::future::pending().await,
        }
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
