//! When to stop.

use tokio::signal::unix::{SignalKind, signal as unix_signal};

/// Ends when the process is asked to end: SIGTERM or SIGINT.
pub(crate) async fn signal() {
    let (Ok(mut term), Ok(mut int)) =
        (unix_signal(SignalKind::terminate()), unix_signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("asked to stop");
}
