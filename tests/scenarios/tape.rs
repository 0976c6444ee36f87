//! Every segment of one link in one line each, with relative sequence numbers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netstack_sim::net::{Observer, PacketEvent, What};
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::{Protocol, SeqNum, ip};

/// A recording of the TCP segments that hosts sent; clones are of the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Arc<Mutex<Reel>>);

#[derive(Debug, Default)]
struct Reel {
    segments: Vec<Seen>,
    /// The first sequence number that each end used.
    starts: BTreeMap<(SocketAddr, SocketAddr), SeqNum>,
}

/// A segment, when it was given to its first link.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Duration,
    pub(crate) header: TcpHeader,
    /// The line that tells of it.
    pub(crate) line: String,
    packet: u64,
}

impl Observer for Tape {
    fn packet(&mut self, event: &PacketEvent<'_>) {
        let mut reel = self.0.lock().unwrap();
        match event.what {
            What::Sent => reel.sent(event),
            What::Dropped(_) => {
                if let Some(seen) = reel.segments.iter_mut().rev().find(|seen| seen.packet == event.packet) {
                    seen.line.push_str(" lost");
                }
            }
            _ => {}
        }
    }
}

impl Reel {
    fn sent(&mut self, event: &PacketEvent<'_>) {
        let Ok(packet) = ip::parse(event.bytes) else { return };
        if packet.protocol != Protocol::TCP || packet.hop_limit < 64 {
            return;
        }
        let Ok((header, header_len)) = TcpHeader::parse(packet.payload) else { return };
        let (src, dst) =
            (SocketAddr::new(packet.src, header.src_port), SocketAddr::new(packet.dst, header.dst_port));
        if header.flags.contains(TcpFlags::SYN) {
            self.starts.insert((src, dst), header.seq);
        }
        let since = |number: SeqNum, from, to| match self.starts.get(&(from, to)) {
            Some(&start) => number.distance_from(start),
            None => number.0,
        };
        let mut line = format!("{} {} seq {}", name(src), header.flags, since(header.seq, src, dst));
        if header.flags.contains(TcpFlags::ACK) {
            line += &format!(" ack {}", since(header.ack, dst, src));
        }
        let len = packet.payload.len() - header_len;
        if len > 0 {
            line += &format!(" len {len}");
        }
        let at = Duration::from_nanos(event.at.as_nanos());
        self.segments.push(Seen { at, header, line, packet: event.packet });
    }
}

/// The client's addresses end in 1.
fn name(addr: SocketAddr) -> &'static str {
    if addr.ip().to_string().ends_with(".1") || addr.ip().to_string().ends_with("::1") {
        "client"
    } else {
        "server"
    }
}

impl Tape {
    /// All segments so far.
    pub(crate) fn segments(&self) -> Vec<Seen> {
        self.0.lock().unwrap().segments.clone()
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.segments().into_iter().map(|seen| seen.line).collect()
    }

    /// Segments so far of which the line begins with `start`.
    pub(crate) fn matching(&self, start: &str) -> Vec<Seen> {
        self.segments().into_iter().filter(|seen| seen.line.starts_with(start)).collect()
    }

    /// Forgets what was seen; numbers stay relative to the same starts.
    pub(crate) fn rewind(&self) {
        self.0.lock().unwrap().segments.clear();
    }
}
