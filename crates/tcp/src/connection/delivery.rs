//! What an ACK delivers: cumulatively and by its blocks, the duplicates it reports, the round trip it measures (RFC 2018,
//! RFC 2883, RFC 6298, RFC 7323).

use core::time::Duration;

use netstack_wire::SeqNum;
use netstack_wire::tcp::SackBlock;

use super::Connection;
use crate::segment::Segment;
use crate::send::SendHalf;
use crate::send::rate::Newest;
use crate::send::scoreboard::{Echo, News};
use crate::time::Instant;

/// How things were before something happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prior {
    pub(super) una: SeqNum,
    pub(super) pipe: u32,
    pub(super) sacked: u32,
}

/// An ACK on its way through the steps.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) prior: Prior,
    /// Octets acknowledged cumulatively.
    pub(super) acked: u32,
    /// It repeats the last ACK (R5681-11).
    pub(super) duplicate: bool,
    pub(super) echo: Option<Echo>,
    pub(super) dsack: Option<SackBlock>,
    pub(super) news: News,
    /// DeliveredData of PRR.
    pub(super) delivered: u32,
    pub(super) cwnd_limited: bool,
    pub(super) rtt: Option<Duration>,
    /// The newest transmission that it delivered.
    pub(super) newest: Option<Newest>,
}

impl Connection {
    /// What the ACK of `seg` delivers; it leaves what was in flight.
    pub(super) fn deliver(&mut self, now: Instant, seg: &Segment, bare: bool) -> Turn {
        let ack = seg.header.ack;
        let mss = self.full_segment();
        let echo = self.echo(seg);
        let snd = &mut self.snd;
        let prior = Prior { una: snd.una, pipe: snd.board.pipe(), sacked: snd.board.sacked() };
        let acked = if ack.after(snd.una) { ack.distance_from(snd.una) } else { 0 };
        // With nothing in flight an ACK comes this far only where a tail loss probe may have drawn it, or with blocks.
        let repeats = acked == 0 && ack == snd.una && bare;
        let cwnd_limited = is_cwnd_limited(snd, mss);
        let least = snd.rtt.min_rtt().unwrap_or_default();
        let mut news = News::new(now, least, echo, snd.board.fack());
        let settled = snd.board.settle_duplicates(acked, mss);
        let SendHalf { board, rate, .. } = snd;
        let mut newest = None;
        let mut told = |sent_at, sent: &_, octets| rate.on_delivered(now, sent_at, sent, octets, &mut newest);
        if acked > 0 {
            board.ack(ack, &mut news, &mut told);
        }
        let (dsack, blocks) = split_dsack(&seg.header.options.sack, ack, self.agreed.sack);
        let (una, max) = (snd.una.max(ack), snd.max);
        for block in blocks {
            // R2018-9
            let (left, right) = (block.left, block.right);
            if left.after(una) && left.before(right) && right.before_eq(max) {
                board.sack(left, right, &mut news, &mut told);
            }
        }
        if acked > 0 {
            self.release(ack, acked);
        }
        let duplicate = repeats && news.delivered == 0 && self.scaled_window(seg) == self.snd.wnd;
        let delivered = news.delivered - settled.min(news.delivered);
        if let Some(block) = dsack {
            self.take_dsack(block);
        }
        if acked == 0 && if self.agreed.sack { delivered > 0 } else { duplicate } {
            let rare = self.stats.rare();
            rare.dup_acks = rare.dup_acks.saturating_add(1);
        }
        Turn { prior, acked, duplicate, echo, dsack, news, delivered, cwnd_limited, rtt: None, newest }
    }

    /// SND.UNA advances to `ack`, by `acked` (S-ACK-4).
    fn release(&mut self, ack: SeqNum, acked: u32) {
        self.soft_error = None;
        self.snd.path.on_progress();
        let snd = &mut self.snd;
        let octets = acked.min(snd.buffer.len());
        // What is acknowledged beyond the data is the FIN.
        snd.fin_acked |= acked > octets;
        snd.buffer.release(octets);
        snd.una = ack;
        snd.nxt = snd.nxt.max(ack);
        // Kept close, so that it stays comparable while the sequence space wraps.
        snd.small_end = snd.small_end.max(ack);
        snd.retries = 0;
        snd.probes = 0;
        if snd.urgent.is_some_and(|up| !up.after(ack)) {
            snd.urgent = None;
        }
        self.stats.bytes_acked += u64::from(octets);
    }

    /// What the segment echoes of our clock, if it can be trusted: never a time ahead (R7323-13).
    fn echo(&self, seg: &Segment) -> Option<Echo> {
        let ts = seg.header.options.timestamps.filter(|_| self.agreed.timestamps)?;
        Some(Echo { ecr: ts.ecr, offset: self.ts_offset })
    }

    fn take_dsack(&mut self, block: SackBlock) {
        let rare = self.stats.rare();
        rare.dsacks = rare.dsacks.saturating_add(1);
        let snd = &mut self.snd;
        // A probe that was not needed says nothing of reordering.
        if !snd.tlp.explains(block.right) && snd.recovery.on_dsack(block.left, block.right) {
            snd.rack.on_dsack(snd.una, snd.nxt);
        }
    }

    /// RFC 6298 3: the timeout takes one sample for each round trip, of the oldest segment that this ACK delivered; the
    /// least round trip and the controller take each, of the newest. Segments that were sent twice give one only where the
    /// timestamp tells which copy was answered (R6298-6).
    pub(super) fn take_round_trip(&mut self, now: Instant, turn: &mut Turn) {
        let Some((oldest, newest)) = turn.news.measured() else { return };
        let snd = &mut self.snd;
        turn.rtt = Some(now - newest);
        snd.rtt.note_least(now, now - newest);
        snd.tlp.on_sample();
        if snd.una.before_eq(snd.rtt_round) && !snd.rtt.is_backed_off() && snd.rtt.srtt().is_some() {
            return;
        }
        snd.rtt.sample(now - oldest, &self.config);
        snd.rtt_round = snd.nxt;
    }
}

/// Whether the window, not the application or the peer, bounded the flight: slow start may double; avoidance grows only on
/// a full window (R5681-16).
fn is_cwnd_limited(snd: &SendHalf, mss: u32) -> bool {
    let cwnd = snd.congestion.cwnd();
    let used = if cwnd < snd.congestion.ssthresh() {
        2 * u64::from(snd.flight_peak)
    } else {
        u64::from(snd.flight_peak) + u64::from(mss)
    };
    used >= u64::from(cwnd)
}

/// The duplicate that the first block reports, and the blocks behind it: it lies below the ACK, or inside the second block
/// (R2883-4).
fn split_dsack(blocks: &[SackBlock], ack: SeqNum, agreed: bool) -> (Option<SackBlock>, &[SackBlock]) {
    match blocks {
        _ if !agreed => (None, &[]),
        [first, rest @ ..]
            if first.left.before(first.right)
                && (first.right.before_eq(ack)
                    || rest.first().is_some_and(|second| {
                        !first.left.before(second.left) && !first.right.after(second.right)
                    })) =>
        {
            (Some(*first), rest)
        }
        _ => (None, blocks),
    }
}
