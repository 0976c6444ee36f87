//! Devices made of what other crates offer: any `Stream` + `Sink` of packets, and anything that reads and writes
//! one packet per call.
//!
//! Both are finished-frames-only devices with a bounded queue in front of the writing side. The receiving half
//! drives both directions, so frames leave while somebody polls it, as a stack always does.
//!
//! Errors: the end of the stream, end of file and errors that say that the other side is gone (broken pipe, not
//! connected, or an error that is no [`io::Error`] of the operating system) end the device. Any other error loses
//! the frame being sent, or is waited out when receiving; both are counted.

mod core;
mod read_write;
mod stream_sink;

pub use read_write::ReadWrite;
pub use stream_sink::{IntoPacket, Join, StreamSink};

use std::io;

/// Frames that an adapter queues for its writer if not told otherwise.
pub const DEFAULT_DEPTH: usize = 256;

/// Whether an error means that the other side is gone for good.
fn is_fatal(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, NotConnected, Other, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | NotConnected | Other)
}

/// The error inside, if it is one of I/O.
fn into_io(error: Box<dyn std::error::Error + Send + Sync>) -> io::Error {
    match error.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(error) => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests;
