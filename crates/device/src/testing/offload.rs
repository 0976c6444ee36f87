//! Frames with metadata, and frames that cannot be sent.

use std::num::NonZeroU16;

use bytes::Bytes;

use super::{End, Make, packet, within};
use crate::{Checksum, HeadBuf, Meta, SendError, segment_received};

/// Frames that need an offload each: a partial checksum, super-segments and super-datagrams of both families.
fn unfinished() -> Vec<(HeadBuf, Bytes, Meta)> {
    let payload = Bytes::from_iter((0..5000u32).map(|i| i as u8));
    let mss = NonZeroU16::new(1000);
    let mut frames = Vec::new();
    for v6 in [false, true] {
        for payload in [payload.slice(..1000), payload.clone()] {
            let (head, meta) = packet::tcp(v6, std::slice::from_ref(&payload), mss);
            frames.push((head, payload, meta));
        }
        if let Some(size) = mss {
            let (head, meta) = packet::super_datagram(v6, std::slice::from_ref(&payload), size);
            frames.push((head, payload.clone(), meta));
        }
    }
    frames
}

pub(super) async fn what_is_not_offered_is_refused(make: &mut impl Make) {
    let (mut end, mut peer) = End::pair(make, 64);
    let _pumps = (end.pump(), peer.pump());
    let mut refused = 0;
    for (head, payload, meta) in unfinished() {
        if !end.caps.tx.accept(meta) {
            let sent = end.send(&head, &[payload], meta).await;
            let right = matches!(sent, Err(SendError::Offload));
            assert!(right, "conformance: a frame that needs what `tx` lacks is refused as such: {sent:?}");
            refused += 1;
        }
    }
    let counted = end.tx.counters().tx_offload_refused;
    assert_eq!(counted, refused, "conformance: refusals of unfinished frames are counted");
}

pub(super) async fn metadata_arrives_or_is_made_good(make: &mut impl Make) {
    const RULE: &str = "a frame arrives as it was sent where `rx` takes it, else finished";
    let (mut end, mut peer) = End::pair(make, 64);
    let (_out, arrivals) = (end.pump(), peer.pump());
    let mut expected = Vec::new();
    for (head, payload, meta) in unfinished() {
        if !end.caps.tx.accept(meta) {
            continue;
        }
        let data = Bytes::from([head.as_slice(), &payload].concat());
        within(RULE, end.send(&head, &[payload], meta)).await.expect("an offered offload is kept");
        if peer.caps.rx.accept(meta) {
            expected.push((data, meta));
        } else {
            let pieces = segment_received(&data, meta).expect("the frame is well-formed");
            expected.extend(pieces.map(|piece| (piece, Meta::default())));
        }
    }
    let frames = arrivals.frames(expected.len(), RULE).await;
    assert_eq!(frames.len(), expected.len(), "conformance: {RULE}");
    for (frame, (data, meta)) in frames.into_iter().zip(expected) {
        assert_eq!(frame.data, data, "conformance: {RULE}");
        let trusted = meta.checksum == Checksum::Complete && frame.meta.checksum == Checksum::Trusted;
        assert!(trusted || frame.meta == meta, "conformance: {RULE}: {:?} became {:?}", meta, frame.meta);
    }
}

pub(super) async fn what_is_lost_is_counted(make: &mut impl Make) {
    const RULE: &str = "each frame taken arrives, or a counter moves";
    const FRAMES: u64 = 300;
    let (mut end, mut peer) = End::pair(make, 16);
    let (_out, arrivals) = (end.pump(), peer.pump());
    let (head, payload) = packet::datagram(0, end.caps.mtu + 1);
    for (head, payload) in [(head, vec![payload]), (HeadBuf::new(), vec![])] {
        let sent = end.send(&head, &payload, Meta::default()).await;
        let lost = matches!(sent, Err(SendError::Lost(_)));
        assert!(lost, "conformance: a frame that is empty or longer than the MTU is lost, not: {sent:?}");
    }
    assert_eq!(end.tx.counters().tx_lost, 2, "conformance: lost frames are counted");
    for serial in 0..FRAMES {
        let (head, payload) = packet::datagram(serial, 64);
        within(RULE, end.send(&head, &[payload], Meta::default())).await.expect("a plain frame is sent");
    }
    let frames = arrivals.frames(FRAMES as usize, RULE).await.len() as u64;
    let (sent, received) = (end.tx.counters(), peer.tx.counters());
    assert_eq!((frames, sent.tx_frames, sent.tx_bytes), (FRAMES, FRAMES, 64 * FRAMES), "conformance: {RULE}");
    assert_eq!((received.rx_frames, received.rx_bytes), (FRAMES, 64 * FRAMES), "conformance: {RULE}");
}
