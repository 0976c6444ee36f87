//! Faults seeded on purpose, by altering what goes into a connection or comes out of it: the exploration has to find each.

use netstack_tcp::State;
use netstack_wire::tcp::TcpFlags;

use crate::end::End;
use crate::wire::Packet;

/// A mistake that TCP implementations have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Any ACK counts as the ACK of our FIN.
    AnyAckAcksFin,
    /// In SYN-SENT any ACK counts as the ACK of our SYN.
    AnyAckAcksSyn,
    /// A reset is honoured wherever its sequence number lies.
    AnyResetCounts,
    /// A reset ends TIME-WAIT (RFC 1337).
    ResetEndsTimeWait,
    /// TIME-WAIT answers nothing.
    TimeWaitIsSilent,
    /// The SYN-ACK leaves once.
    SynAckIsSentOnce,
    /// The FIN leaves once.
    FinIsSentOnce,
    /// A SYN without ACK means nothing in SYN-SENT.
    NoSimultaneousOpen,
    /// Where a FIN stands, whatever else is missing, the stream has ended.
    FinJumpsAhead,
}

impl Bug {
    pub(crate) const ALL: [Self; 9] = [
        Self::AnyAckAcksFin,
        Self::AnyAckAcksSyn,
        Self::AnyResetCounts,
        Self::ResetEndsTimeWait,
        Self::TimeWaitIsSilent,
        Self::SynAckIsSentOnce,
        Self::FinIsSentOnce,
        Self::NoSimultaneousOpen,
        Self::FinJumpsAhead,
    ];

    /// What `end` makes of `packet` with this fault; `None`: it does not see it.
    pub(crate) fn on_input(self, end: &End, packet: Packet) -> Option<Packet> {
        let state = end.state();
        let has = |flags| packet.has(flags);
        Some(match self {
            Self::AnyAckAcksFin
                if matches!(state, State::FinWait1 | State::Closing | State::LastAck)
                    && has(TcpFlags::ACK) =>
            {
                packet.altered(|header| header.ack = end.highest)
            }
            Self::AnyAckAcksSyn if state == State::SynSent && has(TcpFlags::ACK) => {
                packet.altered(|header| header.ack = end.highest)
            }
            Self::AnyResetCounts if state.is_synchronized() && has(TcpFlags::RST) => {
                packet.altered(|header| header.seq = end.expects)
            }
            Self::TimeWaitIsSilent if state == State::TimeWait => return None,
            Self::NoSimultaneousOpen
                if state == State::SynSent && has(TcpFlags::SYN) && !has(TcpFlags::ACK) =>
            {
                return None;
            }
            Self::FinJumpsAhead if state.is_synchronized() && has(TcpFlags::FIN) => {
                packet.altered(|header| header.seq = end.expects)
            }
            _ => packet,
        })
    }

    /// Whether `packet` leaves `end` with this fault.
    pub(crate) fn lets_out(self, end: &End, packet: &Packet) -> bool {
        let repeated = end.sent > 0 && packet.end().before_eq(end.highest);
        match self {
            Self::SynAckIsSentOnce => !(repeated && packet.has(TcpFlags::SYN | TcpFlags::ACK)),
            Self::FinIsSentOnce => !(repeated && packet.has(TcpFlags::FIN)),
            _ => true,
        }
    }
}
