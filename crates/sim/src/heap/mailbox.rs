//! What has arrived at an endpoint that takes its turns late, as a task does that waits for its thread.

use std::collections::VecDeque;

use bytes::BytesMut;
use netstack_tcp::{Instant, MAX_PAYLOAD, Segment};
use netstack_wire::tcp::TcpFlags;

/// Segments in order of arrival, each with its time.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    segments: VecDeque<(Instant, Segment)>,
}

impl Mailbox {
    pub(crate) fn push(&mut self, at: Instant, segment: Segment) {
        self.segments.push_back((at, segment));
    }

    /// Takes the first segment out; with `merge`, those behind it that continue it become part of it, as a device with
    /// receive offload does it. The super-segment has the time of its last part.
    pub(crate) fn pop(&mut self, merge: bool) -> Option<(Instant, Segment)> {
        let (mut at, mut segment) = self.segments.pop_front()?;
        if !merge {
            return Some((at, segment));
        }
        let size = segment.payload.len();
        let mut payload = BytesMut::new();
        while let Some((_, next)) = self.segments.front() {
            if !continues(&segment, size, payload.len().max(size), next) {
                break;
            }
            let Some((later, next)) = self.segments.pop_front() else { break };
            if payload.is_empty() {
                payload.extend_from_slice(&segment.payload);
            }
            payload.extend_from_slice(&next.payload);
            at = later;
            segment.header.flags = next.header.flags;
            if next.payload.len() < size {
                break;
            }
        }
        if !payload.is_empty() {
            segment.payload = payload.freeze();
            segment.gso_size = size as u16;
        }
        Some((at, segment))
    }
}

/// Whether `next` is the continuation of `first`, whose parts are of `size` bytes, `len` so far.
fn continues(first: &Segment, size: usize, len: usize, next: &Segment) -> bool {
    let (header, after) = (&first.header, &next.header);
    let plain = TcpFlags::ACK;
    header.flags == plain
        && after.flags.without(TcpFlags::PSH) == plain
        && after.seq == header.seq + len as u32
        && (after.ack, after.window, after.options) == (header.ack, header.window, header.options)
        && (1..=size).contains(&next.payload.len())
        && len + next.payload.len() <= MAX_PAYLOAD
        && first.ecn == next.ecn
}

#[cfg(test)]
mod tests;
