//! Deciding packet by packet what a link does.

use std::cell::OnceCell;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use netstack_tcp::Instant;
use netstack_wire::ip::{self, IpPacket};
use netstack_wire::tcp::{self, TcpHeader};
use netstack_wire::{Protocol, SeqNum};

/// What a policy has a link do with a packet, before the link's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on as it is.
    Pass,
    /// Is gone.
    Drop,
    /// Reaches the queue so much later, so that others overtake it.
    Delay(Duration),
    /// Goes on twice.
    Duplicate,
    /// These bytes go on in its place.
    Replace(Bytes),
}

/// A packet as a policy sees it.
pub struct PacketView<'a> {
    at: Instant,
    bytes: &'a Bytes,
    ip: Option<IpPacket<'a>>,
    tcp: OnceCell<Option<(TcpHeader, usize)>>,
}

impl<'a> PacketView<'a> {
    pub(super) fn new(at: Instant, bytes: &'a Bytes) -> Self {
        Self { at, bytes, ip: ip::parse(bytes).ok(), tcp: OnceCell::new() }
    }

    /// When it was given to the link, since the start of the network.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// The whole IP packet.
    pub fn bytes(&self) -> &'a Bytes {
        self.bytes
    }

    /// Its IP header and payload; `None` if it cannot be read.
    pub fn ip(&self) -> Option<&IpPacket<'a>> {
        self.ip.as_ref()
    }

    /// Its TCP header; `None` if it is no TCP, or not the first piece of a datagram.
    pub fn tcp(&self) -> Option<&TcpHeader> {
        self.segment().map(|(header, _)| header)
    }

    /// What TCP carries in it; empty if nothing, or it is no TCP.
    pub fn payload(&self) -> &'a [u8] {
        match (&self.ip, self.segment()) {
            (Some(ip), Some((_, start))) => &ip.payload[*start..],
            _ => &[],
        }
    }

    /// Whether it is a TCP segment with data.
    pub fn has_data(&self) -> bool {
        !self.payload().is_empty()
    }

    /// The sequence number behind the segment, if it is one.
    pub fn seq_end(&self) -> Option<SeqNum> {
        self.tcp().map(|header| header.seq + header.seg_len(self.payload().len()))
    }

    /// The packet with its TCP header changed by `change` and the checksum made right; `None` if it is no TCP segment. Over
    /// [`Verdict::Replace`] it takes the packet's place.
    pub fn with_tcp(&self, change: impl FnOnce(&mut TcpHeader)) -> Option<Bytes> {
        let ip = self.ip.as_ref()?;
        let mut header = *self.tcp()?;
        change(&mut header);
        let payload = self.payload();
        let mut emitted = [0; tcp::MAX_HEADER_LEN];
        let len = header.emit(&mut emitted);
        tcp::write_checksum(ip.src, ip.dst, &mut emitted[..len], [payload]);
        let mut packet = self.bytes[..ip.header_len].to_vec();
        packet.extend_from_slice(&emitted[..len]);
        packet.extend_from_slice(payload);
        super::packet::set_len(&mut packet);
        Some(packet.into())
    }

    fn segment(&self) -> Option<&(TcpHeader, usize)> {
        let read = || {
            let ip = self.ip.as_ref()?;
            let whole_header = ip.protocol == Protocol::TCP && ip.fragment.is_none_or(|it| it.offset == 0);
            if whole_header { TcpHeader::parse(ip.payload).ok() } else { None }
        };
        self.tcp.get_or_init(read).as_ref()
    }
}

impl fmt::Debug for PacketView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketView")
            .field("at", &self.at)
            .field("ip", &self.ip)
            .field("tcp", &self.tcp())
            .finish_non_exhaustive()
    }
}

/// A policy as the links keep it.
pub(super) type Policy = Box<dyn FnMut(&PacketView<'_>) -> Verdict + Send>;

/// Drops the packet that is the `nth` for which `matches` holds, counted from 1, and no other.
pub(super) fn drop_nth(
    nth: u64,
    mut matches: impl FnMut(&PacketView<'_>) -> bool + Send + 'static,
) -> Policy {
    assert!(nth > 0, "the first packet has the number 1");
    let mut seen = 0;
    Box::new(move |packet| {
        if seen < nth && matches(packet) {
            seen += 1;
            if seen == nth {
                return Verdict::Drop;
            }
        }
        Verdict::Pass
    })
}
