//! The handshake and the teardown of two real connections over a wire that loses, duplicates, delays and reorders, explored
//! exhaustively within bounds. The ordinary tests take small bounds; the large ones are
//! `cargo test --release -p netstack-proof --test model -- --ignored --nocapture`.
//!
//! An end is a [`netstack_tcp::Connection`], a listener, or a record of TIME-WAIT, as the stack uses them; its state is the
//! fingerprint of the connection. Time stands still but when a timer fires, the earliest first, and while packets are on
//! their way only as often as the bounds allow.

mod bug;
mod end;
mod wire;
mod world;

use core::time::Duration;
use std::sync::Arc;

use netstack_tcp::{KeepAlive, TcpConfig};
use stateright::{Checker as _, Model as _};

use bug::Bug;
use world::{Exchange, Old};

/// One way, no faults; nobody writes.
fn plain() -> Exchange {
    let mut config = TcpConfig::new();
    config.timestamps(false).keepalive(Some(KeepAlive {
        idle: Duration::from_secs(7200),
        interval: Duration::from_secs(75),
        count: 2,
    }));
    Exchange {
        simultaneous: false,
        full_close: false,
        writes: [false; 2],
        losses: 0,
        duplicates: 0,
        early: 0,
        aborts: 0,
        old: None,
        config: Arc::new(config),
        bug: None,
    }
}

/// Explores all of `exchange`, says how many states that are, and fails with the way to what must not be.
fn explore(name: &str, exchange: Exchange) -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = exchange.checker().threads(threads).spawn_bfs().join();
    println!("{name}: {} states, at most {} steps", checker.unique_state_count(), checker.max_depth());
    assert!(checker.is_done(), "{name}: not all was explored");
    if let Some((property, path)) = checker.discoveries().into_iter().next() {
        let last = path.last_state().clone();
        let steps: Vec<String> = path.into_actions().iter().map(|step| format!("{step:?}")).collect();
        panic!("{name}: {property} does not hold: {:?}\n{}\n{:?}", last.wrong, steps.join("\n"), last.ends);
    }
    checker.unique_state_count()
}

fn finds(bug: Bug, exchange: &Exchange) -> bool {
    let exchange = Exchange { bug: Some(bug), ..exchange.clone() };
    let checker = exchange.checker().finish_when(stateright::HasDiscoveries::Any).spawn_bfs().join();
    let found = checker.discoveries();
    if let Some((property, path)) = found.iter().next() {
        let wrong = path.last_state().wrong.unwrap_or(property);
        println!("{bug:?}: found after {} steps: {wrong}", path.clone().into_actions().len());
    }
    !found.is_empty()
}

// req: MUST-10, MUST-11, MUST-13, S-FIN-5, S-ACK-8, S-ACK-10
#[test]
fn one_fault_of_each_kind() {
    for simultaneous in [false, true] {
        let base = Exchange { simultaneous, ..plain() };
        explore("no fault, both write", Exchange { writes: [true; 2], ..base.clone() });
        explore("a loss and a write", Exchange { losses: 1, writes: [true, false], ..base.clone() });
        explore("a duplicate", Exchange { duplicates: 1, ..base.clone() });
        explore("a timer too early", Exchange { early: 1, ..base.clone() });
        explore("an abort and a loss", Exchange { aborts: 1, losses: 1, ..base.clone() });
        explore(
            "both halves at once",
            Exchange { full_close: true, writes: [true, false], losses: 1, ..base },
        );
    }
}

// req: S-SYNSENT-1, S-RST-1, R5961-3, R1337-1
#[test]
fn nothing_of_an_older_incarnation_is_taken() {
    for simultaneous in [false, true] {
        for old in [Old::Syn, Old::SynAck, Old::Data, Old::Fin, Old::Reset] {
            for to in [0, 1] {
                let writes = [!simultaneous, false];
                let exchange = Exchange { simultaneous, old: Some((old, to)), writes, ..plain() };
                explore(&format!("old {old:?} to {to}"), exchange);
            }
        }
    }
}

#[test]
fn seeded_bugs_are_found() {
    let old = |old| Exchange { old: Some((old, 1)), writes: [true, false], ..plain() };
    let ways = [
        Exchange { losses: 1, writes: [true, false], ..plain() },
        Exchange { losses: 1, simultaneous: true, ..plain() },
        old(Old::Syn),
        old(Old::Reset),
    ];
    for way in &ways {
        explore("without a bug", way.clone());
    }
    for bug in Bug::ALL {
        assert!(ways.iter().any(|exchange| finds(bug, exchange)), "{bug:?} goes unnoticed");
    }
}

/// Two losses and a duplicate, and `more`, over both openings.
fn large(name: &str, more: impl Fn(Exchange) -> Exchange) {
    for simultaneous in [false, true] {
        let states = explore(name, more(Exchange { simultaneous, losses: 2, duplicates: 1, ..plain() }));
        assert!(simultaneous || states >= 100_000, "the bounds are large");
    }
}

#[test]
#[ignore = "minutes of all cores, gigabytes"]
fn large_with_an_old_syn() {
    large("2 losses, 1 duplicate, 1 old SYN", |base| Exchange { old: Some((Old::Syn, 1)), ..base });
}

#[test]
#[ignore = "minutes of all cores, gigabytes"]
fn large_with_an_early_timer() {
    large("2 losses, 1 duplicate, 1 early timer", |base| Exchange { early: 1, ..base });
}

#[test]
#[ignore = "minutes of all cores, gigabytes"]
fn large_with_an_abort() {
    large("2 losses, 1 duplicate, 1 abort", |base| Exchange { aborts: 1, ..base });
}

#[test]
#[ignore = "minutes of all cores, gigabytes"]
fn large_with_text_and_a_full_close() {
    large("2 losses, 1 duplicate, text, both halves closed", |base| Exchange {
        full_close: true,
        writes: [true, false],
        ..base
    });
}
