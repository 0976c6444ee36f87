//! Explicit congestion notification with classic feedback (RFC 3168).

use core::time::Duration;

use super::{M, at, config, connecting, ms};
use crate::config::{KeepAlive, TcpConfig};
use crate::ecn::{EcnMode, EcnPolicy};
use crate::testing::{Fate, Pair, Script, Side};
use crate::time::Instant;
use netstack_wire::Ecn;
use netstack_wire::tcp::TcpFlags;

fn asking() -> TcpConfig {
    let mut config = config();
    config.ecn(EcnPolicy::On);
    config
}

/// A connection opened by a peer that asked for ECN, with no option but MSS; all that left is forgotten.
fn agreed(config: &TcpConfig) -> Script {
    let mut script = Script::listen(config, "SEW 0:0(0) win 65535 <mss 1460>");
    script.expect("S.E 0:0(0) ack 1 ecn not");
    script.inject(". 1:1(0) ack 1 win 65535");
    assert_eq!(script.connection.info().ecn, EcnMode::Classic);
    script
}

/// The same with ten full segments in flight and more to send.
fn in_flight(config: &TcpConfig) -> Script {
    let mut script = agreed(config);
    script.write(100 * M);
    for index in 0..10 {
        script.expect(&format!(". {}:{}(1460) ack 1 ecn ect0", at(index), at(index + 1)));
    }
    script.expect_nothing();
    script
}

fn reductions(script: &Script) -> u32 {
    script.connection.info().stats.ecn_reductions
}

#[test]
fn a_syn_ack_agrees_only_where_the_syn_asks() {
    // req: R3168-1, SHLD-8
    let answer = |policy, syn: &str, expected: &str| {
        let mut config = config();
        config.ecn(policy);
        Script::listen(&config, syn).expect(expected);
    };
    let (asks, agrees, refuses) = ("SEW 0:0(0) <mss 1460>", "S.E 0:0(0) ack 1", "S. 0:0(0) ack 1");
    answer(EcnPolicy::Passive, asks, agrees);
    answer(EcnPolicy::On, asks, agrees);
    answer(EcnPolicy::Accurate, asks, agrees);
    answer(EcnPolicy::Off, asks, refuses);
    for syn in ["S 0:0(0) <mss 1460>", "SE 0:0(0) <mss 1460>", "SW 0:0(0) <mss 1460>"] {
        answer(EcnPolicy::On, syn, refuses);
    }
    // A SYN must not be ECN-capable: something on the path plays with the field.
    for ecn in ["ect0", "ect1", "ce"] {
        answer(EcnPolicy::On, &format!("SEW 0:0(0) ecn {ecn} <mss 1460>"), refuses);
    }
}

#[test]
fn only_a_config_that_asks_sends_a_syn_that_asks() {
    // req: R3168-1, R3168-3
    Script::connect(&asking()).expect("SEW 0:0(0) ecn not");
    Script::connect(&config()).expect("S 0:0(0) ecn not");
    let mut off = config();
    off.ecn(EcnPolicy::Off);
    Script::connect(&off).expect("S 0:0(0) ecn not");
}

#[test]
fn a_syn_ack_without_flags_or_with_both_means_no_ecn() {
    // req: R3168-2, R3168-4
    for (flags, mode, ecn) in [
        ("S.E", EcnMode::Classic, "ect0"),
        ("S.EW", EcnMode::Off, "not"),
        ("S.W", EcnMode::Off, "not"),
        ("S.", EcnMode::Off, "not"),
    ] {
        let mut script = connecting(&asking());
        script.expect("SEW 0:0(0)");
        script.inject(&format!("{flags} 0:0(0) ack 1 win 65535 <mss 1460>"));
        script.expect(". 1:1(0) ack 1 ecn not");
        assert_eq!(script.connection.info().ecn, mode, "{flags}");
        script.write(100);
        script.expect(&format!("P. 1:101(100) ack 1 ecn {ecn}"));
        if mode == EcnMode::Off {
            // What is marked or echoed without agreement means nothing.
            script.inject(".E 1:1(0) ack 101 win 65535");
            script.inject("P. 1:101(100) ack 101 win 65535 ecn ce");
            script.advance_ms(500);
            script.expect(". 101:101(0) ack 101");
            assert_eq!(reductions(&script), 0);
        }
    }
}

