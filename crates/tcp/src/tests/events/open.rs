//! OPEN (RFC 9293 3.10.1), and the odd ways in which a handshake ends.

use core::time::Duration;

use netstack_wire::SeqNum;

use crate::config::TcpConfig;
use crate::event::Event;
use crate::state::State;
use crate::testing::{Fate, Pair, Script, Side};
use crate::tests::events::segment;
use crate::tests::reach::reach;

#[test]
fn an_active_open_sends_one_syn() {
    // req: S-OPEN-1
    let mut script = Script::connect(&TcpConfig::new());
    let syn = script.expect("S 0:0(0) win 65535 <mss 1460,wscale 7,sackOK,ts 1000 0>");
    assert_eq!(syn.header.ack, SeqNum(0), "the ACK field of a SYN is 0");
    assert_eq!((syn.header.src_port, syn.header.dst_port), (7, 50_000));
    script.expect_nothing();
    assert_eq!(script.state(), State::SynSent);
    assert_eq!(script.connection.info().in_flight, 1, "SND.UNA = ISS, SND.NXT = ISS + 1");
}

#[test]
fn text_on_the_last_ack_of_the_handshake_is_taken() {
    // Pitfall 18: data, and data with FIN, riding on the third segment.
    // req: S-ACK-2, S-FIN-4
    for (line, state, ack) in
        [("P. 1:11(10) ack 1", State::Established, 11), ("FP. 1:11(10) ack 1", State::CloseWait, 12)]
    {
        let mut script = Script::listen(&TcpConfig::new(), "S 0:0(0) win 65535 <mss 1460>");
        script.expect("S. 0:0(0) ack 1");
        script.inject(line);
        assert_eq!(script.state(), state, "{line}");
        assert_eq!(script.octets_read(), 10, "{line}");
        script.expect(&format!(". 1:1(0) ack {ack}"));
        script.expect_nothing();
        let mut events = vec![Event::Connected];
        events.extend((state == State::CloseWait).then_some(Event::PeerClosed));
        assert_eq!(script.drain_events(), events);
    }
}

#[test]
fn text_that_overtakes_the_last_ack_of_the_handshake_is_not_lost() {
    // Pitfall 18: data before the ACK. With an ACK of its own it opens the connection, in order or not.
    // req: S-ACK-2
    let mut script = Script::listen(&TcpConfig::new(), "S 0:0(0) win 65535 <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.inject("P. 6:11(5) ack 1");
    assert_eq!(script.state(), State::Established);
    script.expect(". 1:1(0) ack 1");
    script.inject("P. 1:6(5) ack 1");
    assert_eq!(script.octets_read(), 10);
    script.expect(". 1:1(0) ack 11");
    script.inject(". 1:1(0) ack 1");
    script.inject(". 11:11(0) ack 1");
    assert_eq!(script.state(), State::Established);
}

#[test]
fn a_bare_ack_without_timestamps_is_taken_where_they_were_agreed() {
    // Pitfall 20: old peers leave the option out on some segments (R7323-9, declined).
    let mut script =
        Script::listen(&TcpConfig::new(), "S 0:0(0) win 65535 <mss 1460,wscale 0,sackOK,ts 1000000 0>");
    script.expect("S. 0:0(0) ack 1");
    script.auto_timestamps = false;
    script.inject(". 1:1(0) ack 1");
    assert_eq!(script.state(), State::Established);
    script.forget_sent();
    script.write(10);
    script.expect("P. 1:11(10) ack 1");
    script.inject("P. 1:6(5) ack 11");
    assert_eq!(script.octets_read(), 5);
    assert_eq!(script.connection.send_queued(), 0);
}

#[test]
fn a_peer_in_time_wait_costs_no_second() {
    // Pitfall 20: it answers our SYN with an ACK of the old connection; our RST ends that, and our SYN follows at once.
    // req: S-SYNSENT-1
    let mut script = Script::connect(&TcpConfig::new());
    script.expect("S 0:0(0)");
    script.advance_ms(20);
    script.inject(". 5000:5000(0) ack 777");
    script.expect_after(script.now(), Duration::ZERO, "R 777:777(0)");
    script.expect_after(script.now(), Duration::ZERO, "S 0:0(0)");
    script.expect_nothing();
    script.inject(". 5000:5000(0) ack 777");
    script.expect("R 777:777(0)");
    script.expect_nothing();
    script.advance_ms(20);
    script.inject("S. 0:0(0) ack 1 <mss 1460>");
    assert_eq!(script.state(), State::Established);
    // A SYN sent again without a timeout is no sign of loss: ten segments may leave (R6928-1).
    script.forget_sent();
    script.write(14_600);
    assert_eq!(std::iter::from_fn(|| script.next_sent()).count(), 10);
}

#[test]
fn simultaneous_open_makes_one_connection() {
    // req: MUST-10, S-SYNSENT-5, S-ACK-2
    // The window of a SYN says all there is: no update follows.
    let config = TcpConfig::new().recv_buffer(0xffff).clone();
    let mut pair = Pair::new(config.clone(), config, Duration::from_millis(10));
    pair.connect(Side::B);
    pair.run_for(Duration::from_millis(10));
    assert_eq!(pair.connection(Side::A).state(), State::SynReceived);
    assert_eq!(pair.connection(Side::B).state(), State::SynReceived);
    pair.run_for(Duration::from_millis(10));
    for side in [Side::A, Side::B] {
        assert_eq!(pair.connection(side).state(), State::Established);
        assert!(!pair.connection(side).is_passive());
    }
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.log.len(), 4, "two SYNs and two SYN-ACKs, nothing else");
    pair.write(Side::A, b"from A");
    pair.write(Side::B, b"from B");
    pair.run_for(Duration::from_secs(1));
    assert_eq!((pair.received(Side::A), pair.received(Side::B)), (&b"from B"[..], &b"from A"[..]));
}

