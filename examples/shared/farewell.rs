//! The end of a program that serves until a signal.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_netstack::Stack;

/// How long connections have to end in order once a signal came.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ctrl-C and SIGTERM. Made before the first packet, so that a signal never ends the program without a farewell.
#[derive(Debug)]
pub(crate) struct Farewell {
    interrupt: Signal,
    terminate: Signal,
}

impl Farewell {
    pub(crate) fn new() -> io::Result<Self> {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
    }

    /// Waits for a signal, then ends the stack.
    pub(crate) async fn wait(mut self, stack: &Stack) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        eprintln!("stopping");
        if tokio::time::timeout(PATIENCE, stack.shutdown()).await.is_err() {
            eprintln!("some connections did not end within {} s: resetting them", PATIENCE.as_secs());
            stack.abort().await;
        }
    }
}
