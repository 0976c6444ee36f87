//! A stack with a small budget, and peers that have completed the handshake: all played by the test, at the other end of its
//! device.

use std::time::Duration;

use allocation_counter::AllocationInfo;
use netstack_wire::SeqNum;
use netstack_wire::tcp::{SackBlock, TcpFlags, TcpHeader, TcpOptions};
use tokio_netstack::{ListenConfig, Stack, TcpConfig, TcpListener, TcpStream, device};

use crate::common::{PORT, Raw, SERVER, Seen, addr, builder, raw_device};
use crate::meter::{alive, assert_clean, measured, runtime};

pub(crate) const ACK: TcpFlags = TcpFlags::ACK;
pub(crate) const SYN: TcpFlags = TcpFlags::SYN;
pub(crate) const FIN: TcpFlags = TcpFlags::FIN;

/// Bytes that the stack's buffers may hold.
pub(crate) const BUDGET: usize = 4 << 20;

/// Memory that a thread keeps for next time, of Tokio, of the stack and of the harness.
const KEPT: i64 = 256 << 10;

/// Octets of a segment.
pub(crate) const MSS: usize = 1460;

/// The shift of the windows that the peers announce.
const SCALE: u8 = 7;

pub(crate) const TICK: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A peer, and the application's end of its connection.
pub(crate) struct Foe {
    pub(crate) port: u16,
    /// The next octet that it sends, and the next that it has not seen.
    pub(crate) seq: SeqNum,
    pub(crate) ack: SeqNum,
    /// The window field of what it sends.
    pub(crate) window: u16,
    pub(crate) stream: Option<TcpStream>,
}

impl Foe {
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        self.stream.as_mut().unwrap()
    }
}

pub(crate) struct Scene {
    pub(crate) stack: Stack,
    pub(crate) raw: Raw,
    pub(crate) foes: Vec<Foe>,
    listener: TcpListener,
    tasks: usize,
}

impl Scene {
    async fn open(count: u16, tcp: TcpConfig, mtu: usize) -> Self {
        let (device, raw) = raw_device(device::Capabilities::ip(mtu), 256);
        let mut listen = ListenConfig::new();
        listen.tcp(tcp);
        let stack = builder(device, 1).buffer_budget(BUDGET).listen_config(listen).build().unwrap();
        let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
        let tasks = alive();
        let mut scene = Self { stack, raw, foes: Vec::new(), listener, tasks };
        for port in 1..=count {
            scene.meet(port).await;
        }
        scene
    }

    /// One more peer, whose connection is accepted.
    async fn meet(&mut self, port: u16) {
        let raw = &mut self.raw;
        raw.local.set_port(port);
        (raw.seq, raw.ack, raw.window) = (SeqNum(u32::MAX - 5), SeqNum(0), 0xffff);
        let options = TcpOptions {
            mss: Some(MSS as u16),
            window_scale: Some(SCALE),
            sack_permitted: true,
            ..TcpOptions::default()
        };
        raw.send_header(&TcpHeader { options, ..raw.header(SYN) }, b"");
        let answer = raw.recv_within(TICK).await.expect("a SYN-ACK");
        (raw.seq, raw.ack) = (raw.seq + 1, answer.header.seq + 1);
        raw.send(ACK, b"");
        let (stream, _) = self.listener.accept().await.unwrap();
        let (seq, ack) = (raw.seq, raw.ack);
        self.foes.push(Foe { port, seq, ack, window: 0xffff, stream: Some(stream) });
    }

    /// The header of what a peer says next.
    pub(crate) fn header(&self, foe: usize, flags: TcpFlags) -> TcpHeader {
        let foe = &self.foes[foe];
        let mut header = self.raw.header(flags);
        (header.src_port, header.seq, header.ack, header.window) = (foe.port, foe.seq, foe.ack, foe.window);
        header
    }

    /// A peer says something, at its own sequence number, and moves past it.
    pub(crate) fn say(&mut self, foe: usize, flags: TcpFlags, payload: &[u8]) {
        let header = self.header(foe, flags);
        self.raw.send_header(&header, payload);
        self.foes[foe].seq += header.seg_len(payload.len());
    }

