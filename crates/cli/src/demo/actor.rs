//! An application that does what it is told, when it is told.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use netstack_sim::heap::{App, Socket};
use netstack_tcp::Instant;

/// What an [`Actor`] does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Writes so many bytes.
    Write(usize),
    /// Closes its sending half.
    Shutdown,
}

/// Reads everything at once, and acts by its plan as soon as it is connected.
#[derive(Clone, Debug, Default)]
pub(super) struct Actor {
    plan: VecDeque<(Duration, Act)>,
    received: usize,
    /// When how many bytes were there.
    arrivals: Vec<(Instant, usize)>,
}

impl Actor {
    /// Acts at these times, counted from the start in milliseconds.
    pub(super) fn new(plan: impl IntoIterator<Item = (u64, Act)>) -> Self {
        let plan = plan.into_iter().map(|(at, act)| (Duration::from_millis(at), act)).collect();
        Self { plan, ..Self::default() }
    }

    pub(super) fn arrivals(&self) -> &[(Instant, usize)] {
        &self.arrivals
    }
}

impl App for Actor {
    fn poll(&mut self, socket: &mut Socket<'_>) -> Option<Instant> {
        let before = self.received;
        while let Some(piece) = socket.read(usize::MAX) {
            self.received += piece.len();
        }
        if self.received > before {
            self.arrivals.push((socket.now(), self.received));
        }
        while let Some(&(at, act)) = self.plan.front() {
            let at = Instant::from_duration(at);
            if at > socket.now() || !socket.is_connected() {
                return Some(at);
            }
            match act {
                Act::Write(len) => {
                    socket.write(Bytes::from(vec![b'.'; len]));
                }
                Act::Shutdown => socket.shutdown(),
            }
            self.plan.pop_front();
        }
        None
    }
}
