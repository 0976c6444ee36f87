//! Errors from below, DSCP, TTL (RFC 9293 3.9.1.8, 3.9.1.9, 3.9.2).

use bytes::Bytes;
use netstack_wire::Ecn;
use netstack_wire::tcp::TcpFlags;

use super::{config, ms, secs};
use crate::event::Event;
use crate::segment::{Segment, Transmit};
use crate::state::{CloseReason, IcmpNotice, State};
use crate::testing::Script;
use crate::time::Instant;

const SOFT: [IcmpNotice; 5] = [
    IcmpNotice::NetworkUnreachable,
    IcmpNotice::HostUnreachable,
    IcmpNotice::SourceRouteFailed,
    IcmpNotice::TimeExceeded,
    IcmpNotice::ParameterProblem,
];

const HARD: [IcmpNotice; 2] = [IcmpNotice::ProtocolUnreachable, IcmpNotice::PortUnreachable];

/// What `connection` of `script` sends at once, as the layer below sees it.
fn transmits(script: &mut Script) -> Vec<Transmit> {
    let now = script.now();
    let mut payload: Vec<Bytes> = Vec::new();
    std::iter::from_fn(|| script.connection.poll_transmit(now, &mut payload, usize::MAX)).collect()
}

#[test]
fn a_silent_peer_of_an_open_connection_is_a_timeout_whatever_routers_said() {
    // req: SHLD-25, S-TMO-1
    let mut config = config();
    config.user_timeout(Some(secs(10)));
    let mut script = Script::established(&config);
    script.write(10);
    script.command(|connection, _| connection.handle_icmp(Script::ISS + 1, IcmpNotice::HostUnreachable));
    script.advance(secs(11));
    assert_eq!(script.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn a_soft_error_is_remembered_until_there_is_progress() {
    // req: MUST-47, SHLD-25
    let mut script = Script::established(&config());
    script.write(10);
    script.command(|connection, _| connection.handle_icmp(Script::ISS + 1, IcmpNotice::HostUnreachable));
    assert_eq!(script.connection.info().soft_error, Some(IcmpNotice::HostUnreachable));
    script.inject(". 1:1(0) ack 11");
    assert_eq!(script.connection.info().soft_error, None);
}

#[test]
fn reports_of_soft_errors_can_be_switched_off() {
    // req: SHLD-20
    let mut config = super::slow();
    config.soft_errors(false);
    let mut script = Script::established(&config);
    script.write(10);
    script.command(|connection, _| connection.handle_icmp(Script::ISS + 1, IcmpNotice::HostUnreachable));
    assert_eq!(script.connection.info().soft_error, None);
    script.advance(secs(20));
    assert_eq!(script.drain_events(), [], "nor is R1 told");
    assert_eq!(script.state(), State::Established);
}

/// Brings a connection into each synchronized state, with something in flight where the state allows it.
fn synchronized() -> Vec<Script> {
    let established = || {
        let mut script = Script::established(&config());
        script.write(10);
        script
    };
    let mut scripts = vec![established()];
    let mut fin_wait1 = established();
    fin_wait1.shutdown_write();
    scripts.push(fin_wait1);
    let mut closing = established();
    closing.shutdown_write();
    closing.inject("F. 1:1(0) ack 1");
    scripts.push(closing);
    let mut close_wait = established();
    close_wait.inject("F. 1:1(0) ack 1");
    scripts.push(close_wait);
    let mut last_ack = established();
    last_ack.inject("F. 1:1(0) ack 1");
    last_ack.shutdown_write();
    scripts.push(last_ack);
    scripts
}

#[test]
fn no_icmp_error_ends_an_open_connection() {
    // req: MUST-56, R5927-2
    let expected = [State::Established, State::FinWait1, State::Closing, State::CloseWait, State::LastAck];
    for notice in SOFT.into_iter().chain(HARD).chain([IcmpNotice::Prohibited]) {
        for (mut script, state) in synchronized().into_iter().zip(expected) {
            assert_eq!(script.state(), state);
            script.command(|connection, _| connection.handle_icmp(Script::ISS + 1, notice));
            assert_eq!(script.state(), state, "{notice}");
        }
    }
}

#[test]
fn a_soft_error_does_not_end_an_attempt_and_explains_its_end() {
    // req: MUST-56, SHLD-25, MUST-47, R5927-3
    for notice in SOFT {
        let mut script = Script::connect(&config());
        script.expect("S 0:0(0)");
        script.command(|connection, _| connection.handle_icmp(Script::ISS, notice));
        assert_eq!(script.state(), State::SynSent, "{notice}");
        script.advance(secs(1));
        script.expect("S 0:0(0)");
        script.advance(secs(180));
        assert_eq!(script.connection.close_reason(), Some(CloseReason::Unreachable(notice)));
        assert_eq!(script.drain_events().last(), Some(&Event::Closed(CloseReason::Unreachable(notice))));
    }
}

#[test]
fn a_hard_error_ends_an_attempt_at_once() {
    // req: SHLD-26
    for notice in HARD {
        let mut script = Script::connect(&config());
        script.expect("S 0:0(0)");
        script.command(|connection, _| connection.handle_icmp(Script::ISS, notice));
        assert_eq!(script.drain_events(), [Event::Closed(CloseReason::Unreachable(notice))]);
        assert_eq!(notice.io_kind(), std::io::ErrorKind::ConnectionRefused);
        script.advance(secs(1000));
        script.expect_nothing();
    }
}

#[test]
fn an_error_that_quotes_nothing_in_flight_is_ignored() {
    // req: MUST-54, R5927-1
    // The connection's share of the matching: the sequence number has to be in flight.
    let mut script = Script::connect(&config());
    for seq in [Script::ISS - 1, Script::ISS + 1] {
        script.command(|connection, _| connection.handle_icmp(seq, IcmpNotice::PortUnreachable));
        assert_eq!(script.state(), State::SynSent);
    }
    for (seq, counts) in [(0, false), (1, true), (10, true), (11, false)] {
        let mut script = Script::established(&config());
        script.write(10);
        script.command(|connection, _| {
            connection.handle_icmp(Script::ISS + seq, IcmpNotice::HostUnreachable);
        });
        assert_eq!(script.connection.info().soft_error.is_some(), counts, "{seq}");
    }
}

#[test]
fn dscp_is_set_by_the_application_and_passed_on_unchanged() {
    // req: MUST-48, SHLD-21, SHLD-22
    let mut script = Script::established(&config());
    for dscp in 0..64 {
        script.connection.set_dscp(dscp);
        script.connection.write(Bytes::from(vec![0; 1448])).unwrap();
        let sent = transmits(&mut script);
        assert_eq!(sent.iter().map(|transmit| transmit.dscp).collect::<Vec<_>>(), [dscp], "at once");
        assert_eq!(sent[0].ecn, Ecn::NotEct, "the ECN bits are not part of it");
        let end = 1 + (u32::from(dscp) + 1) * 1448;
        script.inject(&format!(". 1:1(0) ack {end}"));
    }
}

#[test]
fn dscp_stays_as_it_is_set() {
    // req: SHLD-23, MUST-48
    let mut config = config();
    config.dscp(46);
    let mut script = Script::established(&config);
    script.connection.write(Bytes::from_static(b"data")).unwrap();
    let mut seen = transmits(&mut script);
    // A retransmission, an ACK, a FIN.
    let mut now = script.now();
    for step in 0..3 {
        match step {
            0 => {
                now = script.connection.poll_timeout().unwrap();
                script.connection.handle_timeout(now);
            }
            1 => {
                let data = script.build(&"P. 1:11(10) ack 1".parse().unwrap());
                script.connection.handle_segment(now, data);
            }
            _ => script.connection.shutdown_write(),
        }
        let mut payload = Vec::new();
        while let Some(transmit) = script.connection.poll_transmit(now, &mut payload, usize::MAX) {
            seen.push(transmit);
        }
    }
    assert!(seen.iter().any(|transmit| transmit.header.flags.contains(TcpFlags::FIN)));
    assert!(seen.len() >= 4, "{seen:?}");
    assert!(seen.iter().all(|transmit| transmit.dscp == 46), "{seen:?}");
}

#[test]
fn ttl_is_64_unless_set() {
    // req: MUST-49
    let mut script = Script::established(&config());
    for (set, seen) in [(None, 64), (Some(1), 1), (Some(255), 255), (Some(0), 1)] {
        if let Some(hops) = set {
            script.connection.set_hop_limit(hops);
        }
        script.connection.set_nodelay(true);
        script.connection.write(Bytes::from_static(b"x")).unwrap();
        let sent = transmits(&mut script);
        assert_eq!(sent.iter().map(|transmit| transmit.hop_limit).collect::<Vec<_>>(), [seen]);
    }
    let mut config = config();
    config.hop_limit(17);
    let opening = crate::Opening { tuple: Script::tuple(), iss: Script::ISS, ts_offset: 0, mtu: 1500 };
    let mut fresh = crate::Connection::connect(Instant::ZERO, opening, std::sync::Arc::new(config));
    let syn = fresh.poll_transmit(Instant::ZERO, &mut Vec::new(), usize::MAX).unwrap();
    assert_eq!(syn.hop_limit, 17, "from the first SYN on");
}

#[test]
fn the_received_dscp_is_not_shown() {
    // req: MAY-9
    // What a connection is told of a segment holds no DSCP, so that there is none to show.
    let script = Script::established(&config());
    let Segment { header: _, payload: _, ecn: _, gso_size: _ } =
        script.build(&". 1:1(0) ack 1".parse().unwrap());
}

#[test]
fn data_with_an_impossible_ack_is_not_taken() {
    // req: MAY-12
    // RFC 5961 5: below SND.UNA - MAX.SND.WND, or above SND.NXT.
    for ack in [2u32, 1u32.wrapping_sub(65_536)] {
        let mut script = Script::established_plain(&config());
        let mut segment = script.build(&"P. 1:11(10) ack 1".parse().unwrap());
        segment.header.ack = Script::ISS + ack;
        script.inject_segment(segment);
        assert_eq!(script.octets_read(), 0);
        script.expect(". 1:1(0) ack 1");
    }
    let mut script = Script::established_plain(&config());
    let mut segment = script.build(&"P. 1:11(10) ack 1".parse().unwrap());
    segment.header.ack = Script::ISS + 1u32.wrapping_sub(65_535);
    script.inject_segment(segment);
    assert_eq!(script.octets_read(), 10, "the oldest that can be");
    script.advance(ms(1));
}
