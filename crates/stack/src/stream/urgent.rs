//! Urgent data (RFC 9293 3.8.5).

use std::io;

use super::TcpStream;
use crate::lane::wait;

impl TcpStream {
    /// Writes a prefix of `data` as urgent: the urgent pointer of the segments up to it names the octet behind its last
    /// one (MUST-30, MUST-62). Returns how much was taken, at most 64 KiB; waits while the send buffer is full.
    ///
    /// The mechanism is there for old protocols such as Telnet; new ones do not use it (SHLD-13). It marks a place in
    /// the stream, and everything before that place is urgent too; nothing overtakes anything. Many middleboxes clear the
    /// mark (RFC 6093).
    ///
    /// # Errors
    ///
    /// As writing otherwise: [`BrokenPipe`](io::ErrorKind::BrokenPipe) after a shutdown, or the reason why the connection
    /// broke.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it completes, nothing was written.
    pub async fn write_urgent(&self, data: &[u8]) -> io::Result<usize> {
        let lane = &self.shared.send;
        let written = wait(|waiter| lane.write_urgent(data, waiter), |place| lane.forget(place)).await;
        self.write_outcome(written)
    }

    /// Waits until urgent data of the peer is newly pending, or its end has moved on (MUST-32); at once if that happened
    /// since the last call. The octets are read in their place in the stream, as all others:
    /// [`TcpInfo::urgent_remaining`](crate::TcpInfo::urgent_remaining) of [`info`](Self::info) says how many there are up to
    /// the end of urgent data (MUST-33), 0 if all of them were read in the meantime.
    ///
    /// One of several tasks that wait takes the news.
    ///
    /// # Errors
    ///
    /// The connection is over: the reason why it broke, or [`NotConnected`](io::ErrorKind::NotConnected) after an orderly
    /// end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the news is not lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(stream: tokio_netstack::TcpStream) -> std::io::Result<()> {
    /// stream.urgent().await?;
    /// let mut left = stream.info().await?.urgent_remaining;
    /// while left > 0 {
    ///     let mut skipped = [0; 1024];
    ///     stream.readable().await?;
    ///     stream.try_read(&mut skipped)?;
    ///     left = stream.info().await?.urgent_remaining;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn urgent(&self) -> io::Result<()> {
        let shared = &self.shared;
        let news = wait(|waiter| shared.poll_urgent(waiter), |place| shared.forget(place)).await;
        news.map_err(|cause| cause.to_io())
    }
}
