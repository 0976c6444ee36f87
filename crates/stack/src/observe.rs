//! Watching connections from inside: what each of them is after every turn of its task. Feature `observe`.

#[cfg(feature = "observe")]
use std::sync::Arc;

use netstack_tcp::{Connection, FourTuple, Instant};

use crate::clock::Clock;

/// Sees a stack's connections as they change; given to [`StackBuilder::observe`](crate::StackBuilder::observe).
///
/// Called from the connections' tasks and from the stack's own, some of it under the stack's locks: it must neither wait nor
/// call the stack. Instants count from the start of the stack.
#[cfg(feature = "observe")]
pub trait ConnectionObserver: Send + Sync {
    /// A connection's task has handled what was due, and has sent what it could. Of several changes in one turn only the last
    /// is seen.
    fn turned(&self, now: Instant, connection: &Connection) {
        let _ = (now, connection);
    }

    /// A connection rests in TIME-WAIT until `until`: it has come there, or a repeated FIN has begun the wait anew.
    fn rests(&self, now: Instant, tuple: &FourTuple, until: Instant) {
        let _ = (now, tuple, until);
    }

    /// The stack has forgotten a connection: it is over, or its TIME-WAIT is.
    fn ended(&self, now: Instant, tuple: &FourTuple) {
        let _ = (now, tuple);
    }
}

/// A stack's observer, if it has one. Without the feature it has no size and does nothing.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    #[cfg(feature = "observe")]
    observer: Option<Arc<dyn ConnectionObserver>>,
    #[cfg(feature = "observe")]
    clock: Option<Clock>,
}

#[cfg(feature = "observe")]
impl Watch {
    pub(crate) fn by(observer: impl ConnectionObserver + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), clock: None }
    }

    /// The stack starts, and its clock.
    pub(crate) fn start(self, clock: Clock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    fn observer(&self) -> Option<(&dyn ConnectionObserver, Clock)> {
        self.observer.as_deref().zip(self.clock)
    }

    pub(crate) fn turned(&self, connection: &Connection) {
        if let Some((observer, clock)) = self.observer() {
            observer.turned(clock.now(), connection);
        }
    }

    /// `until` is asked for only if somebody wants to know.
    pub(crate) fn rests(&self, tuple: &FourTuple, until: impl FnOnce() -> Option<Instant>) {
        if let Some((observer, clock)) = self.observer()
            && let Some(until) = until()
        {
            observer.rests(clock.now(), tuple, until);
        }
    }

    pub(crate) fn ended(&self, tuple: &FourTuple) {
        if let Some((observer, clock)) = self.observer() {
            observer.ended(clock.now(), tuple);
        }
    }
}

#[cfg(not(feature = "observe"))]
impl Watch {
    pub(crate) fn start(self, _clock: Clock) -> Self {
        self
    }

    pub(crate) fn turned(&self, _connection: &Connection) {}

    pub(crate) fn rests(&self, _tuple: &FourTuple, _until: impl FnOnce() -> Option<Instant>) {}

    pub(crate) fn ended(&self, _tuple: &FourTuple) {}
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}
