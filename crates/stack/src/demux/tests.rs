use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use netstack_tcp::{FourTuple, Instant, Segment, SynRecord};
use netstack_wire::Ecn;
use netstack_wire::tcp::{TcpFlags, TcpHeader};

use super::*;
use crate::actor::Shared;
use crate::observe::Watch;
use crate::secrets::Secrets;
use crate::{Stack, TcpConfig, device};

fn stack() -> Stack {
    let caps = device::Capabilities::ip(1500);
    let (here, _there) = device::memory::pair(caps.clone(), caps);
    Stack::builder().device(here).address("192.0.2.1/24".parse().unwrap()).build().unwrap()
}

fn tuple(port: u16) -> FourTuple {
    let local: SocketAddr = "192.0.2.1:7".parse().unwrap();
    FourTuple::new(local, SocketAddr::from(([198, 51, 100, 1], port)))
}

fn segment(flags: TcpFlags) -> Segment {
    let header = TcpHeader { flags, ..TcpHeader::default() };
    Segment { header, payload: Bytes::new(), ecn: Ecn::NotEct, gso_size: 0 }
}

#[tokio::test]
async fn a_connection_is_found_until_it_is_removed() {
    let stack = stack();
    let table = Table::new(Secrets::from_seed(1), MAX_RECORDS, Watch::default());
    let all: Vec<_> = (1..=1000)
        .map(|port| Arc::new(Shared::new(&stack.inner, tuple(port), 0, &TcpConfig::new())))
        .collect();
    for shared in &all {
        assert!(table.insert(shared, false));
        assert!(!table.insert(shared, false), "a tuple is taken once");
    }
    let ack = segment(TcpFlags::ACK);
    for shared in &all {
        let routed = table.route(&shared.tuple, Instant::ZERO, &ack);
        assert!(matches!(routed, Routed::Actor(found) if Arc::ptr_eq(&found, shared)));
    }
    let tuples: Vec<_> = table.actors().iter().map(|shared| shared.tuple).collect();
    assert!(tuples.is_sorted() && tuples.len() == 1000);
    for shared in &all {
        table.remove(shared);
        assert!(matches!(table.route(&shared.tuple, Instant::ZERO, &ack), Routed::Nobody(None)));
        assert_eq!(Arc::strong_count(shared), 1, "the table keeps nothing");
    }
}

#[tokio::test]
async fn removal_leaves_a_successor_alone() {
    let stack = stack();
    let table = Table::new(Secrets::from_seed(1), MAX_RECORDS, Watch::default());
    let new = || Arc::new(Shared::new(&stack.inner, tuple(1), 0, &TcpConfig::new()));
    let (old, successor) = (new(), new());
    assert!(table.insert(&successor, false));
    table.remove(&old);
    assert!(table.contains(&successor.tuple));
}

#[tokio::test]
async fn a_syn_waits_for_the_application_once() {
    let stack = stack();
    let table = Table::new(Secrets::from_seed(1), MAX_RECORDS, Watch::default());
    let everywhere = crate::TcpListener::bind_all(&stack).await.unwrap();
    let listener = stack.inner.listeners.find(&tuple(1), &stack.inner.secrets).unwrap();
    let syn = segment(TcpFlags::SYN);
    let record = SynRecord::from_segment(tuple(1), &syn, Instant::ZERO);
    let id = table.insert_pending(record, &listener, false).unwrap();
    assert_eq!(table.insert_pending(record, &listener, false), None);
    assert!(matches!(table.route(&tuple(1), Instant::ZERO, &syn), Routed::Undecided));
    assert!(table.actor(&tuple(1)).is_none());
    let shared = Arc::new(Shared::new(&stack.inner, tuple(1), 0, &TcpConfig::new()));
    assert!(!table.insert(&shared, false), "nothing else has the tuple meanwhile");
    assert!(table.promote(&shared, id + 1).is_none(), "another SYN's number");
    assert!(table.promote(&shared, id).is_some_and(|pending| pending.syn == record));
    assert!(table.take_pending(&stack.inner, &tuple(1), id).is_none(), "it is decided");
    assert!(matches!(table.route(&tuple(1), Instant::ZERO, &syn), Routed::Actor(_)));
    drop(everywhere);
}

#[test]
fn shards_are_picked_by_a_secret() {
    let hashes = |seed| {
        let secrets = Secrets::from_seed(seed);
        (1..100).map(|port| secrets.table_hash(&tuple(port))).collect::<Vec<_>>()
    };
    assert_eq!(hashes(1), hashes(1));
    assert_ne!(hashes(1), hashes(2));
    let (a, b) = (Secrets::from_system().unwrap(), Secrets::from_system().unwrap());
    assert_ne!((a.isn, a.ports), (b.isn, b.ports), "two stacks share no secret");
    assert_ne!(a.flow_hash(&tuple(1)), b.flow_hash(&tuple(1)));
}

/// Tuples that somebody chose to collide under another key lie here and there under ours.
#[test]
fn chosen_tuples_do_not_collide() {
    let (known, ours) = (Secrets::from_seed(1), Secrets::from_seed(2));
    let place = |secrets: &Secrets, tuple: &FourTuple| {
        let hash = secrets.table_hash(tuple);
        // The shard, and the place in a table of 64 entries.
        ((hash >> 32) % 64, hash % 64)
    };
    let chosen: Vec<_> = (0..4_000_000_u32)
        .map(|n| {
            let host =
                std::net::Ipv4Addr::from(u32::from(std::net::Ipv4Addr::new(198, 51, 100, 0)) + n / 60_000);
            FourTuple::new(([192, 0, 2, 1], 7).into(), (host, 1024 + (n % 60_000) as u16).into())
        })
        .filter(|tuple| place(&known, tuple) == (5, 9))
        .collect();
    assert!(chosen.len() > 800, "{} collide under the known key", chosen.len());
    let mut load = [[0_usize; 64]; 2];
    for tuple in &chosen {
        let (shard, entry) = place(&ours, tuple);
        load[0][shard as usize] += 1;
        load[1][entry as usize] += 1;
    }
    let mean = chosen.len() / 64;
    for most in load.map(|load| load.into_iter().max().unwrap()) {
        assert!(most < 3 * mean, "{most} of {} in one place", chosen.len());
    }
}
