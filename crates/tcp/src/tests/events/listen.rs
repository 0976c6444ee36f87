//! LISTEN (RFC 9293 3.10.7.2).

use std::sync::Arc;

use netstack_wire::tcp::{TcpFlags, TcpHeader};

use crate::config::TcpConfig;
use crate::connection::{Connection, Opening};
use crate::listener::{Listener, SynAction, SynDrop};
use crate::state::State;
use crate::testing::Script;
use crate::tests::events::segment;
use crate::time::Instant;

const NOW: Instant = Instant::ZERO;

fn handle(listener: &mut Listener, line: &str) -> SynAction {
    listener.handle_syn(NOW, Script::tuple(), &segment(line))
}

/// Whether a SYN still makes a connection.
fn lives(listener: &mut Listener) -> bool {
    matches!(handle(listener, "S 0:0(0) <mss 1460>"), SynAction::Spawn(_))
}

#[test]
fn a_reset_is_ignored() {
    // req: S-LISTEN-1
    let mut listener = Listener::new(1, 1);
    for line in ["R 0:0(0)", "R. 0:0(0) ack 1", "SR 0:0(0)", "SR. 0:0(0) ack 1"] {
        assert_eq!(handle(&mut listener, line), SynAction::Drop(SynDrop::NotASyn), "{line}");
    }
    assert!(lives(&mut listener));
}

#[test]
fn an_ack_is_answered_with_a_reset() {
    // req: S-LISTEN-2
    let mut listener = Listener::new(1, 1);
    for line in [". 10:10(0) ack 77", "S. 0:0(0) ack 77", "P. 10:15(5) ack 77"] {
        let SynAction::Reset(TcpHeader { seq, flags, .. }) = handle(&mut listener, line) else {
            panic!("{line} earns a reset")
        };
        assert_eq!((seq, flags), (Script::ISS + 77, TcpFlags::RST), "{line}");
    }
    assert_eq!(listener.half_open(), 0);
    assert!(lives(&mut listener));
}

#[test]
fn a_syn_makes_a_connection() {
    // req: S-LISTEN-3
    let mut listener = Listener::new(1, 1);
    let SynAction::Spawn(record) = handle(&mut listener, "S 0:0(0) win 1000 <mss 1460>") else {
        panic!("a SYN makes a connection")
    };
    assert_eq!(listener.half_open(), 1);
    let opening = Opening { tuple: record.tuple, iss: Script::ISS, ts_offset: 0, mtu: 1500 };
    let mut connection = Connection::accept(NOW, &record, opening, Arc::new(TcpConfig::new()));
    assert_eq!(connection.state(), State::SynReceived);
    assert!(connection.is_passive());
    let answer = connection.poll_transmit(NOW, &mut Vec::new(), usize::MAX).expect("a SYN-ACK is due");
    assert_eq!(answer.header.flags, TcpFlags::SYN | TcpFlags::ACK);
    assert_eq!((answer.header.seq, answer.header.ack), (Script::ISS, Script::IRS + 1));
}

#[test]
fn text_on_the_syn_is_left_to_the_peer_to_repeat() {
    // req: S-LISTEN-4
    let mut script = Script::listen(&TcpConfig::new(), "S 0:10(10) win 65535 <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    assert_eq!(script.octets_read(), 0);
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.octets_read(), 0, "never acknowledged, never delivered");
    script.inject("P. 1:10(9) ack 1");
    assert_eq!(script.octets_read(), 9);
}

#[test]
fn what_is_neither_syn_nor_ack_nor_reset_is_dropped() {
    // req: S-LISTEN-5
    let mut listener = Listener::new(1, 1);
    for line in ["- 0:0(0)", "F 0:0(0)", "U 0:0(0) urg 5", "P 0:10(10)", "FPU 0:0(0)"] {
        assert_eq!(handle(&mut listener, line), SynAction::Drop(SynDrop::NotASyn), "{line}");
    }
    assert!(lives(&mut listener));
}

#[test]
fn a_fin_on_the_syn_is_not_acted_on() {
    // req: S-LISTEN-6
    let mut listener = Listener::new(1, 1);
    assert!(matches!(handle(&mut listener, "SF 0:0(0) <mss 1460>"), SynAction::Spawn(_)));
    let mut script = Script::listen(&TcpConfig::new(), "SF 0:0(0) win 65535 <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
    assert!(!script.connection.peer_closed());
}
