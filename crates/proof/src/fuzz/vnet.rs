//! Frames of a TUN device with IFF_VNET_HDR: the header, the frame behind it, and the cutting of super-segments.

use bytes::Bytes;
use netstack_device::{HeadBuf, complete_checksum, segment_received};
use netstack_wire::ip;

use crate::vnet as header;

/// Most octets of payload that are cut: more only costs time.
const MOST: usize = 1 << 16;

/// What is read from the device.
pub fn vnet(data: &[u8]) {
    let Some((front, frame)) = data.split_first_chunk::<{ header::LEN }>() else { return };
    let frame = &frame[..frame.len().min(MOST)];
    let Some(meta) = header::decode(front, frame) else { return };
    let mut again = [0; header::LEN];
    header::encode(meta, 0, &mut again);
    let decoded = header::decode(&again, frame);
    // Of a checksum that the device vouches for nothing is written.
    assert_eq!(
        decoded.map(|decoded| decoded.gso),
        if meta.gso.is_some() && again[0] == 0 { None } else { Some(meta.gso) }
    );
    let frame = Bytes::copy_from_slice(frame);
    if let Ok(pieces) = segment_received(&frame, meta) {
        let mut octets = 0;
        for piece in pieces {
            octets += piece.len();
            assert!(piece.len() <= frame.len().max(HeadBuf::CAPACITY));
            let _ = ip::parse(&piece);
        }
        assert!(octets >= frame.len(), "nothing gets lost");
    }
    let cut = frame.len().min(HeadBuf::CAPACITY);
    let (mut head, mut meta) = (frame[..cut].to_vec(), meta);
    let before = head.clone();
    if complete_checksum(&mut head, &[frame.slice(cut..)], &mut meta).is_err() {
        assert_eq!(head, before, "what cannot be finished is left alone");
    }
}
