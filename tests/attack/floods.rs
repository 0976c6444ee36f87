//! Packets by the hundred thousand from strangers: each kind costs a bounded amount of memory and of answers, and a client in
//! their midst is served.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use netstack_wire::icmp::IcmpMessage;
use netstack_wire::ip::{self, Fragment, IpHeader};
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::{Protocol, SeqNum};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_netstack::{Stack, StackCounters, TcpListener, TcpStream, UdpSocket, device};

use crate::common::udp::datagram;
use crate::common::{CLIENT, PORT, Raw, SERVER, addr, builder, icmp, raw_device, segment};
use crate::meter::{assert_clean, measured, runtime};
use crate::scene::{ACK, FIN, SYN, TICK};

/// Packets of each flood.
const PACKETS: u32 = 100_000;

/// What a flood may hold at once, beyond what kinds of packets have a budget of their own for.
const MEMORY: u64 = 1 << 20;

/// A stranger, one of many.
fn stranger(n: u32) -> IpAddr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 51, 100, 1)) + n % 250).into()
}

fn server() -> IpAddr {
    SERVER.parse().unwrap()
}

/// A segment from a stranger to the listener, or to no port at all.
fn stray(n: u32, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
    let header = TcpHeader {
        src_port: 1024 + (n / 250 % 60_000) as u16,
        dst_port: if n.is_multiple_of(2) { PORT } else { 9 },
        seq: SeqNum(n.wrapping_mul(2_654_435_761)),
        ack: SeqNum(n.wrapping_mul(40_503)),
        flags,
        window: 1000,
        ..TcpHeader::default()
    };
    segment(stranger(n), server(), &header, payload)
}

/// What came of a flood.
struct Toll {
    /// Memory held at most, beyond what was there before.
    memory: u64,
    /// Packets that the stack sent.
    answers: u64,
    counters: StackCounters,
}

/// A stack that serves a client, and strangers on the same link.
struct Ground {
    stack: Stack,
    raw: Raw,
    _listener: TcpListener,
    _socket: UdpSocket,
    /// The client's connection: the stack's end, and the client's place in it.
    stream: TcpStream,
    seq: SeqNum,
    ack: SeqNum,
}

impl Ground {
    async fn new() -> Self {
        let (device, mut raw) = raw_device(device::Capabilities::ip(1500), 512);
        let stack = builder(device, 1).build().unwrap();
        let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
        let socket = UdpSocket::bind(&stack, addr(SERVER, PORT)).await.unwrap();
        raw.local = addr(CLIENT, 5);
        raw.open().await;
        let (stream, _) = listener.accept().await.unwrap();
        let (seq, ack) = (raw.seq, raw.ack);
        Self { stack, raw, _listener: listener, _socket: socket, stream, seq, ack }
    }

    /// The client is served; packets that the stack sent to others meanwhile are counted.
    async fn serve(&mut self) -> u64 {
        let raw = &mut self.raw;
        (raw.local, raw.seq, raw.ack) = (addr(CLIENT, 5), self.seq, self.ack);
        raw.send(ACK | TcpFlags::PSH, b"ping");
        timeout(TICK * 10, self.stream.read_exact(&mut [0; 4])).await.expect("the client is heard").unwrap();
        self.stream.write_all(b"pong").await.unwrap();
        let (mut others, mut served) = (0, false);
        while let Some(packet) = raw.packet_within(TICK).await {
            let ip = ip::parse(&packet).unwrap();
            served |= ip.payload.ends_with(b"pong");
            others += u64::from(ip.dst != raw.local.ip());
        }
        assert!(served, "the client is answered");
        (self.seq, self.ack) = (raw.seq, raw.ack + 4);
        others
    }

    async fn flood(&mut self, kind: &impl Fn(u32) -> Vec<u8>) -> u64 {
        let mut answers = 0;
        for n in 0..PACKETS {
            self.raw.send_packet(&kind(n));
            if n % 50 == 49 {
                while let Some(packet) = self.raw.packet_within(TICK).await {
                    answers += u64::from(ip::parse(&packet).unwrap().dst != addr(CLIENT, 5).ip());
                }
            }
            if n % (PACKETS / 10) == 0 {
                answers += self.serve().await;
            }
        }
        answers + self.serve().await
    }
}

/// Sends [`PACKETS`] of a kind, while a client is served; then nothing is left but the client's connection.
fn flood(kind: impl Fn(u32) -> Vec<u8>) -> Toll {
    let runtime = runtime();
    let mut ground = runtime.block_on(Ground::new());
    let (answers, memory) = measured(&runtime, ground.flood(&kind));
    let counters = ground.stack.counters();
    println!("{PACKETS} packets: {} KiB held at most, {answers} answers", memory.bytes_max >> 10);
    runtime.block_on(async {
        // What is in pieces is given up after a minute, and half-open handshakes with it.
        tokio::time::sleep(Duration::from_secs(70)).await;
        while ground.raw.packet_within(TICK).await.is_some() {}
        assert_eq!(ground.stack.connection_count(), 1, "the client's");
        ground.stream.set_linger(Some(Duration::ZERO)).unwrap();
        let Ground { stack, stream, .. } = ground;
        drop(stream);
        // A task for the device, and one for the loopback.
        assert_clean(&stack, 2).await;
    });
    Toll { memory: memory.bytes_max, answers, counters }
}

