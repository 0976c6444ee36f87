//! The rate of the line: how long a packet takes to leave, when the line is free again, and a pause of the line.

/// A line of a fixed bit rate. Exact: fractions of a nanosecond are carried from packet to packet of a busy period, so
/// `n` packets back to back take `floor(n * bits / rate)`, not `n` times a rounded time.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    /// Bits per second; 0 for a line without limit.
    bits_per_second: u64,
    /// When the line has sent all that it was given.
    free_at: u64,
    /// What the division left over at `free_at`, in units of 1 / `bits_per_second` nanoseconds.
    remainder: u64,
    /// No packet begins within this span: first instant, first instant after it.
    stall: (u64, u64),
}

impl Rate {
    pub(crate) fn new(bits_per_second: Option<u64>, stall: (u64, u64)) -> Self {
        Self { bits_per_second: bits_per_second.unwrap_or(0), free_at: 0, remainder: 0, stall }
    }

    /// The line is busy as long as `old` would have been.
    pub(crate) fn go_on_from(&mut self, old: &Self) {
        self.free_at = old.free_at;
    }

    /// When the line has sent all that it was given; in the past if it is idle.
    pub(crate) fn free_at(&self) -> u64 {
        self.free_at
    }

    /// Puts a packet of `bytes` on the line at `now` or when the line falls free; gives its first and last instant there.
    pub(crate) fn transmit(&mut self, now: u64, bytes: usize) -> (u64, u64) {
        if now >= self.free_at {
            self.free_at = now;
            self.remainder = 0;
        }
        self.transmit_next(bytes)
    }

    /// Puts a packet on the line as soon as it is free, behind what it was given before; gives its first and last instant.
    pub(crate) fn transmit_next(&mut self, bytes: usize) -> (u64, u64) {
        if (self.stall.0..self.stall.1).contains(&self.free_at) {
            self.free_at = self.stall.1;
            self.remainder = 0;
        }
        if self.bits_per_second == 0 {
            return (self.free_at, self.free_at);
        }
        let start = self.free_at;
        let scaled = bytes as u64 * 8 * NANOS_PER_SECOND + self.remainder;
        self.free_at += scaled / self.bits_per_second;
        self.remainder = scaled % self.bits_per_second;
        (start, self.free_at)
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
