use std::num::NonZeroU16;

use proptest::prelude::*;

use super::{LEN, decode, encode};
use crate::{Checksum, Gso, GsoKind, Meta};

fn roundtrip(meta: Meta, frame: &[u8]) -> Option<Meta> {
    let mut header = [0xff; LEN];
    encode(meta, 40, &mut header);
    decode(&header, frame)
}

fn super_segment(kind: GsoKind, ecn: bool) -> Meta {
    let checksum = Checksum::Partial { start: 20, offset: 16 };
    Meta { checksum, gso: NonZeroU16::new(1448).map(|size| Gso { kind, size, ecn }) }
}

#[test]
fn metadata_comes_back_as_it_was_sent() {
    let v4 = [0x45; 100];
    let v6 = [0x60; 100];
    assert_eq!(roundtrip(Meta::default(), &v4), Some(Meta::default()));
    for ecn in [false, true] {
        let meta = super_segment(GsoKind::Tcp4, ecn);
        assert_eq!(roundtrip(meta, &v4), Some(meta));
        let meta = super_segment(GsoKind::Tcp6, ecn);
        assert_eq!(roundtrip(meta, &v6), Some(meta));
    }
    let meta = super_segment(GsoKind::Udp, false);
    assert_eq!((roundtrip(meta, &v4), roundtrip(meta, &v6)), (Some(meta), Some(meta)));
}

#[test]
fn the_layout_is_that_of_the_kernel() {
    let mut header = [0; LEN];
    encode(super_segment(GsoKind::Tcp6, true), 72, &mut header);
    let number = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    assert_eq!(header[..2], [1, 0x84]);
    assert_eq!([number(2), number(4), number(6), number(8)], [72, 1448, 20, 16]);
}

/// Super-datagrams are asked for first, and given up where a kernel before 6.2 refuses them; half of them is none.
#[test]
fn what_the_kernel_grants_is_what_is_offered() {
    let granted = super::WISHES.map(super::offloads);
    assert_eq!(granted[0], crate::Offloads::ALL);
    assert_eq!(granted[1], crate::Offloads { uso: false, ..crate::Offloads::ALL });
    assert!(!super::offloads(super::WISHES[1] | super::OFFLOAD_USO4).uso);
}

#[test]
fn contradictions_are_refused() {
    let v4 = [0x45; 100];
    // The checksum lies behind the frame's end.
    assert_eq!(roundtrip(super_segment(GsoKind::Tcp4, false), &v4[..37]), None);
    // The kind does not fit the version.
    assert_eq!(roundtrip(super_segment(GsoKind::Tcp6, false), &v4), None);
    // A super-segment has no checksum that could be verified.
    let meta = Meta { checksum: Checksum::Complete, ..super_segment(GsoKind::Tcp4, false) };
    assert_eq!(roundtrip(meta, &v4), None);
    // Segments of no size.
    let mut header = [0; LEN];
    encode(super_segment(GsoKind::Tcp4, false), 40, &mut header);
    header[4..6].fill(0);
    assert_eq!(decode(&header, &v4), None);
    // UFO, which was never asked for.
    header[1] = 3;
    assert_eq!(decode(&header, &v4), None);
}

proptest! {
    #[test]
    fn any_header_before_any_frame_is_judged_without_panic(header: [u8; LEN], frame: Vec<u8>) {
        if let Some(Meta { checksum: Checksum::Partial { start, offset }, .. }) = decode(&header, &frame) {
            prop_assert!(usize::from(start) + usize::from(offset) + 2 <= frame.len());
        }
    }
}
