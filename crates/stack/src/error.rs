//! Why a connection is over, as its socket sees it.

use std::fmt;
use std::io;

use netstack_tcp::CloseReason;

/// Why a connection is over: the protocol's reason, or one of the stack itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndCause {
    /// The protocol came to its end.
    Closed(CloseReason),
    /// The device is gone, or the stack was told to stop.
    StackStopped,
    /// The runtime that ran the connection is gone.
    RuntimeGone,
}

impl EndCause {
    /// Whether both directions came to their orderly end.
    pub(crate) fn is_normal(self) -> bool {
        self == Self::Closed(CloseReason::Normal)
    }

    fn kind(self) -> io::ErrorKind {
        match self {
            Self::Closed(reason) => reason.io_kind(),
            Self::StackStopped => io::ErrorKind::NetworkDown,
            Self::RuntimeGone => io::ErrorKind::ConnectionAborted,
        }
    }

    /// The error of a read or of a connect.
    pub(crate) fn to_io(self) -> io::Error {
        io::Error::new(self.kind(), self)
    }

    /// The error of a write: after an orderly end the pipe is broken.
    pub(crate) fn to_write_error(self) -> io::Error {
        if self.is_normal() { broken_pipe() } else { self.to_io() }
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => reason.fmt(f),
            Self::StackStopped => {
                f.write_str("the network stack has stopped: its device is gone, or it was shut down")
            }
            Self::RuntimeGone => {
                f.write_str("the runtime of the network stack is gone; keep it alive as long as its sockets")
            }
        }
    }
}

impl std::error::Error for EndCause {}

/// The error of a write after the sending half was shut down.
pub(crate) fn broken_pipe() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the sending half of the connection is shut down")
}

/// The error of a call whose arguments make no sense; `text` says which would.
pub(crate) fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.into())
}

/// The error of a setting that is not what `text` says it may be.
pub(crate) fn out_of_range(text: &str, value: u32) -> io::Error {
    invalid(format!("{text}, not {value}"))
}

/// The error of a call about something that there is not.
pub(crate) fn not_found(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, text.into())
}

/// The error of an operation that cannot succeed now and was asked not to wait.
pub(crate) fn would_block() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}