#[test]
fn only_new_data_is_ecn_capable() {
    // req: R3168-3, R3168-4
    let mut script = agreed(config().nodelay(true));
    script.inject("P. 1:101(100) ack 1 win 65535");
    script.expect(". 1:1(0) ack 101 ecn not");
    script.write(100);
    script.expect("P. 1:101(100) ack 101 ecn ect0");
    script.inject(". 101:101(0) ack 101 win 65535");
    script.write(200);
    script.expect("P. 101:301(200) ack 101 ecn ect0");
    script.advance(Duration::from_secs(2));
    while let Some((_, sent)) = script.next_sent() {
        assert_eq!(sent.ecn, Ecn::NotEct, "a retransmission");
    }
    script.inject(". 101:101(0) ack 301 win 0");
    script.write(50);
    script.advance(Duration::from_secs(5));
    let probe = script.next_sent().expect("a window probe").1;
    assert_eq!((probe.payload.len(), probe.ecn), (1, Ecn::NotEct));
    script.forget_sent();
    script.inject(". 101:101(0) ack 301 win 65535");
    script.forget_sent();
    script.inject(". 101:101(0) ack 351 win 65535");
    script.shutdown_write();
    script.expect("F. 351:351(0) ack 101 ecn not");
}

#[test]
fn a_keep_alive_probe_is_not_ecn_capable() {
    // req: R3168-3
    let keepalive = KeepAlive { idle: Duration::from_secs(5), interval: Duration::from_secs(1), count: 3 };
    let mut script = agreed(config().keepalive(Some(keepalive)));
    script.advance(Duration::from_secs(6));
    script.expect(". 0:0(0) ack 1 ecn not");
}

#[test]
fn a_mark_is_echoed_on_every_ack_until_cwr() {
    // req: R3168-5
    let mut script = agreed(&config());
    script.inject(". 1:1461(1460) ack 1 win 65535 ecn ect0");
    script.expect(". 1:1(0) ack 1461");
    script.inject(". 1461:2921(1460) ack 1 win 65535 ecn ce");
    script.expect(".E 1:1(0) ack 2921");
    script.inject(". 2921:4381(1460) ack 1 win 65535 ecn ect0");
    script.expect(".E 1:1(0) ack 4381");
    script.write(10);
    script.expect("P.E 1:11(10) ack 4381 ecn ect0");
    script.inject(".W 4381:5841(1460) ack 11 win 65535 ecn ect0");
    script.expect(". 11:11(0) ack 5841");
    script.inject(".W 5841:7301(1460) ack 11 win 65535 ecn ce");
    script.expect(".E 11:11(0) ack 7301");
    assert_eq!(script.connection.info().stats.ce_received, 2);
}

#[test]
fn signals_to_a_small_window_do_not_wait_for_the_delayed_ack() {
    // req: R3168-5
    let mut script = agreed(config().quick_acks(0));
    script.inject("P. 1:101(100) ack 1 win 65535 ecn ce");
    script.expect(".E 1:1(0) ack 101");
    script.inject("P. 101:201(100) ack 1 win 65535 ecn ect0");
    script.expect_nothing();
    script.inject("P.W 201:301(100) ack 1 win 65535 ecn ect0");
    script.expect(". 1:1(0) ack 301");
}

#[test]
fn a_mark_on_what_is_not_acceptable_is_ignored() {
    // req: R3168-10
    let mut script = agreed(config().recv_buffer(4096));
    script.inject(". 9001:9101(100) ack 1 win 65535 ecn ce");
    script.expect(". 1:1(0) ack 1");
    script.inject("P. 1:101(100) ack 1 win 65535");
    script.expect(". 1:1(0) ack 101");
    script.inject("P. 1:101(100) ack 1 win 65535 ecn ce");
    script.expect(". 1:1(0) ack 101");
    // Nor does a mark on a segment without data count: it must not be ECN-capable.
    script.inject(". 101:101(0) ack 1 win 65535 ecn ce");
    script.inject("P. 101:201(100) ack 1 win 65535");
    script.expect(". 1:1(0) ack 201");
}

#[test]
fn a_window_of_echoes_is_one_reduction_and_resends_nothing() {
    // req: R3168-6, R3168-7
    let mut script = in_flight(&config());
    let before = script.connection.info().cwnd;
    let mut cwr = Vec::new();
    for index in 1..=10 {
        script.inject(&format!(".E 1:1(0) ack {} win 65535", at(index)));
        assert!(script.connection.info().cwnd < before);
        while let Some((_, sent)) = script.next_sent() {
            let line = script.line(&sent);
            assert!(line.seq >= at(10), "sent again: {line}");
            assert_eq!(sent.ecn, Ecn::Ect0);
            cwr.push(sent.header.flags.contains(TcpFlags::CWR));
        }
    }
    assert_eq!(reductions(&script), 1);
    assert!(cwr[0] && !cwr[1..].contains(&true), "on the first new segment alone: {cwr:?}");
    // What was sent after the reduction can be marked anew.
    script.inject(&format!(".E 1:1(0) ack {} win 65535", at(11)));
    assert_eq!(reductions(&script), 2);
    let info = script.connection.info();
    assert_eq!((info.stats.ce_reported, info.stats.bytes_retransmitted), (11, 0));
}

