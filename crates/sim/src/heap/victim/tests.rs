use bytes::Bytes;
use netstack_tcp::Segment;
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::{Ecn, SeqNum};

use super::{Pick, Victim};
use crate::heap::{EndId, Side};

const END: EndId = EndId { flow: 1, side: Side::B };

fn segment(len: usize, ack: u32) -> Segment {
    let header = TcpHeader { flags: TcpFlags::ACK, ack: SeqNum(ack), ..TcpHeader::default() };
    Segment { header, payload: Bytes::from(vec![0; len]), ecn: Ecn::NotEct, gso_size: 0 }
}

#[test]
fn the_packet_with_the_number_is_taken_once_whoever_else_sends() {
    let mut victim = Victim::new(END, Pick::Data(2));
    let other = EndId { flow: 0, side: Side::B };
    let taken: Vec<_> = [(other, 1), (END, 1), (END, 0), (other, 1), (END, 1), (END, 1)]
        .map(|(end, len)| victim.takes(end, &segment(len, 0)))
        .to_vec();
    assert_eq!(taken, [false, false, false, false, true, false]);
}

#[test]
fn the_ack_that_reaches_the_byte_is_taken_across_the_wrap() {
    let mut victim = Victim::new(END, Pick::Ack(100));
    // The SYN-ACK says where the stream begins.
    let first = u32::MAX - 49;
    let taken: Vec<_> =
        [first, first.wrapping_add(99), 50, 50].map(|ack| victim.takes(END, &segment(0, ack))).to_vec();
    assert_eq!(taken, [false, false, true, false]);
}

#[test]
fn the_packet_with_the_flags_is_taken_by_its_number_among_those() {
    let syn = TcpFlags::SYN;
    let mut victim = Victim::new(END, Pick::Flags(syn, 2));
    let mut with = |flags| {
        let mut segment = segment(0, 0);
        segment.header.flags = flags;
        victim.takes(END, &segment)
    };
    assert_eq!([syn, TcpFlags::ACK, syn | TcpFlags::ACK, syn].map(&mut with), [false, false, true, false]);
}
