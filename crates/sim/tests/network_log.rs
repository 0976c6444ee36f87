//! The log of a network of whole stacks: what happened to packets, and what the connections went through.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use netstack_sim::net::{Builder, Network, NodeId, block_on};
use netstack_sim::record::{Change, Figures, Log, NetworkLog, Record};
use netstack_sim::{LinkConfig, QueueLimit, Trace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{TcpListener, TcpStream};

const SERVER: ([u8; 4], u16) = ([198, 51, 100, 1], 7);
const LEN: usize = 400_000;

struct World {
    net: Network,
    client: NodeId,
    server: NodeId,
    seen: Arc<Mutex<NetworkLog>>,
}

/// A client, a router and a server; the second link is narrow, has a short queue and loses.
fn world(seed: u64, watched: bool) -> World {
    let seen = Arc::new(Mutex::new(NetworkLog::new()));
    let mut net = Builder::new(seed);
    if watched {
        net.observer(Arc::clone(&seen));
    }
    let client = net.host("client", &["192.0.2.1"]);
    let router = net.router("router", &["203.0.113.1"]);
    let server = net.host("server", &["198.51.100.1"]);
    let mut fast = LinkConfig::new();
    fast.delay(Duration::from_micros(300));
    net.link(client, router, &fast);
    let mut narrow = LinkConfig::new();
    narrow.rate(10_000_000).delay(Duration::from_millis(10)).queue(QueueLimit::Packets(20)).loss(0.01);
    net.link_ways(router, server, &narrow, LinkConfig::new().delay(Duration::from_millis(10)));
    World { net: net.build().unwrap(), client, server, seen }
}

impl World {
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(&self.net.stack(self.server), SERVER).await.unwrap();
        let local = ([192, 0, 2, 1], 40_000);
        let client = TcpStream::connect_from(&self.net.stack(self.client), local, SERVER).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    fn log(&self) -> Log {
        self.seen.lock().unwrap().log(&self.net)
    }
}

/// The log of a transfer, from the first SYN to the end of TIME-WAIT.
fn transfer(seed: u64) -> Log {
    run(seed, true).0
}

fn run(seed: u64, watched: bool) -> (Log, Trace) {
    block_on(async {
        let world = world(seed, watched);
        let (mut client, mut server) = world.connect().await;
        let sender = tokio::spawn(async move {
            client.write_all(&vec![b'.'; LEN]).await.unwrap();
            client.shutdown().await.unwrap();
            client.read_to_end(&mut Vec::new()).await.unwrap();
        });
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), LEN);
        drop(server);
        sender.await.unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;
        (world.log(), world.net.trace())
    })
}

fn states(log: &Log, end: usize) -> Vec<&str> {
    let mut states = vec![log.header.ends[end].state.as_str()];
    for record in &log.records {
        if let Record::State(change) = record
            && change.end == end
        {
            assert_eq!(&change.from, states.last().unwrap());
            states.push(&change.to);
        }
    }
    states
}

fn figures(log: &Log, end: usize) -> Vec<&Figures> {
    let of = log.records.iter().filter_map(|record| match record {
        Record::Figures(figures) if figures.end == end => Some(figures),
        _ => None,
    });
    of.collect()
}

fn json(log: &Log) -> Vec<u8> {
    let mut lines = Vec::new();
    log.write_json(&mut lines).unwrap();
    lines
}

#[test]
fn both_ends_are_logged_from_their_first_state_to_their_last() {
    let log = transfer(7);
    let names: Vec<_> =
        log.header.ends.iter().map(|end| (end.name.as_str(), end.local.to_string())).collect();
    assert_eq!(names, [("client", "192.0.2.1:40000".to_owned()), ("server", "198.51.100.1:7".to_owned())]);
    let active = ["CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED"];
    assert_eq!(states(&log, 0), active);
    let passive = ["LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"];
    assert_eq!(states(&log, 1), passive);
    assert!(log.records.is_sorted_by_key(Record::t));
}