    /// A peer sends `payload` at a distance from its sequence number, which stays.
    pub(crate) fn say_at(&mut self, foe: usize, offset: u32, payload: &[u8]) {
        let mut header = self.header(foe, ACK);
        header.seq += offset;
        self.raw.send_header(&header, payload);
    }

    /// A peer acknowledges, with blocks given as distances from what it acknowledges.
    pub(crate) fn sack(&mut self, foe: usize, blocks: &[(u32, u32)]) {
        let mut header = self.header(foe, ACK);
        for &(left, right) in blocks {
            header.options.sack.push(SackBlock { left: header.ack + left, right: header.ack + right });
        }
        self.raw.send_header(&header, b"");
    }

    /// What the stack says next within `limit`, and to whom.
    pub(crate) async fn hear(&mut self, limit: Duration) -> Option<(usize, Seen)> {
        let seen = self.raw.recv_within(limit).await?;
        let foe = self.foes.iter().position(|foe| foe.port == seen.header.dst_port);
        Some((foe.expect("it speaks to one of the peers"), seen))
    }

    /// Lets the stack act, and forgets what it says.
    pub(crate) async fn settle(&mut self) {
        while self.raw.packet_within(TICK).await.is_some() {}
    }

    /// Lets time pass, and forgets what the stack says.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while tokio::time::timeout_at(end, self.raw.packet()).await.is_ok() {}
    }

    /// Every application writes until there is no more room.
    pub(crate) fn write_all_there_is_room_for(&mut self) {
        for foe in &self.foes {
            while foe.stream.as_ref().is_some_and(|stream| stream.try_write(&[7; 8192]).is_ok()) {}
        }
    }

    /// The applications are gone, and so are the peers: within `limit` nothing is left of any of it.
    async fn end(mut self, limit: Duration) {
        self.foes.clear();
        let end = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < end && self.stack.connection_count() > 0 {
            self.pass(SECOND).await;
        }
        assert_eq!(self.stack.connection_count(), 0, "connections after {limit:?}");
        assert_clean(&self.stack, self.tasks).await;
    }
}

/// What an attack came to.
pub(crate) struct Figures {
    /// Memory that was allocated while it lasted.
    pub(crate) memory: AllocationInfo,
    /// Segments that the stack received and sent meanwhile.
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// `count` peers attack. Whatever they do, no more than twice the budget is held; and when they are gone nothing is left.
pub(crate) fn attack(count: u16, attack: impl AsyncFnOnce(&mut Scene)) -> Figures {
    attack_with(count, TcpConfig::new(), 1500, attack)
}

/// As [`attack`], on connections with these settings, over a link of this MTU.
pub(crate) fn attack_with(
    count: u16,
    tcp: TcpConfig,
    mtu: usize,
    attack: impl AsyncFnOnce(&mut Scene),
) -> Figures {
    let mut figures = None;
    let whole = allocation_counter::measure(|| {
        let runtime = runtime();
        let mut scene = runtime.block_on(Scene::open(count, tcp, mtu));
        let before = scene.stack.counters();
        let ((), memory) = measured(&runtime, attack(&mut scene));
        let after = scene.stack.counters();
        figures = Some(Figures {
            memory,
            received: after.rx_packets - before.rx_packets,
            sent: after.tx_segments - before.tx_segments,
        });
        runtime.block_on(scene.end(Duration::from_secs(600)));
    });
    let figures = figures.unwrap();
    println!(
        "{count} peers: {} KiB held at most, {} segments received, {} sent, {} KiB left",
        figures.memory.bytes_max >> 10,
        figures.received,
        figures.sent,
        whole.bytes_current >> 10
    );
    assert!(figures.memory.bytes_max <= 2 * BUDGET as u64, "{} bytes held", figures.memory.bytes_max);
    assert!(whole.bytes_current < KEPT, "{} bytes are left", whole.bytes_current);
    figures
}
