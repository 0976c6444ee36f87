//! Congestion control: how much may be in flight. Loss detection and what may leave during recovery are elsewhere
//! ([`crate::send`]).

mod new_reno;
#[cfg(test)]
mod tests;

pub(crate) use new_reno::NewReno;

/// An acknowledgment of new data outside recovery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ack {
    /// Octets newly acknowledged.
    pub(crate) acked: u32,
    /// Whether the window, not the application or the peer, bounded the flight (R5681-16).
    pub(crate) cwnd_limited: bool,
}

/// A congestion controller: it holds `cwnd` and `ssthresh`, in octets.
pub(crate) trait Controller {
    /// The send MSS is known or has changed; `handshake_loss` says that a SYN was lost (R5681-2).
    fn start(&mut self, mss: u32, handshake_loss: bool);
    /// New data is acknowledged.
    fn on_ack(&mut self, ack: Ack);
    /// A loss was found by duplicates, with `flight` octets outstanding.
    fn on_loss(&mut self, flight: u32);
    /// Recovery is over, with `flight` octets outstanding.
    fn on_recovered(&mut self, flight: u32);
    /// The retransmission timer fired; `first` for the first time of this segment (R5681-6).
    fn on_timeout(&mut self, flight: u32, first: bool);
    /// Nothing was sent for longer than an RTO (R5681-15).
    fn on_idle(&mut self);
    /// The congestion window.
    fn cwnd(&self) -> u32;
    /// The slow-start threshold; `u32::MAX` while unset.
    fn ssthresh(&self) -> u32;
}

/// The controllers there are.
#[derive(Debug)]
pub(crate) enum Algorithm {
    NewReno(NewReno),
}

impl Algorithm {
    pub(crate) fn new(mss: u32) -> Self {
        Self::NewReno(NewReno::new(mss))
    }

    fn inner(&self) -> &dyn Controller {
        match self {
            Self::NewReno(reno) => reno,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn Controller {
        match self {
            Self::NewReno(reno) => reno,
        }
    }
}

impl Controller for Algorithm {
    fn start(&mut self, mss: u32, handshake_loss: bool) {
        self.inner_mut().start(mss, handshake_loss);
    }

    fn on_ack(&mut self, ack: Ack) {
        self.inner_mut().on_ack(ack);
    }

    fn on_loss(&mut self, flight: u32) {
        self.inner_mut().on_loss(flight);
    }

    fn on_recovered(&mut self, flight: u32) {
        self.inner_mut().on_recovered(flight);
    }

    fn on_timeout(&mut self, flight: u32, first: bool) {
        self.inner_mut().on_timeout(flight, first);
    }

    fn on_idle(&mut self) {
        self.inner_mut().on_idle();
    }

    fn cwnd(&self) -> u32 {
        self.inner().cwnd()
    }

    fn ssthresh(&self) -> u32 {
        self.inner().ssthresh()
    }
}

/// The initial window of RFC 6928 2, or one segment after a lost SYN (RFC 5681 3.1).
pub(crate) fn initial_window(mss: u32, handshake_loss: bool) -> u32 {
    if handshake_loss { mss } else { (10 * mss).min((2 * mss).max(14_600)) }
}
