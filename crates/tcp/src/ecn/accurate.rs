//! The counters behind the ACE field (RFC 9768 3.2.2), modulo 8 on the wire.

use netstack_wire::Ecn;
use netstack_wire::tcp::TcpFlags;

/// What the count starts at: above zero, so that a field zeroed on the way is told apart (RFC 9768 3.2.1).
const START: u8 = 5;

/// Marked packets that earn an ACK at once: with data to acknowledge, and without (RFC 9768 3.2.2.5.1).
const ACK_AFTER: u8 = 2;
const ACK_OF_ACKS_AFTER: u8 = 3;

/// r.cep and s.cep.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Marked packets that arrived, r.cep modulo 256.
    received: u8,
    /// r.cep as it last left.
    told: u8,
    /// The peer's count as it last came, modulo 8.
    reported: u8,
    /// The last packet with data was marked.
    marked: bool,
    /// The last ACK that we took reported marks.
    prevailing: bool,
}

impl Default for Counters {
    fn default() -> Self {
        Self { received: START, told: START, reported: START, marked: false, prevailing: false }
    }
}

impl Counters {
    /// The SYN-ACK came with `syn` on it: a mark counts (RFC 9768 3.2.2.1, table 3).
    pub(crate) fn begin(&mut self, syn: Ecn) {
        self.received = START + u8::from(syn == Ecn::Ce);
        self.told = self.received;
    }

    /// `packets` of the wire arrived. Whether an ACK is due at once: at the first mark after none, and after so many.
    pub(crate) fn on_arrival(&mut self, marked: bool, text: bool, packets: u32) -> bool {
        let changed = text && marked && !self.marked;
        if text {
            self.marked = marked;
        }
        if marked {
            self.received = self.received.wrapping_add(packets as u8);
        }
        let pending = self.received.wrapping_sub(self.told);
        marked && (changed || pending >= if text { ACK_AFTER } else { ACK_OF_ACKS_AFTER })
    }

    /// The ACE field of a segment that leaves now.
    pub(crate) fn ace(&self) -> TcpFlags {
        flags_of(self.received & 7)
    }

    /// A segment with the ACE field left.
    pub(crate) fn on_told(&mut self) {
        self.told = self.received;
    }

    /// Marks that the ACE field in `flags` reports, of a segment that newly acknowledges `packets`, one at least.
    pub(crate) fn reported(&mut self, flags: TcpFlags, packets: u32) -> u32 {
        let ace = ace_of(flags);
        let delta = u32::from(ace.wrapping_sub(self.reported) & 7);
        self.reported = ace;
        // RFC 9768 3.2.2.5.2: where ACKs are lost the field may have gone round. With marks about, the most that fits.
        let most = packets.saturating_sub(packets.wrapping_sub(delta) & 7);
        let marks = if self.prevailing && packets > 7 { most.max(delta) } else { delta };
        self.prevailing = delta > 0;
        marks
    }
}

/// The three flags as a number: AE, CWR, ECE from the most significant bit on.
fn ace_of(flags: TcpFlags) -> u8 {
    let bit = |flag, value| if flags.contains(flag) { value } else { 0 };
    bit(TcpFlags::AE, 4) | bit(TcpFlags::CWR, 2) | bit(TcpFlags::ECE, 1)
}

fn flags_of(ace: u8) -> TcpFlags {
    let bit = |flag: TcpFlags, value| if ace & value != 0 { flag } else { TcpFlags::empty() };
    bit(TcpFlags::AE, 4) | bit(TcpFlags::CWR, 2) | bit(TcpFlags::ECE, 1)
}

/// How a SYN-ACK, or the ACK of one, says which IP-ECN field the SYN, or the SYN-ACK, had (RFC 9768 tables 2 and 3).
pub(crate) fn handshake_flags(syn: Ecn) -> TcpFlags {
    flags_of(match syn {
        Ecn::NotEct => 0b010,
        Ecn::Ect1 => 0b011,
        Ecn::Ect0 => 0b100,
        Ecn::Ce => 0b110,
    })
}

/// Whether those flags say that ours arrived as it left, Not-ECT. Values that mean nothing yet do (RFC 9768 3.1.3, table 4);
/// zero is a field that was cleared.
pub(crate) fn confirms_not_ect(flags: TcpFlags) -> bool {
    !matches!(ace_of(flags), 0b000 | 0b011 | 0b100 | 0b110)
}
