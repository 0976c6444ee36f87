//! How much processor time was spent.

use std::io;
use std::time::Duration;

/// Processor time of the calling thread so far. On a busy machine it tells a cost where the clock on the wall does not.
///
/// # Errors
///
/// Where there is no `/proc/thread-self/schedstat`: on systems other than Linux, or a kernel without statistics of its
/// scheduler.
pub fn thread_time() -> io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    stat.split_whitespace()
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .map(Duration::from_nanos)
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "no time in /proc/thread-self/schedstat"))
}
