//! The ceiling of the device path: the least TCP that moves data, over this project's TUN device.
//!
//! It does the handshake, keeps to the client's window, and acknowledges what came in order. It has no timer, no
//! retransmission and no congestion control, and its application is a constant. What a stack gives beside it is a share
//! of the limit that device and kernel set.

mod flow;

use std::collections::HashMap;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::Bytes;
use netstack_bench_services::{PORT, Service, ready, until_the_parent_ends};
use netstack_device::{
    Checksum, Device, Gso, GsoKind, HeadBuf, Meta, RxBatch, RxQueue, SendError, Turn, TxFrame, TxQueue,
};
use netstack_wire::checksum::pseudo_header;
use netstack_wire::tcp::{CHECKSUM_OFFSET, TcpFlags, TcpHeader, write_checksum};
use netstack_wire::{Protocol, ip};
use tokio::runtime::Builder;

use self::flow::{Flow, MSS};
use super::serve::{self, OwnArgs};

/// Payload of the largest super-segment: as many whole segments as 65,535 bytes hold with their headers.
const SUPER: usize = 44 * MSS as usize;

/// Frames that a flow sends before the others have their turn and ACKs are read.
const BURST: usize = 16;

/// The server.
struct Ceiling {
    rx: Box<dyn RxQueue>,
    tx: Arc<dyn TxQueue>,
    address: IpAddr,
    /// Payload of the largest frame.
    largest: usize,
    sends: bool,
    flows: HashMap<SocketAddr, Flow>,
    data: Bytes,
    head: HeadBuf,
    turn: Turn,
}

/// Serves [`Service::Source`] and [`Service::Discard`] on one thread until the parent ends.
pub(super) fn serve(args: &OwnArgs) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(|| {
        let _ended = until_the_parent_ends();
        std::process::exit(0);
    });
    runtime.block_on(async {
        let (queues, tx) = Box::new(serve::tun(args).await?).split()?;
        let rx = queues.into_iter().next().ok_or("a device without a queue")?;
        let largest = if args.plain { usize::from(MSS) } else { SUPER };
        let mut ceiling = Ceiling {
            rx,
            tx,
            address: args.server.address.into(),
            largest,
            sends: args.server.service == Service::Source,
            flows: HashMap::new(),
            data: Bytes::from(vec![0x5a; largest]),
            head: HeadBuf::new(),
            turn: Turn::default(),
        };
        ready()?;
        ceiling.run().await?;
        Ok(())
    })
}

impl Ceiling {
    async fn run(&mut self) -> io::Result<()> {
        let mut batch = RxBatch::new();
        let mut touched = Vec::new();
        loop {
            let rx = &mut self.rx;
            poll_fn(|cx| rx.poll_recv(cx, &mut batch)).await?;
            for frame in batch.drain() {
                touched.extend(self.receive(&frame.data));
            }
            touched.sort_unstable();
            touched.dedup();
            for peer in touched.drain(..) {
                self.answer(peer)?;
            }
        }
    }

    /// Takes a frame in; the flow that it changed.
    fn receive(&mut self, frame: &[u8]) -> Option<SocketAddr> {
        let packet = ip::parse(frame).ok()?;
        let (header, len) = TcpHeader::parse(packet.payload).ok()?;
        let peer = SocketAddr::new(packet.src, header.src_port);
        if header.dst_port != PORT || packet.dst != self.address {
            return None;
        }
        if header.flags.contains(TcpFlags::RST) {
            self.flows.remove(&peer);
            return None;
        }
        if header.flags.contains(TcpFlags::SYN) {
            self.flows.insert(peer, Flow::new(&header));
        } else {
            self.flows.get_mut(&peer)?.receive(&header, packet.payload.len() - len);
        }
        Some(peer)
    }

    /// Sends what a flow owes: its SYN-ACK, data as far as the window goes, or an ACK.
    fn answer(&mut self, peer: SocketAddr) -> io::Result<()> {
        let Some(flow) = self.flows.get_mut(&peer) else { return Ok(()) };
        if let Some(header) = flow.syn_ack() {
            return self.send(peer, header, 0);
        }
        if self.sends {
            for _ in 0..BURST {
                let Some(flow) = self.flows.get_mut(&peer) else { break };
                let Some((header, len)) = flow.data(self.largest) else { break };
                self.send(peer, header, len)?;
            }
        } else if let Some(header) = flow.ack() {
            self.send(peer, header, 0)?;
        }
        Ok(())
    }

    fn send(&mut self, peer: SocketAddr, mut header: TcpHeader, payload: usize) -> io::Result<()> {
        header.src_port = PORT;
        header.dst_port = peer.port();
        let len = header.header_len();
        let outer = ip::IpHeader::new(self.address, peer.ip(), Protocol::TCP, len + payload);
        let start = outer.header_len();
        let data = self.data.slice(..payload);
        self.head.clear();
        self.head.push(start, |buf| {
            outer.emit(buf);
        });
        self.head.push(len, |buf| {
            header.emit(buf);
        });
        let segment = &mut self.head.as_mut_slice()[start..];
        let meta = if self.largest > usize::from(MSS) && payload > 0 {
            let total = (len + payload) as u32;
            let sum = pseudo_header(outer.src, outer.dst, Protocol::TCP.0, total).fold();
            segment[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
            let gso =
                Gso { kind: GsoKind::Tcp4, size: NonZeroU16::new(MSS).expect("1460 is not 0"), ecn: false };
            Meta {
                checksum: Checksum::Partial { start: start as u16, offset: CHECKSUM_OFFSET as u16 },
                gso: (payload > usize::from(MSS)).then_some(gso),
            }
        } else {
            write_checksum(outer.src, outer.dst, segment, [&data]);
            Meta::default()
        };
        let frame = TxFrame { head: &mut self.head, payload: &[data], meta, flow: 0 };
        match self.tx.try_send(frame, &mut self.turn) {
            Ok(()) => Ok(()),
            Err(SendError::Closed(e)) => Err(e),
            Err(e) => Err(io::Error::other(format!("the device took no frame: {e:?}"))),
        }
    }
}
