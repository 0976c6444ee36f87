use std::num::NonZeroU16;

use netstack_wire::ip;
use netstack_wire::tcp::{self, TcpFlags, TcpHeader};
use proptest::prelude::*;

use super::*;
use crate::Gso;
use crate::testing::packet;

fn pieces(head: &HeadBuf, payload: &[Bytes], meta: Meta) -> Vec<Bytes> {
    let mut segments = segment(head.as_slice(), payload, meta).unwrap();
    let (mut head, mut slices, mut out) = (HeadBuf::new(), Vec::new(), Vec::new());
    let expected = segments.remaining();
    while segments.next_into(&mut head, &mut slices) {
        out.push(gather(head.as_slice(), &slices));
    }
    assert_eq!((out.len(), segments.remaining()), (expected, 0));
    out
}

fn chunks() -> impl Strategy<Value = Vec<Bytes>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000).prop_map(Bytes::from), 1..20)
}

proptest! {
    #[test]
    fn a_super_segment_becomes_valid_packets_of_the_same_bytes(
        v6: bool, dont_fragment: bool, payload in chunks(), mss in 1..2000u16,
    ) {
        let mss = NonZeroU16::new(mss.max(64)).unwrap();
        let (mut head, meta) = packet::tcp(v6, &payload, Some(mss));
        if !v6 && !dont_fragment {
            let head = head.as_mut_slice();
            head[6] &= !0x40;
            put_u16(head, 4, u16::MAX);
        }
        let whole = payload.concat();
        prop_assume!(meta.gso.is_some());
        let out = pieces(&head, &payload, meta);
        prop_assert_eq!(out.len(), whole.len().div_ceil(usize::from(mss.get())));
        let (mut seq, mut joined) = (None, Vec::new());
        for (i, data) in out.iter().enumerate() {
            // Verifies the IPv4 header checksum.
            let packet = ip::parse(data).unwrap();
            prop_assert_eq!(packet.total_len, data.len());
            prop_assert!(tcp::checksum_ok(packet.src, packet.dst, packet.payload));
            let (header, len) = TcpHeader::parse(packet.payload).unwrap();
            let (first, last) = (i == 0, i + 1 == out.len());
            prop_assert_eq!(header.flags.contains(TcpFlags::FIN), last);
            prop_assert_eq!(header.flags.contains(TcpFlags::PSH), last);
            prop_assert_eq!(header.flags.contains(TcpFlags::CWR), first);
            prop_assert!(header.flags.contains(TcpFlags::ACK));
            prop_assert_eq!(header.options.timestamps, Some(tcp::Timestamps { val: 1, ecr: 2 }));
            prop_assert_eq!(header.seq, *seq.get_or_insert(header.seq) + joined.len() as u32);
            if !v6 {
                let id = u16::from_be_bytes([data[4], data[5]]);
                prop_assert_eq!(id, if dont_fragment { 0 } else { u16::MAX.wrapping_add(i as u16) });
            }
            let payload = &packet.payload[len..];
            prop_assert!(last || payload.len() == usize::from(mss.get()));
            joined.extend_from_slice(payload);
        }
        prop_assert_eq!(joined, whole);
        let received = gather(head.as_slice(), &payload);
        let again: Vec<Bytes> = segment_received(&received, meta).unwrap().collect();
        prop_assert_eq!(again, out, "a reader cuts the same frame into the same packets");
    }

    #[test]
    fn a_partial_checksum_is_finished(v6: bool, payload in chunks()) {
        let (mut head, mut meta) = packet::tcp(v6, &payload, None);
        let [only] = pieces(&head, &payload, meta).try_into().unwrap();
        complete_checksum(head.as_mut_slice(), &payload, &mut meta).unwrap();
        prop_assert_eq!(meta, Meta::default());
        let data = gather(head.as_slice(), &payload);
        prop_assert_eq!(&data, &only);
        let packet = ip::parse(&data).unwrap();
        prop_assert!(tcp::checksum_ok(packet.src, packet.dst, packet.payload));
        complete_checksum(head.as_mut_slice(), &payload, &mut meta).unwrap();
        prop_assert_eq!(data, gather(head.as_slice(), &payload), "a finished frame is left alone");
    }

    #[test]
    fn any_bytes_and_metadata_are_cut_or_refused(
        data in prop::collection::vec(any::<u8>(), 0..200), start: u16, offset: u16, kind in 0..3u8, size: NonZeroU16,
        nibble in 0..3u8,
    ) {
        let mut data = data;
        if let Some(first) = data.first_mut() {
            *first = [*first, 0x45, 0x60][usize::from(nibble)];
        }
        let kind = [GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp][usize::from(kind)];
        let data = Bytes::from(data);
        for gso in [None, Some(Gso { kind, size, ecn: false })] {
            let meta = Meta { checksum: Checksum::Partial { start, offset }, gso };
            if let Ok(pieces) = segment_received(&data, meta) {
                let total: usize = pieces.map(|piece| piece.len()).sum();
                prop_assert!(total >= data.len());
            }
        }
    }
}

#[test]
fn a_super_datagram_becomes_datagrams() {
    let payload = [Bytes::from(vec![7; 2500])];
    let (mut head, data) = packet::datagram(0, 2528);
    assert_eq!(data.len(), payload[0].len());
    head.as_mut_slice()[26..28].fill(0);
    let gso = Some(Gso { kind: GsoKind::Udp, size: NonZeroU16::new(1000).unwrap(), ecn: false });
    let out = pieces(&head, &payload, Meta { checksum: Checksum::Complete, gso });
    assert_eq!(out.iter().map(Bytes::len).collect::<Vec<_>>(), [1028, 1028, 528]);
    for data in out {
        let packet = ip::parse(&data).unwrap();
        let udp = packet.payload;
        assert_eq!(usize::from(u16::from_be_bytes([udp[4], udp[5]])), udp.len());
        let mut sum = pseudo_header(packet.src, packet.dst, UDP, udp.len() as u32);
        sum.add(udp);
        assert_eq!(sum.finish(), 0);
        assert_ne!(udp[6..8], [0, 0], "a sum of zero would mean that there is none");
    }
}

#[test]
fn metadata_that_does_not_fit_is_refused() {
    let payload = [Bytes::from(vec![0; 2000])];
    let (head, meta) = packet::tcp(false, &payload, NonZeroU16::new(500));
    let as_v6 = Meta { gso: meta.gso.map(|gso| Gso { kind: GsoKind::Tcp6, ..gso }), ..meta };
    let refused = |head: &[u8], meta| segment(head, &payload[..], meta).unwrap_err();
    assert_eq!(refused(head.as_slice(), as_v6), OffloadError::Headers);
    assert_eq!(refused(&head.as_slice()[..40], meta), OffloadError::Headers, "a cut header");
    assert_eq!(refused(&[], meta), OffloadError::Headers);
    let outside = Meta { checksum: Checksum::Partial { start: 40, offset: 16 }, gso: None };
    assert_eq!(refused(head.as_slice(), outside), OffloadError::ChecksumOutside);
    let long = [Bytes::from(vec![0; 65_535])];
    let long = segment(head.as_slice(), &long[..], meta);
    assert_eq!(long.unwrap_err(), OffloadError::TooLong);
}
