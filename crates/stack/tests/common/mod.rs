//! Two stacks back to back, and a peer that speaks raw segments.

pub(crate) mod udp;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use netstack_wire::icmp::IcmpMessage;
use netstack_wire::ip::{self, IpHeader};
use netstack_wire::tcp::{self, TcpFlags, TcpHeader};
use netstack_wire::{Protocol, SeqNum};
use tokio_netstack::device::memory::MemoryDevice;
use tokio_netstack::device::{self, Capabilities, Device, HeadBuf, Meta, RxBatch, RxQueue, TxFrame, TxQueue};
use tokio_netstack::{ListenConfig, Stack, StackBuilder, TcpConfig, TcpListener, TcpStream};

pub(crate) const SERVER: &str = "192.0.2.1";
pub(crate) const CLIENT: &str = "192.0.2.2";
pub(crate) const PORT: u16 = 7;

pub(crate) fn addr(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

/// A builder with both addresses of one end.
pub(crate) fn builder(device: impl Device + 'static, host: u8) -> StackBuilder {
    Stack::builder()
        .device(device)
        .address(format!("192.0.2.{host}/24").parse().unwrap())
        .address(format!("2001:db8::{host}/64").parse().unwrap())
        .seed_for_test(u64::from(host))
}

/// Two stacks: server at `.1`, client at `.2`.
pub(crate) fn stacks() -> (Stack, Stack) {
    stacks_with(&TcpConfig::new(), Capabilities::ip(1500), 512)
}

pub(crate) fn stacks_with(config: &TcpConfig, caps: Capabilities, depth: usize) -> (Stack, Stack) {
    let (a, b) = device::memory::pair_with_depth(caps.clone(), caps, depth);
    let server = builder(a, 1).tcp_config(config.clone()).build().unwrap();
    let client = builder(b, 2).tcp_config(config.clone()).build().unwrap();
    (server, client)
}

/// Two stacks, the first of which listens with `config` on [`PORT`]: server, client, listener.
pub(crate) async fn listening_pair(config: ListenConfig) -> (Stack, Stack, TcpListener) {
    let caps = Capabilities::ip(1500);
    let (a, b) = device::memory::pair(caps.clone(), caps);
    let server = builder(a, 1).listen_config(config).build().unwrap();
    let client = builder(b, 2).build().unwrap();
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    (server, client, listener)
}

/// An open connection: listener, server's stream, client's stream.
pub(crate) async fn connected(server: &Stack, client: &Stack) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind(server, addr(SERVER, PORT)).await.unwrap();
    let stream = TcpStream::connect(client, addr(SERVER, PORT)).await.unwrap();
    let (accepted, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, stream.local_addr().unwrap());
    (listener, accepted, stream)
}

/// A segment that the raw peer saw.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) header: TcpHeader,
    pub(crate) payload: Bytes,
    pub(crate) src: IpAddr,
}

impl Seen {
    pub(crate) fn has(&self, flags: TcpFlags) -> bool {
        self.header.flags.contains(flags)
    }
}

/// The far end of a device pair, played by the test: it sends what it is told and sees what comes.
pub(crate) struct Raw {
    rx: Box<dyn RxQueue>,
    tx: Arc<dyn TxQueue>,
    batch: RxBatch,
    queue: std::collections::VecDeque<Bytes>,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Our next sequence number.
    pub(crate) seq: SeqNum,
    /// What we acknowledge next.
    pub(crate) ack: SeqNum,
    pub(crate) window: u16,
}

/// A stack at `.1` and a raw peer at `.2`.
pub(crate) fn raw_pair() -> (Stack, Raw) {
    raw_pair_with(|builder| builder)
}

pub(crate) fn raw_pair_with(change: impl FnOnce(StackBuilder) -> StackBuilder) -> (Stack, Raw) {
    raw_pair_of(|device| change(builder(device, 1)).build().unwrap())
}

/// The stack that `make` makes, and the raw peer at the other end of its device.
pub(crate) fn raw_pair_of(make: impl FnOnce(MemoryDevice) -> Stack) -> (Stack, Raw) {
    raw_pair_of_depth(512, make)
}

/// As [`raw_pair_of`], with room for `depth` frames in each direction.
pub(crate) fn raw_pair_of_depth(depth: usize, make: impl FnOnce(MemoryDevice) -> Stack) -> (Stack, Raw) {
    raw_pair_on(Capabilities::ip(1500), depth, make)
}

