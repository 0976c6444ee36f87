//! Cutting a super-segment into the segments that go over the wire.

use bytes::{Bytes, BytesMut};
use netstack_tcp::{Segment, Transmit};
use netstack_wire::tcp::TcpFlags;

/// Calls `emit` with each wire segment of `transmit`, whose payload lies in `slices`. The header rules are those of
/// segmentation offload: sequence numbers move on, FIN and PSH stay on the last segment, CWR on the first.
pub(crate) fn cut(transmit: &Transmit, slices: &[Bytes], mut emit: impl FnMut(Segment)) {
    let total = transmit.payload_len;
    let size = if transmit.gso_size == 0 { total } else { usize::from(transmit.gso_size) };
    let mut cursor = Cursor { slices, offset: 0 };
    let mut sent = 0;
    loop {
        let len = size.min(total - sent);
        let mut header = transmit.header;
        header.seq += sent as u32;
        if sent > 0 {
            header.flags = header.flags.without(TcpFlags::CWR);
        }
        if sent + len < total {
            header.flags = header.flags.without(TcpFlags::FIN | TcpFlags::PSH);
        }
        emit(Segment { header, payload: cursor.take(len), ecn: transmit.ecn, gso_size: 0 });
        sent += len;
        if sent == total {
            return;
        }
    }
}

/// Takes pieces off a list of slices; copies only where a piece spans two of them.
struct Cursor<'a> {
    slices: &'a [Bytes],
    offset: usize,
}

impl Cursor<'_> {
    fn take(&mut self, len: usize) -> Bytes {
        let Some(first) = self.slices.first() else { return Bytes::new() };
        if first.len() - self.offset > len {
            let piece = first.slice(self.offset..self.offset + len);
            self.offset += len;
            return piece;
        }
        if first.len() - self.offset == len {
            let piece = first.slice(self.offset..);
            self.slices = &self.slices[1..];
            self.offset = 0;
            return piece;
        }
        self.gather(len)
    }

    fn gather(&mut self, len: usize) -> Bytes {
        let mut piece = BytesMut::with_capacity(len);
        while piece.len() < len {
            let Some(first) = self.slices.first() else { break };
            let part = (first.len() - self.offset).min(len - piece.len());
            piece.extend_from_slice(&first[self.offset..self.offset + part]);
            self.offset += part;
            if self.offset == first.len() {
                self.slices = &self.slices[1..];
                self.offset = 0;
            }
        }
        piece.freeze()
    }
}

#[cfg(test)]
mod tests;
