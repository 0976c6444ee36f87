//! Waiting out errors that pass.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// A wait that doubles from 10 ms to 1 s with each error in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    errors: u32,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Backoff {
    /// An error came: the next [`poll`](Self::poll) waits.
    pub(crate) fn error(&mut self) {
        let delay = FIRST.saturating_mul(1 << self.errors.min(10)).min(LONGEST);
        self.errors += 1;
        self.sleep = Some(Box::pin(tokio::time::sleep(delay)));
    }

    /// It works again.
    pub(crate) fn reset(&mut self) {
        self.errors = 0;
    }

    /// Ready when there is nothing to wait for.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        Poll::Ready(())
    }
}
