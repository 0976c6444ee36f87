//! Opening fast, from either end (RFC 7413 4.2): what the first SYN or SYN-ACK has beyond others, and text before the handshake
//! is over.

use bytes::Bytes;
use netstack_wire::tcp::{FastOpenCookie, TcpFlags, TcpOptions};

use super::Connection;
use crate::fast_open::{FastOpen, FastOpenAnswer, FastOpenNews, FastOpenOffer};
use crate::negotiate::Negotiated;
use crate::segment::Segment;
use crate::state::{CloseReason, State};
use crate::time::Instant;

/// What is kept until the handshake is over and its owner knows what became of it; boxed, for few connections have it.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The option of our first SYN or SYN-ACK.
    option: FastOpenCookie,
    /// The MSS that the peer announced the last time.
    mss: u16,
    /// Octets of text that left on the SYN.
    on_syn: u32,
    news: Option<FastOpenNews>,
}

impl Connection {
    /// Opens fast: with a cookie the SYN carries what was written before it leaves, as far as it fits, and without one it asks
    /// for a cookie. Comes right behind [`connect`](Self::connect); later it does nothing.
    ///
    /// The peer's application may see this data **twice**: a SYN that is repeated by the network after its connection has
    /// ended opens another (RFC 7413 2.1, 6.3.1). Only for requests that may be repeated without harm.
    pub fn open_fast(&mut self, offer: &FastOpenOffer) {
        if self.state != State::SynSent || self.syns_sent > 0 {
            return;
        }
        let option = offer.cookie.unwrap_or(FastOpenCookie::REQUEST);
        let mss = offer.mss.unwrap_or(self.agreed.peer_mss);
        self.fast_open = FastOpen::Cookie;
        self.attempt = Some(Box::new(Attempt { option, mss, on_syn: 0, news: None }));
    }

    /// What was learned from an attempt of ours to open fast, once: for [`FastOpenCache::learn`](crate::FastOpenCache::learn).
    pub fn poll_fast_open(&mut self) -> Option<FastOpenNews> {
        let news = self.attempt.as_ref()?.news?;
        self.attempt = None;
        Some(news)
    }

    /// What became of TCP Fast Open.
    #[must_use]
    pub fn fast_open(&self) -> FastOpen {
        self.fast_open
    }

    /// Passive: the listener has judged the option of the peer's SYN.
    pub(super) fn answer_fast_open(&mut self, answer: &FastOpenAnswer) {
        self.fast_open = match answer {
            FastOpenAnswer::Ignored => FastOpen::Off,
            FastOpenAnswer::Given(_) => FastOpen::Cookie,
            FastOpenAnswer::Refused(_) | FastOpenAnswer::Limited => FastOpen::Fallback,
            FastOpenAnswer::Accepted(_) => FastOpen::Used,
        };
        self.attempt = answer.cookie().map(|option| {
            let mss = Negotiated::default_mss(&self.tuple);
            Box::new(Attempt { option, mss, on_syn: 0, news: None })
        });
        if answer.is_accepted() {
            // Text may leave behind the SYN-ACK: it has its place in the books, and the SYN-ACK none.
            let snd = &mut self.snd;
            snd.una = snd.iss + 1;
            (snd.nxt, snd.max, snd.rtt_round) = (snd.una, snd.una, snd.una);
            snd.board.restart(snd.una);
            let full = self.full_segment();
            self.snd.congestion.start(full, false);
        }
    }

    /// Whether text passes both ways though the last ACK of the handshake is missing (R7413-3).
    pub(super) fn is_early(&self) -> bool {
        self.state == State::SynReceived && self.passive && self.fast_open == FastOpen::Used
    }

    /// Whether text, or a FIN, may leave. Before the handshake is over no FIN does, nor a probe of a closed window.
    pub(super) fn sends_text(&self) -> bool {
        let early = || self.is_early() && self.snd.unsent() > 0 && self.snd.usable_window() > 0;
        self.state.sends_text() || early()
    }

    /// Adds to our first SYN or SYN-ACK, and to no other (R7413-5), the option, and to a SYN with a cookie text: no more than
    /// the peer takes in one segment beside `options` (RFC 7413 4.2.2). Returns the octets of text, which are in `payload`.
    pub(super) fn load_syn(&mut self, options: &mut TcpOptions, payload: &mut Vec<Bytes>) -> u32 {
        if self.syns_sent > 1 {
            return 0;
        }
        let mss = self.path_mss.min(self.path_mtu().saturating_sub(self.headers()));
        let Some(attempt) = &mut self.attempt else { return 0 };
        options.fast_open = Some(attempt.option);
        if self.state != State::SynSent || attempt.option == FastOpenCookie::REQUEST {
            return 0;
        }
        let room = usize::from(mss.min(attempt.mss)).saturating_sub(options.wire_len());
        attempt.on_syn = self.snd.buffer.slices(0, room as u32, payload);
        if attempt.on_syn > 0 {
            self.fast_open = FastOpen::Tried;
            self.stats.bytes_sent += u64::from(attempt.on_syn);
        }
        attempt.on_syn
    }

    /// Passive, and the data of SYNs is taken: that of `seg`, the first or a copy of it (R7413-3). Its FIN is left to the peer's
    /// retransmission, as on any SYN (S-LISTEN-6).
    pub(super) fn take_syn_text(&mut self, now: Instant, seg: &mut Segment) {
        let frame = seg.payload.len();
        if !self.is_early() || frame == 0 {
            return;
        }
        seg.skip(1);
        seg.header.flags = seg.header.flags.without(TcpFlags::SYN | TcpFlags::FIN);
        // Before the SYN-ACK has left nothing is announced, but a SYN's window is what there is.
        self.rcv.adv = self.rcv.adv.max(self.rcv.irs + 1 + self.syn_window());
        if (seg.header.seq + frame as u32).after(self.rcv.nxt) {
            self.trim(seg);
            // The SYN-ACK follows, whatever became of it.
            let _ = self.process_text(now, seg, frame);
        }
    }

    /// The SYN-ACK `seg`, or what else completes the handshake, tells what became of the attempt.
    pub(super) fn settle_fast_open(&mut self, seg: &Segment) {
        let Some(attempt) = &mut self.attempt else { return };
        if self.passive {
            self.attempt = None;
            return;
        }
        let acked = seg.header.ack != self.snd.iss + 1;
        if attempt.on_syn > 0 {
            self.fast_open = if acked { FastOpen::Used } else { FastOpen::Fallback };
        }
        attempt.news = Some(FastOpenNews {
            outcome: self.fast_open,
            cookie: seg.header.options.fast_open.filter(|cookie| *cookie != FastOpenCookie::REQUEST),
            mss: Some(self.agreed.peer_mss),
            failed: !acked && self.snd.retries > 0,
        });
    }

    /// The connection ends for `reason`, perhaps before its handshake is over.
    pub(super) fn abandon_fast_open(&mut self, reason: CloseReason) {
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.news.is_none()) else { return };
        let failed = self.snd.retries > 0 || matches!(reason, CloseReason::Unreachable(_));
        let outcome = self.fast_open;
        attempt.news = (!self.passive).then_some(FastOpenNews { outcome, cookie: None, mss: None, failed });
    }
}
