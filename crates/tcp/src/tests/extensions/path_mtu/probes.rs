//! The way back to larger segments.

use super::*;
use crate::testing::{Fate, Flight};

/// Ends whose path takes 1300, as a router has reported; A keeps writing.
fn narrowed() -> Pair {
    let mut pair = sending(&config(), 50_000);
    pair.narrow(1300, Some(1300));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.connection(Side::A).path_mtu(), 1300);
    pair
}

/// Writes 100 kB, and runs for `time`.
fn go_on(pair: &mut Pair, time: Duration) {
    pair.write(Side::A, &[7; 100_000]);
    pair.run_for(time);
}

/// When, and how large: packets of A larger than 1300 since `from`.
fn larger(pair: &Pair, from: usize) -> Vec<Flight> {
    let of = |flight: &&Flight| flight.from == Side::A && flight.segment.payload.len() > 1300 - 52;
    pair.log[from..].iter().filter(of).cloned().collect()
}

/// Ten minutes after the decrease, and no sooner, one larger segment of the stream's data tries whether the path has come
/// back.
// req: R1191-5, R8201-4, R4821-2, R8899-4
#[test]
fn a_larger_size_is_tried_after_ten_minutes() {
    let mut pair = narrowed();
    pair.narrow(1500, None);
    let (start, from) = (pair.now(), pair.log.len());
    for _ in 0..61 {
        go_on(&mut pair, Duration::from_secs(10));
    }
    let probe = larger(&pair, from).remove(0);
    let after = probe.sent - start;
    assert!((595..=610).contains(&after.as_secs()), "{after:?}");
    assert_eq!(probe.segment.payload.len(), 1448, "straight to what the link takes");
    let info = pair.connection(Side::A).info();
    assert_eq!((info.path_mtu, info.stats.mtu_probes, info.stats.mtu_probes_lost), (1500, 1, 0));
}

/// A path that is as narrow as before: the probe's data leaves again in smaller segments, and the window does not notice.
// req: R4821-2, R4821-3, R8899-3, R8899-4
#[test]
fn a_lost_probe_is_no_congestion() {
    let mut pair = narrowed();
    pair.narrow(1300, None);
    let from = pair.log.len();
    pair.run_for(Duration::from_secs(590));
    let before = pair.connection(Side::A).info();
    for _ in 0..30 {
        go_on(&mut pair, Duration::from_secs(5));
    }
    let after = pair.connection(Side::A).info();
    assert_eq!(pair.received(Side::B).len(), 50_000 + 3_000_000, "nothing is missing");
    assert_eq!(after.ssthresh, before.ssthresh);
    assert!(after.cwnd >= before.cwnd.min(14_600) && after.path_mtu == 1300, "{after:?}");
    assert_eq!((after.stats.timeouts, after.stats.fast_retransmits), (0, 0));
    assert_eq!(after.stats.bytes_lost, before.stats.bytes_lost);
    let probes = larger(&pair, from);
    assert_eq!(probes.len() as u32, after.stats.mtu_probes);
    assert_eq!(after.stats.mtu_probes_lost, after.stats.mtu_probes);
    // The link's size, then the step behind 1300: three tries each.
    let sizes: Vec<_> = probes.iter().map(|probe| probe.segment.payload.len() + 52).collect();
    assert_eq!(sizes, [1500, 1500, 1500, 1340, 1340, 1340]);
    let apart = |pair: &[Flight]| pair[1].sent - pair[0].sent >= Duration::from_secs(15);
    assert!(probes.windows(2).all(apart));
}

/// A router's answer to the probe ends the search at its size.
// req: R8899-2, R8201-4
#[test]
fn a_refused_probe_says_how_far_to_go() {
    let mut pair = narrowed();
    pair.narrow(1450, Some(1450));
    for _ in 0..62 {
        go_on(&mut pair, Duration::from_secs(10));
    }
    let info = pair.connection(Side::A).info();
    assert_eq!(info.path_mtu, 1340, "a step of the search, below what was reported");
    assert_eq!((info.stats.mtu_probes_lost, info.stats.path_mtu_reductions), (1, 1));
    for _ in 0..60 {
        go_on(&mut pair, Duration::from_secs(10));
    }
    let info = pair.connection(Side::A).info();
    assert_eq!(info.path_mtu, 1450);
    assert_eq!(
        (info.stats.mtu_probes_lost, info.stats.path_mtu_reductions),
        (1, 1),
        "no probe was too large"
    );
}

/// With a loss beside it the probe tells nothing, and congestion is congestion.
// req: R4821-3
#[test]
fn a_probe_lost_among_others_is_not_judged() {
    let mut pair = narrowed();
    pair.run_for(Duration::from_secs(610));
    let mut lose = 0;
    pair.script(move |flight| {
        let probe = flight.from == Side::A && flight.segment.payload.len() > 1300 - 52;
        lose = if probe { 3 } else { lose - i32::from(flight.from == Side::A && lose > 0) };
        if lose > 0 { Fate::Drop } else { Fate::Deliver }
    });
    pair.narrow(1500, None);
    go_on(&mut pair, Duration::from_secs(5));
    let info = pair.connection(Side::A).info();
    assert_eq!((info.path_mtu, info.stats.mtu_probes, info.stats.fast_retransmits), (1300, 1, 1));
    assert!(info.ssthresh.is_some());
    assert_eq!(pair.received(Side::B).len(), 150_000);
}

/// One at a time, and not while a loss is repaired.
// req: R4821-3
#[test]
fn one_probe_is_in_flight_at_most() {
    let mut pair = Pair::established(&config());
    pair.narrow(1300, None);
    pair.script(|flight| if flight.index % 97 == 13 { Fate::Drop } else { Fate::Deliver });
    for _ in 0..20 {
        go_on(&mut pair, Duration::from_secs(5));
    }
    assert_eq!(pair.received(Side::B).len(), 2_000_000);
    let info = pair.connection(Side::A).info();
    assert!(info.stats.mtu_probes > 0 && info.path_mtu <= 1300, "{info:?}");
    let probes = larger(&pair, 0);
    let sixth =
        probes.iter().position(|probe| probe.segment.payload.len() == 1340 - 52).unwrap_or(probes.len());
    let rest = &probes[sixth..];
    let apart = |pair: &[Flight]| pair[1].sent - pair[0].sent >= ms(20);
    assert!(rest.windows(2).all(apart), "a round trip lies between two");
}

/// Without data to send there is nothing to probe with, and a little data is not held back or enlarged for it.
// req: R4821-2
#[test]
fn little_data_leaves_as_it_is() {
    let mut pair = narrowed();
    pair.narrow(1500, None);
    let from = pair.log.len();
    for _ in 0..100 {
        pair.write(Side::A, &[7; 2_000]);
        pair.run_for(Duration::from_secs(10));
    }
    assert_eq!(larger(&pair, from).len(), 0);
    assert_eq!(pair.received(Side::B).len(), 250_000);
}
