//! Queues that manage themselves, end to end: a router that marks or drops in front of its narrow line, and hosts that heed it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use netstack_sim::net::{Builder, block_on};
use netstack_sim::record::{Log, NetworkLog, PacketFate, Record};
use netstack_sim::{Discipline, LinkConfig, LinkStats, QueueLimit};
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_netstack::{EcnMode, EcnPolicy, TcpConfig, TcpInfo, TcpListener, TcpStream};

const LEN: usize = 12_000_000;
/// Bits per second of the narrow line; with 20 ms there and back it holds 50 kB.
const RATE: u64 = 20_000_000;

const RED: Discipline = Discipline::Red { min: 30_000, max: 200_000, probability: 0.1, ecn: true };

/// What a transfer was to those who took part in it.
struct Run {
    sender: TcpInfo,
    receiver: TcpInfo,
    narrow: LinkStats,
    log: Log,
    /// Bits per second.
    rate: u64,
}

/// A transfer from a client, through a router with `discipline` in front of a narrow line, to a server.
fn transfer(discipline: Discipline, policy: EcnPolicy) -> Run {
    block_on(async {
        let seen = Arc::new(Mutex::new(NetworkLog::new()));
        let mut tcp = TcpConfig::new();
        tcp.ecn(policy);
        let mut net = Builder::new(5);
        net.tcp(tcp).observer(Arc::clone(&seen));
        let client = net.host("client", &["192.0.2.1"]);
        let router = net.router("router", &["203.0.113.1"]);
        let server = net.host("server", &["198.51.100.1"]);
        let mut wide = LinkConfig::new();
        wide.rate(1_000_000_000).delay(Duration::from_millis(5));
        net.link(client, router, &wide);
        let mut narrow = LinkConfig::new();
        narrow.rate(RATE).delay(Duration::from_millis(5));
        narrow.queue(QueueLimit::Bytes(1_000_000)).discipline(discipline);
        let narrow = net.link_ways(router, server, &narrow, &wide);
        let net = net.build().unwrap();

        let to = ([198, 51, 100, 1], 7);
        let listener = TcpListener::bind(&net.stack(server), to).await.unwrap();
        let start = Instant::now();
        let mut client = TcpStream::connect(&net.stack(client), to).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let sender = tokio::spawn(async move {
            client.write_all(&vec![7; LEN]).await.unwrap();
            client
        });
        let mut got = vec![0; LEN];
        server.read_exact(&mut got).await.unwrap();
        assert!(got.iter().all(|byte| *byte == 7));
        let rate = LEN as f64 * 8.0 / start.elapsed().as_secs_f64();
        let client = sender.await.unwrap();
        Run {
            sender: client.info().await.unwrap(),
            receiver: server.info().await.unwrap(),
            narrow: net.stats(narrow.there()),
            log: seen.lock().unwrap().log(&net),
            rate: rate as u64,
        }
    })
}

impl Run {
    /// Congestion windows of the sender, in order, and whether it thought of losses.
    fn windows(&self) -> Vec<(u32, bool)> {
        let of = self.log.records.iter().filter_map(|record| match record {
            Record::Figures(figures) if figures.end == 0 => {
                Some((figures.cwnd, figures.recovery == "recovery" || figures.recovery == "loss"))
            }
            _ => None,
        });
        of.collect()
    }

    fn segments_with(&self, flag: TcpFlags) -> usize {
        let has = |record: &&Record| match record {
            Record::Packet(packet) => match &packet.transport {
                netstack_sim::record::Transport::Tcp(segment) => segment.flags.contains(flag),
                _ => false,
            },
            _ => false,
        };
        self.log.records.iter().filter(has).count()
    }

    /// Marks arrive, are echoed, and narrow the window; nothing is lost, and the line is busy for `share` per cent of the time.
    fn assert_marked(&self, mode: EcnMode, share: u64) {
        let Self { sender, receiver, narrow, .. } = self;
        assert_eq!((sender.ecn, receiver.ecn, sender.ecn_sending), (mode, mode, true));
        assert!(narrow.marked > 5, "{narrow:?}");
        assert_eq!(u64::from(receiver.stats.ce_received), narrow.marked);
        assert!(sender.stats.ce_reported > 0 && sender.stats.ecn_reductions > 1, "{:?}", sender.stats);
        assert!(sender.ssthresh.is_some());
        assert_eq!((narrow.early, narrow.queue_full, narrow.lost), (0, 0, 0));
        assert_eq!((sender.stats.bytes_retransmitted, sender.stats.timeouts), (0, 0));
        let windows = self.windows();
        assert!(!windows.is_sorted_by_key(|(cwnd, _)| *cwnd), "the window never came down");
        assert!(windows.iter().all(|(_, repairs)| !repairs));
        let marked = self.log.packets().filter(|packet| packet.ce && packet.hop == 1).count();
        assert_eq!(marked as u64, narrow.marked);
        assert!(self.rate > RATE * share / 100, "{} bit/s", self.rate);
    }

    /// The same queue has nothing to mark, and drops.
    fn assert_dropped(&self) {
        let Self { sender, receiver, narrow, .. } = self;
        assert_eq!((sender.ecn, receiver.ecn), (EcnMode::Off, EcnMode::Off));
        assert_eq!((narrow.marked, receiver.stats.ce_received, sender.stats.ecn_reductions), (0, 0, 0));
        assert!(narrow.early > 0, "{narrow:?}");
        assert_eq!(narrow.queue_full, 0, "the discipline acts before the queue is full");
        assert!(sender.stats.bytes_retransmitted > 0);
        let dropped = self.log.packets().filter(|packet| packet.fate == PacketFate::QueueFull).count();
        assert_eq!(dropped as u64, narrow.early);
        assert!(self.windows().iter().any(|(_, repairs)| *repairs));
        assert!(self.rate > RATE * 70 / 100, "{} bit/s", self.rate);
    }
}

#[test]
fn red_marks_who_asks_for_it_and_the_sender_slows_without_a_loss() {
    // req: R3168-4, R3168-5, R3168-6, R3168-7
    let run = transfer(RED, EcnPolicy::On);
    // Its average lags behind the queue: it goes on marking for some rounds when the window has come down.
    run.assert_marked(EcnMode::Classic, 70);
    // Echoed until the sender says that it has heard (RFC 3168 6.1).
    let (echoes, heard) = (run.segments_with(TcpFlags::ECE), run.segments_with(TcpFlags::CWR));
    assert!(echoes > heard && heard > 2, "{echoes} ECE, {heard} CWR");
}

#[test]
fn codel_marks_who_asks_for_it_and_the_sender_slows_without_a_loss() {
    // req: R3168-4, R3168-5, R3168-6, R3168-7
    transfer(Discipline::CODEL, EcnPolicy::On).assert_marked(EcnMode::Classic, 85);
}

#[test]
fn accurate_feedback_tells_the_sender_of_each_mark() {
    // req: R9768-3
    let run = transfer(Discipline::CODEL, EcnPolicy::Accurate);
    run.assert_marked(EcnMode::Accurate, 85);
    assert_eq!(run.sender.stats.ce_reported, run.receiver.stats.ce_received);
}

#[test]
fn without_ecn_red_and_codel_drop_in_place_of_marking() {
    for discipline in [RED, Discipline::CODEL] {
        transfer(discipline, EcnPolicy::Off).assert_dropped();
    }
}