/// As [`raw_pair_of_depth`], over devices that can do `caps`.
pub(crate) fn raw_pair_on(
    caps: Capabilities,
    depth: usize,
    make: impl FnOnce(MemoryDevice) -> Stack,
) -> (Stack, Raw) {
    let (device, raw) = raw_device(caps, depth);
    (make(device), raw)
}

/// A device with room for `depth` frames in each direction, and the raw peer at its other end.
pub(crate) fn raw_device(caps: Capabilities, depth: usize) -> (MemoryDevice, Raw) {
    let (a, b) = device::memory::pair_with_depth(caps.clone(), caps, depth);
    let (mut rx, tx) = Box::new(b).split().unwrap();
    let raw = Raw {
        rx: rx.remove(0),
        tx,
        batch: RxBatch::new(),
        queue: Default::default(),
        local: addr(CLIENT, 40000),
        remote: addr(SERVER, PORT),
        seq: SeqNum(1000),
        ack: SeqNum(0),
        window: 65535,
    };
    (a, raw)
}

impl Raw {
    pub(crate) fn header(&self, flags: TcpFlags) -> TcpHeader {
        TcpHeader {
            src_port: self.local.port(),
            dst_port: self.remote.port(),
            seq: self.seq,
            ack: if flags.contains(TcpFlags::ACK) { self.ack } else { SeqNum(0) },
            flags,
            window: self.window,
            ..TcpHeader::default()
        }
    }

    /// Sends a segment at the current sequence number and moves past it.
    pub(crate) fn send(&mut self, flags: TcpFlags, payload: &[u8]) {
        let header = self.header(flags);
        self.send_header(&header, payload);
        self.seq += header.seg_len(payload.len());
    }

    /// Sends a segment as it is given.
    pub(crate) fn send_header(&mut self, header: &TcpHeader, payload: &[u8]) {
        let (src, dst) = (self.local.ip(), self.remote.ip());
        self.send_packet(&segment(src, dst, header, payload));
    }

    /// Sends a whole packet.
    pub(crate) fn send_packet(&mut self, packet: &[u8]) {
        let mut head = HeadBuf::new();
        let payload = [Bytes::copy_from_slice(packet)];
        let frame = TxFrame { head: &mut head, payload: &payload, meta: Meta::default(), flow: 0 };
        self.tx.try_send(frame, &mut device::Turn::new()).unwrap();
    }

    /// The next packet that the stack sent.
    pub(crate) async fn packet(&mut self) -> Bytes {
        while self.queue.is_empty() {
            std::future::poll_fn(|cx| self.rx.poll_recv(cx, &mut self.batch)).await.unwrap();
            self.queue.extend(self.batch.drain().map(|frame| frame.data));
        }
        self.queue.pop_front().unwrap()
    }

    /// The next packet within `limit`.
    pub(crate) async fn packet_within(&mut self, limit: Duration) -> Option<Bytes> {
        tokio::time::timeout(limit, self.packet()).await.ok()
    }

    /// What the device died of, within `limit`; `None` if something came, or nothing.
    pub(crate) async fn rx_error(&mut self, limit: Duration) -> Option<std::io::Error> {
        let read = std::future::poll_fn(|cx| self.rx.poll_recv(cx, &mut self.batch));
        let read = tokio::time::timeout(limit, read).await.ok()?;
        self.batch.clear();
        read.err()
    }

    /// The next TCP segment. Fails when none comes, where paused time would else stand still for ever.
    pub(crate) async fn recv(&mut self) -> Seen {
        self.recv_within(Duration::from_secs(3600)).await.expect("the stack sends a segment")
    }

    /// The next TCP segment within `limit`.
    pub(crate) async fn recv_within(&mut self, limit: Duration) -> Option<Seen> {
        let packet = self.packet_within(limit).await?;
        Some(parse(&packet))
    }

    /// Asserts that nothing comes for `limit`.
    pub(crate) async fn silence(&mut self, limit: Duration) {
        if let Some(seen) = self.packet_within(limit).await {
            panic!("unexpected packet: {:?}", parse(&seen));
        }
    }

    /// Asserts that nothing comes for `limit`, whatever it would be.
    pub(crate) async fn quiet(&mut self, limit: Duration) {
        if let Some(packet) = self.packet_within(limit).await {
            panic!("unexpected packet: {:?}", ip::parse(&packet));
        }
    }

    /// Opens a connection to the stack's listener.
    pub(crate) async fn open(&mut self) {
        self.send(TcpFlags::SYN, b"");
        let seen = self.recv().await;
        assert!(seen.has(TcpFlags::SYN | TcpFlags::ACK), "{seen:?}");
        assert_eq!(seen.header.ack, self.seq);
        self.ack = seen.header.seq + 1;
        self.send(TcpFlags::ACK, b"");
    }

