//! A peer made of headers alone: it answers as TCP would where nothing is ever lost, and costs next to nothing.

mod crowd;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use netstack_device::{Checksum, Device, HeadBuf, Meta, RxBatch, RxFrame, RxQueue, Turn, TxFrame, TxQueue};
use netstack_wire::tcp::{TcpFlags, TcpHeader, write_checksum};
use netstack_wire::{Protocol, SeqNum, ip};

pub use crowd::Crowd;

/// The first of the peer's addresses; each carries [`PORTS`] connections.
const FIRST: [u8; 4] = [192, 0, 2, 100];

/// Connections per address of the peer.
const PORTS: usize = 60_000;

/// The lowest port used.
const FIRST_PORT: usize = 2_000;

/// Connections that the peer's addresses suffice for.
pub const MOST: usize = 100 * PORTS;

const MSS: u16 = 1460;
const WINDOW: u16 = u16::MAX;

/// Both sequence numbers of a connection.
#[derive(Copy, Clone, Debug)]
struct Place {
    next: SeqNum,
    expected: SeqNum,
}

/// The peer, with the other half of the device of the stack that is measured.
pub struct Peer {
    rx: Box<dyn RxQueue>,
    tx: Arc<dyn TxQueue>,
    server: SocketAddr,
    places: Vec<Place>,
    batch: RxBatch,
    arrived: VecDeque<RxFrame>,
    head: HeadBuf,
    turn: Turn,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("connections", &self.places.len()).finish_non_exhaustive()
    }
}

impl Peer {
    /// A peer without connections; `server` is where it connects to.
    ///
    /// # Errors
    /// What the device reports, or that it has no queue.
    pub fn new(device: impl Device, server: SocketAddr) -> io::Result<Self> {
        let (queues, tx) = Box::new(device).split()?;
        let rx = queues.into_iter().next().ok_or_else(|| io::Error::other("a device without a queue"))?;
        Ok(Self {
            rx,
            tx,
            server,
            places: Vec::new(),
            batch: RxBatch::new(),
            arrived: VecDeque::new(),
            head: HeadBuf::new(),
            turn: Turn::default(),
        })
    }

    /// Opens one more connection; returns when the last ACK of its handshake is sent.
    ///
    /// # Errors
    /// More than [`MOST`] connections, a device that takes nothing, or an answer that is no SYN-ACK.
    pub async fn connect(&mut self) -> io::Result<()> {
        let index = self.places.len();
        if index >= MOST {
            return Err(io::Error::other(format!("the peer has addresses for {MOST} connections")));
        }
        self.places.push(Place { next: SeqNum(index as u32), expected: SeqNum(0) });
        self.send(index, TcpFlags::SYN, Bytes::new())?;
        let (answered, header, _) = self.receive().await?;
        if answered != index || header.flags != TcpFlags::SYN | TcpFlags::ACK {
            return Err(io::Error::other(format!("no SYN-ACK for connection {index} but {header:?}")));
        }
        self.send(index, TcpFlags::ACK, Bytes::new())
    }

    /// Sends `request` over connection `index`, of those opened.
    ///
    /// # Errors
    /// A device that takes nothing.
    pub fn request(&mut self, index: usize, request: Bytes) -> io::Result<()> {
        self.send(index, TcpFlags::PSH | TcpFlags::ACK, request)
    }

    /// Waits until `len` bytes have come over connection `index`, and acknowledges them at once.
    ///
    /// # Errors
    /// A device that is gone, or data of another connection.
    pub async fn answer(&mut self, index: usize, len: usize) -> io::Result<()> {
        let mut got = 0;
        while got < len {
            let (of, _, payload) = self.receive().await?;
            if payload > 0 && of != index {
                return Err(io::Error::other(format!("data over connection {of}, awaited over {index}")));
            }
            got += payload;
        }
        self.send(index, TcpFlags::ACK, Bytes::new())
    }

    fn send(&mut self, index: usize, flags: TcpFlags, payload: Bytes) -> io::Result<()> {
        let from = address(index);
        let place = &mut self.places[index];
        let mut header = TcpHeader {
            src_port: from.port(),
            dst_port: self.server.port(),
            seq: place.next,
            ack: place.expected,
            flags,
            window: WINDOW,
            ..TcpHeader::default()
        };
        if flags.contains(TcpFlags::SYN) {
            header.options.mss = Some(MSS);
        }
        place.next += header.seg_len(payload.len());
        self.emit(from, &header, payload, index as u32)
    }

    /// Sends a reset from a host without connections, which earns no answer.
    ///
    /// # Errors
    /// A device that takes nothing.
    pub fn stray(&mut self, port: u16) -> io::Result<()> {
        let from = SocketAddr::from(([192, 0, 2, 99], port.max(1)));
        let header = TcpHeader {
            src_port: from.port(),
            dst_port: self.server.port(),
            flags: TcpFlags::RST,
            ..TcpHeader::default()
        };
        self.emit(from, &header, Bytes::new(), u32::from(port))
    }

    fn emit(&mut self, from: SocketAddr, header: &TcpHeader, payload: Bytes, flow: u32) -> io::Result<()> {
        let len = header.header_len();
        let outer = ip::IpHeader::new(from.ip(), self.server.ip(), Protocol::TCP, len + payload.len());
        self.head.clear();
        self.head.push(outer.header_len(), |buf| {
            outer.emit(buf);
        });
        self.head.push(len, |buf| {
            header.emit(buf);
            write_checksum(outer.src, outer.dst, buf, [&payload]);
        });
        let meta = Meta { checksum: Checksum::Complete, gso: None };
        let frame = TxFrame { head: &mut self.head, payload: &[payload], meta, flow };
        self.tx.try_send(frame, &mut self.turn).map_err(|e| io::Error::other(format!("{e:?}")))
    }

    /// The next segment: its connection, its header and the length of its payload.
    async fn receive(&mut self) -> io::Result<(usize, TcpHeader, usize)> {
        while self.arrived.is_empty() {
            let (rx, batch) = (&mut self.rx, &mut self.batch);
            poll_fn(|cx| rx.poll_recv(cx, batch)).await?;
            self.arrived.extend(batch.drain());
        }
        let frame = self.arrived.pop_front().expect("the loop ends with a frame");
        let packet = ip::parse(&frame.data).map_err(io::Error::other)?;
        let (header, len) = TcpHeader::parse(packet.payload).map_err(io::Error::other)?;
        let payload = packet.payload.len() - len;
        let index = index(packet.dst, header.dst_port);
        let place = index.and_then(|index| self.places.get_mut(index));
        let (Some(index), Some(place)) = (index, place) else {
            return Err(io::Error::other(format!("a segment to {}:{}", packet.dst, header.dst_port)));
        };
        let end = header.seq + header.seg_len(payload);
        if header.flags.contains(TcpFlags::SYN) || place.expected.before(end) {
            place.expected = end;
        }
        Ok((index, header, payload))
    }
}

/// The peer's end of a connection.
fn address(index: usize) -> SocketAddr {
    let [a, b, c, d] = FIRST;
    // `MOST` keeps the last octet below 200.
    let host = Ipv4Addr::new(a, b, c, d + (index / PORTS) as u8);
    SocketAddr::from((host, (FIRST_PORT + index % PORTS) as u16))
}

/// The inverse of [`address`].
fn index(address: IpAddr, port: u16) -> Option<usize> {
    let IpAddr::V4(address) = address else { return None };
    let host = usize::from(address.octets()[3].checked_sub(FIRST[3])?);
    Some(host * PORTS + usize::from(port).checked_sub(FIRST_PORT)?)
}

#[cfg(test)]
mod tests;