#[test]
fn simultaneous_open_survives_the_loss_of_any_segment() {
    // req: MUST-10
    // The first SYN of A leaves before the link has a script; the other end's stands for it.
    for (side, index) in [(Side::A, 1), (Side::B, 0), (Side::B, 1)] {
        let config = TcpConfig::new();
        let mut pair = Pair::new(config.clone(), config, Duration::from_millis(10));
        pair.script(
            move |flight| {
                if flight.from == side && flight.index == index { Fate::Drop } else { Fate::Deliver }
            },
        );
        pair.connect(Side::B);
        pair.write(Side::A, b"hello");
        pair.write(Side::B, b"world");
        pair.run_for(Duration::from_secs(10));
        assert_eq!(pair.connection(Side::A).state(), State::Established, "{side:?} {index}");
        assert_eq!(pair.connection(Side::B).state(), State::Established, "{side:?} {index}");
        assert_eq!(pair.received(Side::A), b"world", "{side:?} {index}");
        assert_eq!(pair.received(Side::B), b"hello", "{side:?} {index}");
    }
}

#[test]
fn both_segments_of_a_simultaneous_open_in_one_batch_open_it() {
    // The peer's SYN and SYN-ACK are handled before anything is polled: the peer still gets an ACK of its SYN.
    // req: MUST-10, S-SYNSENT-5
    let mut script = Script::connect(&TcpConfig::new());
    script.expect("S 0:0(0)");
    script.inject_batch(&["S 0:0(0) <mss 1460>", "S. 0:0(0) ack 1 <mss 1460>"]);
    assert_eq!(script.state(), State::Established);
    script.expect(". 1:1(0) ack 1");
    script.expect_nothing();
}

#[test]
fn a_listener_knows_beforehand_what_completes_a_handshake() {
    // req: S-ACK-2
    let completing = [". 1:1(0) ack 1", "P. 1:11(10) ack 1", "F. 1:1(0) ack 1", ". 500:510(10) ack 1"];
    let others =
        ["- 1:1(0) ack 1", "P 1:11(10) ack 1", "R. 1:1(0) ack 1", ". 1:1(0) ack 0", ". 1:1(0) ack 2"];
    for state in State::ALL {
        let script = reach(state);
        let completes = |line: &str| script.connection.completes_handshake(&segment(line));
        for line in completing {
            assert_eq!(completes(line), state == State::SynReceived, "{line} in {state}");
        }
        for line in others {
            assert!(!completes(line), "{line} in {state}");
        }
    }
}

#[test]
fn what_was_written_before_the_open_waits_whole() {
    // req: S-SEND-1
    let mut script = Script::connect(&TcpConfig::new());
    let waiting = |script: &Script, octets: usize| {
        let connection = &script.connection;
        assert_eq!((connection.unsent(), connection.send_queued()), (octets, octets));
        assert_eq!(connection.info().unsent as usize, octets);
    };
    waiting(&script, 0);
    script.write(1);
    waiting(&script, 1);
    script.write(99);
    waiting(&script, 100);
    // A simultaneous open.
    script.inject("S 0:0(0) win 65535 <mss 1460>");
    waiting(&script, 100);
    script.inject(". 1:1(0) ack 1");
    assert_eq!((script.connection.unsent(), script.connection.send_queued()), (0, 100));
}
