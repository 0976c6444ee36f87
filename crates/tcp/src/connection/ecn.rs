//! Where congestion notification meets the rest of the connection: marks that arrive, marks that the peer reports, marks
//! that our segments bear (RFC 3168 6.1, RFC 9768 3.2).

use netstack_wire::tcp::TcpFlags;
use netstack_wire::{Ecn, SeqNum};

use super::Connection;
use crate::congestion::Signal;
use crate::ecn::EcnMode;
use crate::segment::Segment;
use crate::time::Instant;

impl Connection {
    /// The IP header of an acceptable segment may bear a mark (R3168-5, R9768-3).
    pub(super) fn take_congestion_mark(&mut self, seg: &Segment) {
        if self.ecn.mode() == EcnMode::Off || seg.has(TcpFlags::SYN) {
            return;
        }
        let packets = seg.wire_segments();
        if seg.ecn == Ecn::Ce {
            let rare = self.stats.rare();
            rare.ce_received = rare.ce_received.wrapping_add(packets);
        }
        if self.ecn.on_arrival(seg, packets) {
            self.rcv.ack.owe_one();
        }
    }

    /// The acceptable ACK `seg` may report marks: once per window they count as a loss does, but nothing is sent again
    /// (R3168-6). Whether it reports any. Comes before SND.UNA moves.
    pub(super) fn take_congestion_echo(&mut self, now: Instant, seg: &Segment) -> bool {
        if self.ecn.mode() == EcnMode::Off {
            return false;
        }
        let (ack, mss) = (seg.header.ack, self.full_segment());
        let acked = if ack.after(self.snd.una) { ack.distance_from(self.snd.una) } else { 0 };
        if acked > 0 || !seg.header.options.sack.is_empty() {
            self.ecn.on_delivered();
        }
        let marks = self.ecn.marks_reported(seg, acked.div_ceil(mss));
        if marks > 0 {
            let rare = self.stats.rare();
            rare.ce_reported = rare.ce_reported.wrapping_add(marks);
        }
        let snd = &mut self.snd;
        let flight = snd.flight_size();
        // In recovery the window has been reduced already; nothing in flight, and there is none to reduce.
        let counts = marks > 0 && flight > 0 && snd.recovery.is_open() && self.ecn.is_news(ack);
        if acked > 0 {
            self.ecn.on_acked(ack, marks);
        }
        if counts {
            let cwnd = snd.congestion.cwnd();
            snd.recovery.let_stand();
            if cwnd > mss {
                let congestion = snd.congestion(now, flight, Signal::Ecn);
                snd.congestion.on_congestion(&congestion);
            } else {
                // R3168-8: no smaller window, but time.
                self.ecn.hold();
            }
            self.ecn.on_reduction(snd.max);
            self.stats.rare().ecn_reductions += 1;
            tracing::debug!(marks, cwnd, reduced = snd.congestion.cwnd(), "congestion reported");
        }
        marks > 0
    }

    /// The ECN field for the IP header of text or FIN at `at`, and the ECN flags of its TCP header (R3168-3, R3168-4,
    /// R3168-7). Comes before the books note that it left.
    pub(super) fn ecn_of_text(&mut self, at: SeqNum, len: u32, probe: bool) -> (Ecn, TcpFlags) {
        let feedback = self.ecn.feedback(false);
        if len == 0 || probe {
            return (Ecn::NotEct, feedback);
        }
        if at.before(self.snd.max) {
            self.ecn.on_resent();
            return (Ecn::NotEct, feedback);
        }
        let (ecn, cwr) = self.ecn.mark_new_data();
        (ecn, feedback | cwr)
    }

    /// The ECN flags of a segment that carries nothing.
    pub(super) fn ecn_of_ack(&mut self) -> TcpFlags {
        let opening = !self.passive && self.snd.max == self.snd.iss + 1 && self.rcv.nxt == self.rcv.irs + 1;
        self.ecn.feedback(opening)
    }
}
