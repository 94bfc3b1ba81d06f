//! When to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT. From when it is made they no longer end the process by themselves.
pub(crate) struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    /// Listens for the signals.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub(crate) fn listen() -> io::Result<Stop> {
        Ok(Stop { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Ends when the process was asked to end.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            biased;
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
        tracing::info!("asked to stop");
    }
}
