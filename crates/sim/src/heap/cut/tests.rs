use bytes::Bytes;
use netstack_tcp::{Segment, Transmit};
use netstack_wire::tcp::{TcpFlags, TcpHeader, TcpOptions};
use netstack_wire::{Ecn, SeqNum};

use super::cut;

fn transmit(payload_len: usize, gso_size: u16) -> Transmit {
    let flags = TcpFlags::ACK | TcpFlags::PSH | TcpFlags::FIN | TcpFlags::CWR;
    let header = TcpHeader {
        src_port: 1,
        dst_port: 2,
        // The cut crosses the wrap.
        seq: SeqNum(u32::MAX - 9),
        ack: SeqNum(7),
        flags,
        window: 100,
        urgent: 0,
        options: TcpOptions::default(),
    };
    Transmit { header, payload_len, gso_size, ecn: Ecn::Ect0, dscp: 0, hop_limit: 64 }
}

fn pieces(transmit: &Transmit, slices: &[Bytes]) -> Vec<Segment> {
    let mut segments = Vec::new();
    cut(transmit, slices, |segment| segments.push(segment));
    segments
}

#[test]
fn sequence_numbers_and_flags_follow_the_rules_of_segmentation_offload() {
    let bytes: Bytes = (0..25u8).collect();
    let segments = pieces(&transmit(25, 10), std::slice::from_ref(&bytes));
    let seqs: Vec<_> = segments.iter().map(|s| s.header.seq.0).collect();
    assert_eq!(seqs, [u32::MAX - 9, 0, 10]);
    let flags: Vec<_> = segments.iter().map(|s| s.header.flags).collect();
    assert_eq!(
        flags,
        [TcpFlags::ACK | TcpFlags::CWR, TcpFlags::ACK, TcpFlags::ACK | TcpFlags::PSH | TcpFlags::FIN]
    );
    assert!(segments.iter().all(|s| s.gso_size == 0 && s.ecn == Ecn::Ect0 && s.header.ack == SeqNum(7)));
    let joined: Vec<u8> = segments.iter().flat_map(|s| s.payload.to_vec()).collect();
    assert_eq!(joined, bytes);
}

#[test]
fn pieces_span_slices_of_any_length() {
    let bytes: Vec<u8> = (0..100).collect();
    for size in 1..=100 {
        for slice in 1..=100 {
            let slices: Vec<Bytes> = bytes.chunks(slice).map(Bytes::copy_from_slice).collect();
            let segments = pieces(&transmit(100, size), &slices);
            assert_eq!(segments.len(), 100usize.div_ceil(usize::from(size)));
            assert!(segments[..segments.len() - 1].iter().all(|s| s.payload.len() == usize::from(size)));
            assert_eq!(segments.iter().flat_map(|s| s.payload.to_vec()).collect::<Vec<_>>(), bytes);
        }
    }
}

#[test]
fn a_transmission_without_payload_or_cut_stays_whole() {
    let segments = pieces(&transmit(0, 0), &[]);
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].header.flags, transmit(0, 0).header.flags);
    let whole = pieces(&transmit(3, 0), &[Bytes::from_static(b"abc")]);
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].payload, "abc");
}