#[test]
fn an_echo_makes_no_window_grow() {
    // req: R3168-6
    let mut script = in_flight(&config());
    script.inject(&format!(".E 1:1(0) ack {} win 65535", at(1)));
    let reduced = script.connection.info().cwnd;
    for index in 2..=10 {
        script.inject(&format!(".E 1:1(0) ack {} win 65535", at(index)));
        assert_eq!(script.connection.info().cwnd, reduced);
    }
}

#[test]
fn a_reduction_for_a_loss_says_so_too_and_hears_no_echo() {
    // req: R3168-6, R3168-7
    let mut script = in_flight(&config());
    for _ in 0..3 {
        script.inject(".E 1:1(0) ack 1 win 65535");
    }
    let mut sent = Vec::new();
    for index in [5, 8, 10, 11, 12] {
        script.inject(&format!(".E 1:1(0) ack {} win 65535", at(index)));
        sent.extend(std::iter::from_fn(|| script.next_sent()).map(|(_, segment)| segment));
    }
    let has_cwr = |seq: &u32| {
        sent.iter()
            .any(|segment| script.line(segment).seq == *seq && segment.header.flags.contains(TcpFlags::CWR))
    };
    assert!(has_cwr(&at(10)), "the first new data says so");
    assert!(!(0..10).any(|index| has_cwr(&at(index))), "and nothing that is sent again");
}

#[test]
fn a_timeout_is_told_by_cwr_on_new_data() {
    // req: R3168-7, R3168-3
    let mut script = agreed(&config());
    script.write(M);
    script.expect("P. 1:1461(1460) ack 1 ecn ect0");
    script.inject(&format!(". 1:1(0) ack {} win 65535", at(1)));
    script.write(M);
    script.expect("P. 1461:2921(1460) ack 1 ecn ect0");
    script.advance(Duration::from_secs(2));
    script.forget_sent();
    script.inject(&format!(". 1:1(0) ack {} win 65535", at(2)));
    script.write(2 * M);
    script.expect(".W 2921:4381(1460) ack 1 ecn ect0");
}

#[test]
fn at_one_segment_an_echo_stops_the_sender_for_growing_intervals() {
    // req: R3168-8, R9438-7
    let mut script = agreed(&config());
    script.write(M);
    // A timeout: the window is one segment, and stays there, for the ACK that ends it has an echo.
    script.advance(Duration::from_secs(1));
    script.write(50 * M);
    script.forget_sent();
    script.inject(&format!(".E 1:1(0) ack {} win 65535", at(1)));
    assert_eq!(script.connection.info().cwnd, M);
    script.expect(".W 1461:2921(1460) ack 1");
    script.expect_nothing();
    let mut gaps = Vec::new();
    for index in 2..7 {
        let start = script.now();
        script.inject(&format!(".E 1:1(0) ack {} win 65535", at(index)));
        let (left, octets) = wait_for_one(&mut script).expect("it waits, but not for ever");
        assert_eq!(octets, M);
        gaps.push(left - start);
    }
    assert!(gaps[0] >= config().min_rto, "{gaps:?}");
    assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0] * 3 / 2), "{gaps:?}");
    // One ACK without an echo, and it goes on.
    script.inject(&format!(". 1:1(0) ack {} win 65535", at(7)));
    assert!(script.next_sent().is_some());
    assert!(script.connection.info().cwnd > M);
}

/// Advances until something leaves; when, and how many octets of text.
fn wait_for_one(script: &mut Script) -> Option<(Instant, u32)> {
    for _ in 0..200_000 {
        if let Some((at, segment)) = script.next_sent() {
            let octets = segment.payload.len() as u32;
            assert!(script.next_sent().is_none(), "one at a time");
            return Some((at, octets));
        }
        script.advance_ms(1);
    }
    None
}

#[test]
fn a_lost_syn_is_repeated_without_asking() {
    // req: R3168-9
    let mut script = connecting(&asking());
    script.expect("SEW 0:0(0)");
    script.advance(Duration::from_secs(4));
    script.expect("S 0:0(0)");
    script.expect("S 0:0(0)");
    // The answer to the first: what the peer marks is echoed, but who has sent a plain SYN sets no ECT.
    script.inject("S.E 0:0(0) ack 1 win 65535 <mss 1460>");
    script.expect(". 1:1(0) ack 1");
    script.inject("P. 1:101(100) ack 1 win 65535 ecn ce");
    script.expect(".E 1:1(0) ack 101");
    script.write(10);
    script.expect("P.E 1:11(10) ack 101 ecn not");
    let info = script.connection.info();
    assert_eq!((info.ecn, info.ecn_sending), (EcnMode::Classic, false));
}