    /// Answers the stack's SYN.
    pub(crate) async fn accept(&mut self) {
        let syn = self.recv().await;
        assert!(syn.has(TcpFlags::SYN) && !syn.has(TcpFlags::ACK), "{syn:?}");
        self.remote = SocketAddr::new(syn.src, syn.header.src_port);
        self.local.set_port(syn.header.dst_port);
        self.ack = syn.header.seq + 1;
        self.send(TcpFlags::SYN | TcpFlags::ACK, b"");
        let ack = self.recv().await;
        assert!(ack.has(TcpFlags::ACK) && ack.header.ack == self.seq, "{ack:?}");
    }
}

/// A packet with a finished segment.
pub(crate) fn segment(src: IpAddr, dst: IpAddr, header: &TcpHeader, payload: &[u8]) -> Vec<u8> {
    let len = header.header_len();
    let ip = IpHeader::new(src, dst, Protocol::TCP, len + payload.len());
    let mut packet = vec![0; ip.header_len() + len];
    let start = ip.emit(&mut packet);
    header.emit(&mut packet[start..]);
    tcp::write_checksum(src, dst, &mut packet[start..], [payload]);
    packet.extend_from_slice(payload);
    packet
}

pub(crate) fn parse(packet: &[u8]) -> Seen {
    let ip = ip::parse(packet).unwrap();
    assert_eq!(ip.protocol, Protocol::TCP, "{ip:?}");
    assert!(tcp::checksum_ok(ip.src, ip.dst, ip.payload), "checksum of what we send");
    let (header, len) = TcpHeader::parse(ip.payload).unwrap();
    Seen { header, payload: Bytes::copy_from_slice(&ip.payload[len..]), src: ip.src }
}

/// An IP packet around `payload`.
pub(crate) fn packet(src: &str, dst: &str, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    packet_between(src.parse().unwrap(), dst.parse().unwrap(), protocol, payload)
}

fn packet_between(src: IpAddr, dst: IpAddr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let header = IpHeader::new(src, dst, protocol, payload.len());
    let mut packet = vec![0; header.header_len()];
    header.emit(&mut packet);
    packet.extend_from_slice(payload);
    packet
}

/// An IP packet with an ICMP message of the version of its addresses.
pub(crate) fn icmp(src: &str, dst: &str, message: &IcmpMessage<'_>) -> Vec<u8> {
    icmp_between(src.parse().unwrap(), dst.parse().unwrap(), message)
}

fn icmp_between(src: IpAddr, dst: IpAddr, message: &IcmpMessage<'_>) -> Vec<u8> {
    let mut payload = vec![0; message.wire_len()];
    let protocol = match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            message.emit_v6(src, dst, &mut payload);
            Protocol::ICMPV6
        }
        _ => {
            message.emit_v4(&mut payload);
            Protocol::ICMP
        }
    };
    packet_between(src, dst, protocol, &payload)
}

/// The ICMP error from `router` that `make` makes of the start of a packet that the stack sent.
pub(crate) fn icmp_about(
    sent: &[u8],
    router: IpAddr,
    make: impl FnOnce(&[u8]) -> IcmpMessage<'_>,
) -> Vec<u8> {
    let about = ip::parse(sent).unwrap();
    icmp_between(router, about.src, &make(&sent[..sent.len().min(about.header_len + 8)]))
}

/// Reads an ICMP message of the version of the packet's addresses.
pub(crate) fn read_icmp<'a>(packet: &ip::IpPacket<'a>) -> IcmpMessage<'a> {
    match (packet.src, packet.dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => IcmpMessage::parse_v6(src, dst, packet.payload).unwrap(),
        _ => IcmpMessage::parse_v4(packet.payload).unwrap(),
    }
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// The ICMP message that `make` makes of the packet `sent` of the stack, from a router.
pub(crate) fn about(sent: &[u8], make: impl FnOnce(&[u8]) -> IcmpMessage<'_>) -> Vec<u8> {
    let router = if ip::parse(sent).unwrap().src.is_ipv6() { "2001:db8::99" } else { "192.0.2.99" };
    icmp_about(sent, router.parse().unwrap(), make)
}

/// A router's report that its link takes `mtu` octets, about the packet `quoted` of the stack.
pub(crate) fn too_big(quoted: &[u8], mtu: u32) -> Vec<u8> {
    about(quoted, |quoted| IcmpMessage::TooBig { mtu, quoted })
}
