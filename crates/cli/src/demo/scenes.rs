//! The scenes, as the stack plays them.

use std::time::Duration;

use bytes::Bytes;
use netstack_sim::LinkConfig;
use netstack_sim::heap::{EndId, FlowConfig, Network, NetworkConfig, Open, PairConfig, Pick, Side, Victim};
use netstack_sim::record::{Log, Record, Recording};
use netstack_tcp::{Instant, Segment};
use netstack_wire::Ecn;
use netstack_wire::tcp::{TcpFlags, TcpHeader};

use super::Scene;
use super::actor::Act::{Shutdown, Write};
use super::actor::Actor;

pub(super) const DELAY: Duration = Duration::from_millis(25);
const A: EndId = EndId { flow: 0, side: Side::A };

/// When the connection has long been open.
const OPEN: u64 = 200;

/// A scene before it is played.
struct Plan {
    a: Actor,
    b: Actor,
    victims: Vec<Victim>,
    both_open: bool,
    old_duplicate: bool,
    /// Where the log begins and ends, milliseconds; without an end it goes on until nothing happens any more.
    from: u64,
    to: Option<u64>,
}

fn plan(
    a: impl IntoIterator<Item = (u64, super::actor::Act)>,
    b: impl IntoIterator<Item = (u64, super::actor::Act)>,
) -> Plan {
    Plan {
        a: Actor::new(a),
        b: Actor::new(b),
        victims: Vec::new(),
        both_open: false,
        old_duplicate: false,
        from: 0,
        to: None,
    }
}

/// Plays a scene.
pub(super) fn play(scene: Scene) -> Log {
    let syn = Pick::Flags(TcpFlags::SYN, 1);
    let opening = |to| Plan { to: Some(to), ..plan([], []) };
    let closing = |a, b| Plan { from: OPEN, ..plan([(OPEN, a)], b) };
    match scene {
        Scene::Handshake | Scene::TcpVsUdp => opening(100),
        Scene::SimultaneousOpen => Plan { both_open: true, ..opening(100) },
        Scene::LostSyn => Plan { victims: vec![Victim::new(A, syn)], ..opening(1_200) },
        Scene::OldDuplicateSyn => {
            let late = Victim::late(A, syn, Duration::from_millis(120));
            Plan { victims: vec![late], old_duplicate: true, ..opening(250) }
        }
        Scene::Teardown => closing(Shutdown, vec![(OPEN + 90, Shutdown)]),
        Scene::SimultaneousClose => closing(Shutdown, vec![(OPEN, Shutdown)]),
        Scene::TimeWait => {
            // Its ACKs are that of the handshake, that on its FIN, and this one.
            let last = Victim::new(A, Pick::Flags(TcpFlags::ACK, 3));
            Plan { victims: vec![last], ..closing(Shutdown, vec![(OPEN + 90, Shutdown)]) }
        }
        Scene::HalfClose => {
            let answer = [(OPEN + 90, Write(1_000)), (OPEN + 150, Shutdown)];
            Plan { from: OPEN, ..plan([(OPEN, Write(100)), (OPEN + 10, Shutdown)], answer) }
        }
    }
    .play()
}

impl Plan {
    fn play(self) -> Log {
        let mut ends = PairConfig::new(1);
        if self.both_open {
            ends.b.open = Open::Active(Instant::ZERO);
        }
        let iss = ends.a.iss;
        let mut link = LinkConfig::new();
        link.delay(DELAY);
        let flow = FlowConfig { a: ends.a, b: ends.b, a_to_b: vec![0], b_to_a: vec![1] };
        let config = NetworkConfig {
            seed: 1,
            links: vec![link.clone(), link],
            flows: vec![flow],
            victims: self.victims,
        };
        let recording = Recording::new(&config).link_names(["A to B", "B to A"]);
        let mut network = Network::new(config, vec![(self.a, self.b)], recording);
        if self.old_duplicate {
            let header =
                TcpHeader { seq: iss - 200, flags: TcpFlags::SYN, window: 65_535, ..TcpHeader::default() };
            let old = Segment { header, payload: Bytes::new(), ecn: Ecn::NotEct, gso_size: 0 };
            network.inject(A, old, Instant::from_duration(Duration::from_millis(10)));
        }
        match self.to {
            Some(to) => {
                network.run_until(Instant::from_duration(Duration::from_millis(to)));
            }
            None => network.run(),
        }
        let mut log = network.into_observer().into_log();
        if self.old_duplicate
            && let Some(first) = log.packets_mut().next()
        {
            first.note = Some("old duplicate".to_owned());
        }
        since(log, Duration::from_millis(self.from).as_nanos() as u64)
    }
}

/// What a log says from an instant on; times count from there.
fn since(mut log: Log, from: u64) -> Log {
    for record in &log.records {
        if let Record::State(change) = record
            && change.t < from
        {
            change.to.as_ref().clone_into(&mut log.header.ends[change.end].state);
        }
    }
    log.records.retain(|record| record.t() >= from);
    for record in &mut log.records {
        match record {
            Record::Packet(packet) => {
                packet.t -= from;
                if let netstack_sim::record::PacketFate::Delivered { at, .. } = &mut packet.fate {
                    *at -= from;
                }
            }
            Record::State(change) => change.t -= from,
            Record::Timer(change) => {
                change.t -= from;
                change.due = change.due.map(|due| due - from);
            }
            Record::Figures(figures) => figures.t -= from,
            Record::Queue(depth) => depth.t -= from,
        }
    }
    log
}