/// A flood that may hold next to nothing, and earns at most so many answers.
#[track_caller]
fn cheap(answers: u64, kind: impl Fn(u32) -> Vec<u8>) -> StackCounters {
    let toll = flood(kind);
    assert!(toll.memory <= MEMORY, "{} bytes", toll.memory);
    assert!(toll.answers <= answers, "{} answers", toll.answers);
    toll.counters
}

#[test]
fn resets() {
    let counters = cheap(0, |n| stray(n, TcpFlags::RST, b""));
    assert!(counters.drop_not_a_syn + counters.drop_no_connection >= u64::from(PACKETS));
}

/// Each earns a reset, which is shorter, and nothing else.
#[test]
fn acknowledgments_and_fins() {
    for flags in [ACK, ACK | FIN, FIN, SYN | ACK] {
        let counters = cheap(PACKETS.into(), |n| stray(n, flags, b""));
        assert!(counters.tx_resets <= u64::from(PACKETS), "{counters:?}");
    }
}

/// Text that nobody waits for, an octet at a time.
#[test]
fn tiny_segments() {
    let counters = cheap(PACKETS.into(), |n| stray(n, ACK | TcpFlags::PSH, b"x"));
    assert!(counters.tx_resets <= u64::from(PACKETS));
}

/// At the client's own connection: RST, SYN, ACK and text at random places of its sequence space, by someone who knows all
/// but the numbers (RFC 5961).
// req: R5961-1, R5961-4, R5961-6
#[test]
fn segments_with_the_clients_name() {
    for (flags, payload) in [
        (TcpFlags::RST, &b""[..]),
        (TcpFlags::RST | ACK, b""),
        (SYN, b""),
        (SYN | ACK, b""),
        (ACK, b""),
        (ACK | FIN, b""),
    ] {
        let toll = flood(|n| {
            let header = TcpHeader {
                src_port: 5,
                dst_port: PORT,
                seq: SeqNum(n.wrapping_mul(2_654_435_761) | 1 << 31),
                ack: SeqNum(n.wrapping_mul(40_503_997)),
                flags,
                window: 1,
                ..TcpHeader::default()
            };
            segment(CLIENT.parse().unwrap(), server(), &header, payload)
        });
        assert!(toll.memory <= MEMORY, "{} bytes", toll.memory);
        // Some ten challenges, and what the client itself is told. A FIN may be one that was lost the answer to.
        let answered = if flags.contains(FIN) { u64::from(PACKETS) } else { 0 };
        assert!(toll.counters.tx_segments < answered + 200, "{flags}: {}", toll.counters.tx_segments);
    }
}

/// First fragments of datagrams that never become whole, from many sources: what waits is bounded by its own budget.
// req: R8900-1
#[test]
fn fragments() {
    for more in [true, false] {
        let toll = flood(|n| {
            let mut header = IpHeader::new(stranger(n), server(), Protocol::UDP, 1200);
            header.dont_fragment = false;
            header.fragment = Some(Fragment { offset: if more { 0 } else { 8000 }, more, id: n });
            let mut packet = vec![0; header.header_len()];
            header.emit(&mut packet);
            packet.resize(header.header_len() + 1200, 7);
            packet
        });
        // What the tables have spare, and need while they grow, comes on top.
        assert!(toll.memory <= (4 << 20) + 2 * MEMORY, "{} bytes", toll.memory);
        assert!(toll.counters.reassembly_evicted > u64::from(PACKETS) / 2, "{:?}", toll.counters);
        assert!(toll.answers <= 10 + 80, "{} answers", toll.answers);
    }
}

/// Echo requests, and errors about packets that were never sent.
// req: R4443-5, R792-6
#[test]
fn icmp_messages() {
    let counters = cheap(3_500, |n| {
        let request = IcmpMessage::EchoRequest { id: 1, seq: n as u16, data: &[3; 500] };
        icmp(&stranger(n).to_string(), SERVER, &request)
    });
    assert!(counters.echo_limited > u64::from(PACKETS) / 2, "{counters:?}");
    let counters = cheap(0, |n| {
        let quoted = stray(n, ACK, b"");
        let error = IcmpMessage::Unreachable { code: 1, quoted: &quoted };
        icmp(&stranger(n).to_string(), SERVER, &error)
    });
    assert!(counters.rx_icmp_unmatched > u64::from(PACKETS) / 2, "{counters:?}");
}

/// Datagrams to a socket that nobody reads, and to no socket: the queue is bounded, and errors are limited.
// req: R4443-5
#[test]
fn datagrams() {
    let toll = flood(|n| datagram(SocketAddr::new(stranger(n), 1024), addr(SERVER, PORT), &[1; 1000]));
    assert!(toll.memory <= (1 << 20) + MEMORY, "{} bytes", toll.memory);
    assert!(toll.counters.drop_udp_queue_full > u64::from(PACKETS) / 2, "{:?}", toll.counters);
    let counters = cheap(40, |n| datagram(SocketAddr::new(stranger(n), 1024), addr(SERVER, 9), &[1; 10]));
    assert!(counters.icmp_errors_limited > u64::from(PACKETS) / 2, "{counters:?}");
}

/// Noise in the place of packets.
#[test]
fn noise() {
    let counters = cheap(0, |n| {
        let mut frame = vec![0; 20 + n as usize % 60];
        let mut word = u64::from(n);
        for octet in &mut frame {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *octet = (word >> 56) as u8;
        }
        frame
    });
    let dropped: u64 =
        counters.iter().filter(|(name, _)| name.starts_with("drop_")).map(|(_, count)| count).sum();
    assert!(dropped >= u64::from(PACKETS) - 10, "{dropped}");
}