#[test]
fn windows_recoveries_and_round_trips_are_logged() {
    let log = transfer(7);
    let sender = figures(&log, 0);
    let windows: Vec<_> = sender.iter().map(|figures| figures.cwnd).collect();
    assert!(windows.iter().max() > windows.first(), "slow start");
    assert!(!windows.is_sorted(), "a loss");
    for phase in ["open", "recovery"] {
        assert!(sender.iter().any(|figures| figures.recovery == phase), "{phase}");
    }
    let last = sender.last().unwrap();
    assert!(last.ssthresh.is_some());
    // 20.6 ms of propagation, a queue of 20 packets of 1.2 ms each, and a millisecond for Tokio's clock on either side.
    let trip = Duration::from_nanos(last.srtt.unwrap());
    assert!((Duration::from_millis(20)..Duration::from_millis(60)).contains(&trip), "{trip:?}");
    assert!(Duration::from_nanos(last.rto) >= trip);
    assert!(log.records.iter().any(|record| matches!(record, Record::Queue(depth) if depth.packets > 10)));
}

#[test]
fn timers_are_logged_by_the_clock_of_the_network() {
    block_on(async {
        let world = world(3, true);
        // The stack of the restarted host starts its clock here.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        world.net.restart(world.client).unwrap();
        let link = world.net.ways()[0].0.link();
        world.net.drop_nth(link.there(), 1, |packet| packet.tcp().is_some());
        let (client, server) = world.connect().await;
        drop(client);
        drop(server);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let log = world.log();
        let timers = |name: &str| -> Vec<(u64, Change, Option<u64>)> {
            let of = log.records.iter().filter_map(|record| match record {
                Record::Timer(timer) if timer.end == 0 && timer.timer == name => {
                    Some((timer.t / 1_000_000, timer.change, timer.due.map(|due| due / 1_000_000)))
                }
                _ => None,
            });
            of.collect()
        };
        let syn = timers("retransmit");
        assert_eq!(syn[..2], [(1_500, Change::Set, Some(2_500)), (2_500, Change::Fired, None)]);
        let rest = timers("2msl");
        let (set, due) = (rest[0].0, rest[0].2.unwrap());
        // A minute from the arrival of the FIN on, which the host saw at the next tick of its clock.
        assert!((59_999..=60_000).contains(&(due - set)), "{rest:?}");
        assert_eq!((rest[0].1, rest[1].1), (Change::Set, Change::Fired));
        assert!((due..=due + 1).contains(&rest[1].0), "{rest:?}");
        assert_eq!(states(&log, 0).last(), Some(&"CLOSED"));
    });
}

#[test]
fn a_host_that_is_restarted_has_its_connections_closed_and_the_next_one_goes_on() {
    block_on(async {
        let world = world(3, true);
        let (_client, server) = world.connect().await;
        world.net.restart(world.client).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(states(&world.log(), 0), ["CLOSED", "SYN-SENT", "ESTABLISHED", "CLOSED"]);
        drop(server);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let again = world.connect().await;
        let log = world.log();
        assert_eq!(log.header.ends.len(), 2, "they are known by their addresses");
        assert_eq!(states(&log, 0)[3..], ["CLOSED", "SYN-SENT", "ESTABLISHED"]);
        assert_eq!(states(&log, 1)[..3], ["LISTEN", "SYN-RECEIVED", "ESTABLISHED"]);
        assert_eq!(states(&log, 1).last(), Some(&"ESTABLISHED"));
        let second = states(&log, 1).iter().rposition(|state| *state == "LISTEN").unwrap();
        assert!(second > 0, "its addresses listen anew: {:?}", states(&log, 1));
        drop(again);
    });
}

#[test]
fn one_seed_gives_one_log_to_the_octet_and_watching_changes_nothing() {
    let (first, trace) = run(7, true);
    assert_eq!(json(&first), json(&transfer(7)));
    assert_ne!(json(&first), json(&transfer(8)));
    assert_eq!(run(7, false).1, trace);
    let read = Log::read_json(&json(&first)[..]).unwrap();
    assert_eq!(json(&read), json(&first));
    assert_eq!(read.header, first.header);
}

#[test]
fn a_packet_has_a_record_for_each_link_and_counts_its_hops() {
    let log = transfer(7);
    let syn: Vec<_> = log.packets().take(2).map(|packet| (packet.link, packet.hop)).collect();
    assert_eq!(syn, [(0, 0), (1, 1)]);
    let name = |link: usize| log.header.links[link].name.as_str();
    for packet in log.packets() {
        assert_eq!(packet.hop, usize::from(name(packet.link).starts_with("router")));
    }
}