#[test]
fn a_reset_in_answer_to_an_asking_syn_is_a_refusal() {
    // req: R3168-9
    let mut script = connecting(&asking());
    script.expect("SEW 0:0(0)");
    script.inject("R. 0:0(0) ack 1");
    assert!(script.connection.close_reason().is_some());
    script.expect_nothing();
}

#[test]
fn a_peer_that_gives_up_asking_is_answered_plainly() {
    // req: R3168-1, R3168-9
    let mut script = Script::listen(&config(), "SEW 0:0(0) win 65535 <mss 1460>");
    script.expect("S.E 0:0(0) ack 1");
    script.inject("S 0:0(0) win 65535 <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.inject(". 1:1(0) ack 1 win 65535");
    script.write(10);
    script.expect("P. 1:11(10) ack 1 ecn not");
}

#[test]
fn a_syn_ack_that_gets_lost_twice_is_repeated_plainly() {
    // req: R3168-9
    let mut script = Script::listen(&config(), "SEW 0:0(0) win 65535 <mss 1460>");
    script.advance(Duration::from_secs(10));
    script.expect("S.E 0:0(0) ack 1");
    script.expect("S.E 0:0(0) ack 1");
    script.expect("S. 0:0(0) ack 1");
    script.expect("S. 0:0(0) ack 1");
    script.inject(". 1:1(0) ack 1 win 65535");
    script.write(10);
    script.expect("P. 1:11(10) ack 1 ecn not");
}

#[test]
fn a_path_that_swallows_ect_is_left_alone() {
    // req: R3168-9
    let mut pair = Pair::new(asking(), config(), ms(10));
    pair.script(|flight| if flight.segment.ecn == Ecn::NotEct { Fate::Deliver } else { Fate::Drop });
    pair.run_for(ms(100));
    let data: Vec<u8> = (0..200_000_u32).map(|at| at as u8).collect();
    pair.write(Side::A, &data);
    assert!(pair.run_until(Duration::from_secs(30), |pair| pair.received(Side::B).len() == data.len()));
    assert!(!pair.connection(Side::A).info().ecn_sending);
    let marked = pair.log.iter().filter(|flight| flight.segment.ecn != Ecn::NotEct).count();
    assert!(marked <= 12, "one flight, not {marked} segments");
}

#[test]
fn one_loss_among_many_does_not_end_ecn() {
    // req: R3168-4
    let mut pair = Pair::new(asking(), config(), ms(10));
    pair.run_for(ms(100));
    let mut dropped = false;
    pair.script(move |flight| {
        let first = !dropped && !flight.segment.payload.is_empty();
        dropped |= first;
        if first { Fate::Drop } else { Fate::Deliver }
    });
    let data: Vec<u8> = (0..200_000_u32).map(|at| at as u8).collect();
    pair.write(Side::A, &data);
    assert!(pair.run_until(Duration::from_secs(30), |pair| pair.received(Side::B).len() == data.len()));
    assert!(pair.connection(Side::A).info().ecn_sending);
}

#[test]
fn marks_slow_a_transfer_down_and_lose_nothing() {
    // req: R3168-4, R3168-5, R3168-6, R3168-7, SHLD-8
    let mut pair = Pair::new(asking(), config(), ms(10));
    pair.run_for(ms(100));
    let mut count = 0;
    pair.rewrite(move |flight| {
        if flight.segment.ecn == Ecn::Ect0 {
            count += 1;
            if count % 50 == 0 {
                flight.segment.ecn = Ecn::Ce;
            }
        }
    });
    let data: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    pair.write(Side::A, &data);
    assert!(pair.run_until(Duration::from_secs(60), |pair| pair.received(Side::B).len() == data.len()));
    assert_eq!(pair.received(Side::B), data);
    let (sender, receiver) = (pair.connection(Side::A).info(), pair.connection(Side::B).info());
    assert!(receiver.stats.ce_received >= 10);
    assert!(sender.stats.ecn_reductions >= 3 && sender.stats.ecn_reductions <= receiver.stats.ce_received);
    assert_eq!(sender.stats.bytes_retransmitted, 0);
}

#[test]
fn a_simultaneous_open_of_two_that_ask_agrees() {
    // req: R3168-1
    let mut pair = Pair::new(asking(), asking(), ms(10));
    pair.connect(Side::B);
    pair.run_for(ms(200));
    for side in [Side::A, Side::B] {
        assert_eq!(pair.connection(side).info().ecn, EcnMode::Classic);
    }
    let mut script = connecting(&config());
    script.expect("S 0:0(0)");
    script.inject("SEW 0:0(0) win 65535 <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
}
