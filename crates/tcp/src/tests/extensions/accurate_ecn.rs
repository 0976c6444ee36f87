//! Accurate feedback of congestion marks (RFC 9768).

use core::time::Duration;

use super::{M, at, config, connecting, ms};
use crate::config::TcpConfig;
use crate::ecn::{EcnMode, EcnPolicy};
use crate::testing::{Pair, Script, Side};
use netstack_wire::Ecn;
use netstack_wire::tcp::TcpFlags;

fn accurate() -> TcpConfig {
    let mut config = config();
    config.ecn(EcnPolicy::Accurate);
    config
}

/// A connection that we opened, whose peer confirmed accurate feedback.
fn opened(config: &TcpConfig) -> Script {
    let mut script = connecting(config);
    script.expect("SEWA 0:0(0) ecn not");
    script.inject("S.W 0:0(0) ack 1 win 65535 <mss 1460>");
    script.expect(".W 1:1(0) ack 1 ecn not");
    assert_eq!(script.connection.info().ecn, EcnMode::Accurate);
    script
}

#[test]
fn the_syn_ack_tells_how_the_syn_arrived() {
    // req: R9768-1
    for (ecn, answer) in [("not", "S.W"), ("ect1", "S.WE"), ("ect0", "S.A"), ("ce", "S.AW")] {
        let mut script = Script::listen(&accurate(), &format!("SEWA 0:0(0) ecn {ecn} win 65535 <mss 1460>"));
        script.expect(&format!("{answer} 0:0(0) ack 1 ecn not"));
        script.inject(".W 1:1(0) ack 1 win 65535");
        script.write(10);
        script.expect("P.AE 1:11(10) ack 1 ecn ect0");
    }
    // A request of a kind that is yet to be invented.
    for flags in ["SA", "SE", "SW", "SAE", "SAW"] {
        Script::listen(&accurate(), &format!("{flags} 0:0(0) win 65535 <mss 1460>"))
            .expect("S.W 0:0(0) ack 1");
    }
}

#[test]
fn each_answer_to_the_request_has_its_mode() {
    // req: R9768-1, R9768-2
    for (answer, mode, sending, ack) in [
        ("S.W", EcnMode::Accurate, true, ".W"),
        ("S.AE", EcnMode::Accurate, true, ".W"),
        // Our SYN left without ECT: what is said to have arrived with it was changed on the way.
        ("S.WE", EcnMode::Accurate, false, ".W"),
        ("S.A", EcnMode::Accurate, false, ".W"),
        ("S.AW", EcnMode::Accurate, false, ".W"),
        ("S.E", EcnMode::Classic, true, "."),
        ("S.", EcnMode::Off, false, "."),
        ("S.AEW", EcnMode::Off, false, "."),
    ] {
        let mut script = connecting(&accurate());
        script.expect("SEWA 0:0(0)");
        script.inject(&format!("{answer} 0:0(0) ack 1 win 65535 <mss 1460>"));
        script.expect(&format!("{ack} 1:1(0) ack 1 ecn not"));
        let info = script.connection.info();
        assert_eq!((info.ecn, info.ecn_sending), (mode, sending), "{answer}");
        script.write(10);
        let flags = if mode == EcnMode::Accurate { "P.AE" } else { "P." };
        let ecn = if sending { "ect0" } else { "not" };
        script.expect(&format!("{flags} 1:11(10) ack 1 ecn {ecn}"));
    }
}

#[test]
fn the_handshakes_last_ack_tells_how_the_syn_ack_arrived() {
    // req: R9768-1, R9768-3
    for (ecn, ack, count) in
        [("not", ".W", "P.AE"), ("ect1", ".WE", "P.AE"), ("ect0", ".A", "P.AE"), ("ce", ".AW", "P.AW")]
    {
        let mut script = connecting(&accurate());
        script.expect("SEWA 0:0(0)");
        script.inject(&format!("S.W 0:0(0) ack 1 win 65535 ecn {ecn} <mss 1460>"));
        script.expect(&format!("{ack} 1:1(0) ack 1"));
        script.write(10);
        script.expect(&format!("{count} 1:11(10) ack 1"));
    }
}

#[test]
fn a_handshake_ack_that_cannot_be_true_ends_ect_alone() {
    // req: R9768-2
    for (ack, sending) in
        [(".W", true), (".", false), (".WE", false), (".A", false), (".AW", false), (".AE", true)]
    {
        let mut script = Script::listen(&accurate(), "SEWA 0:0(0) win 65535 <mss 1460>");
        script.expect("S.W 0:0(0) ack 1");
        script.inject(&format!("{ack} 1:1(0) ack 1 win 65535"));
        let info = script.connection.info();
        assert_eq!((info.ecn, info.ecn_sending), (EcnMode::Accurate, sending), "{ack}");
        script.inject("P. 1:11(10) ack 1 win 65535 ecn ce");
        script.expect(".AW 1:1(0) ack 11");
    }
}

#[test]
fn a_count_that_starts_at_zero_was_cleared_on_the_way() {
    // req: R9768-2
    let mut script = opened(&accurate());
    script.write(10 * M);
    script.forget_sent();
    script.inject(&format!(". 1:1(0) ack {} win 65535", at(1)));
    assert!(!script.connection.info().ecn_sending);
    script.inject(&format!(".W 1:1(0) ack {} win 65535", at(2)));
    assert_eq!(script.connection.info().stats.ecn_reductions, 0, "nor is it listened to");
}

#[test]
fn the_field_counts_marked_packets() {
    // req: R9768-3
    let mut script = opened(&accurate());
    let flags = ["AE", "AW", "AWE", "", "E", "W", "WE", "A", "AE", "AW"];
    for (n, flags) in flags.iter().enumerate().skip(1) {
        let seq = 1 + 100 * (n as u32 - 1);
        script.inject(&format!("P.AE {seq}:{}(100) ack 1 win 65535 ecn ce", seq + 100));
        script.expect(&format!(".{flags} 1:1(0) ack {}", seq + 100));
    }
    // Marks on segments without data count too, where they are acceptable.
    script.inject(".AE 901:901(0) ack 1 win 65535 ecn ce");
    script.inject(".AE 1901:1901(0) ack 9000 win 65535 ecn ce");
    script.forget_sent();
    script.inject("P.AE 901:1001(100) ack 1 win 65535 ecn ect0");
    script.expect(".AWE 1:1(0) ack 1001");
    assert_eq!(script.connection.info().stats.ce_received, 10);
}

#[test]
fn the_count_is_one_reduction_per_window() {
    // req: R9768-3, R3168-6
    let mut script = opened(&accurate());
    script.write(100 * M);
    script.forget_sent();
    let before = script.connection.info().cwnd;
    script.inject(&format!(".AE 1:1(0) ack {} win 65535", at(1)));
    assert_eq!(script.connection.info().stats.ecn_reductions, 0);
    for (index, flags) in [(2, ".AW"), (3, ".AW"), (6, ".E")] {
        script.inject(&format!("{flags} 1:1(0) ack {} win 65535", at(index)));
        while let Some((_, sent)) = script.next_sent() {
            assert!(
                !sent.header.flags.contains(TcpFlags::CWR),
                "CWR is no flag here: {}",
                script.line(&sent)
            );
        }
    }
    let info = script.connection.info();
    assert_eq!((info.stats.ecn_reductions, info.stats.ce_reported), (1, 4));
    assert!(info.cwnd <= before);
}

#[test]
fn a_request_is_repeated_once() {
    // req: R9768-2, R3168-9
    let mut script = connecting(&accurate());
    script.advance(Duration::from_secs(8));
    for syn in ["SEWA 0:0(0)", "SEWA 0:0(0)", "S 0:0(0)", "S 0:0(0)"] {
        script.expect(syn);
    }
    script.inject("S.W 0:0(0) ack 1 win 65535 <mss 1460>");
    let info = script.connection.info();
    assert_eq!((info.ecn, info.ecn_sending), (EcnMode::Accurate, false));
}

#[test]
fn a_mode_never_changes() {
    // req: R9768-2
    let mut script = Script::listen(&accurate(), "SEWA 0:0(0) win 65535 <mss 1460>");
    script.expect("S.W 0:0(0) ack 1");
    script.inject("S 0:0(0) win 65535 <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.inject("SEW 0:0(0) win 65535 <mss 1460>");
    script.expect("S. 0:0(0) ack 1");
    script.inject(".W 1:1(0) ack 1 win 65535");
    let info = script.connection.info();
    assert_eq!((info.ecn, info.ecn_sending), (EcnMode::Accurate, false));
    script.inject("P.AE 1:11(10) ack 1 win 65535 ecn ce");
    script.expect(".AW 1:1(0) ack 11");
}

#[test]
fn without_it_a_request_counts_as_the_classic_one() {
    // req: R9768-4
    for (policy, answer) in [(EcnPolicy::Passive, "S.E"), (EcnPolicy::On, "S.E"), (EcnPolicy::Off, "S.")] {
        let mut config = config();
        config.ecn(policy);
        Script::listen(&config, "SEWA 0:0(0) win 65535 <mss 1460>").expect(&format!("{answer} 0:0(0) ack 1"));
    }
}

#[test]
fn a_super_segment_never_carries_the_middle_bit() {
    // req: R9768-3
    let mut script = opened(&accurate());
    let mut payload = Vec::new();
    for n in 0..9 {
        let now = script.now();
        script.connection.write(vec![0; 4 * M as usize].into()).unwrap();
        while let Some(transmit) = script.connection.poll_transmit(now, &mut payload, usize::MAX) {
            let middle = transmit.header.flags.contains(TcpFlags::CWR);
            assert!(!(middle && transmit.gso_size > 0), "after {n} marks: {transmit:?}");
        }
        let acked = script.connection.info().in_flight;
        let una = 1 + 4 * M * n + acked;
        let seq = 1 + 10 * n;
        script.inject(&format!("P.AE {seq}:{}(10) ack {una} win 65535 ecn ce", seq + 10));
    }
    assert_eq!(script.connection.info().stats.ce_received, 9);
}

#[test]
fn marks_slow_a_transfer_down_and_are_all_counted() {
    // req: R9768-3, R3168-6
    let mut pair = Pair::new(accurate(), accurate(), ms(10));
    pair.run_for(ms(100));
    let mut count = 0;
    pair.rewrite(move |flight| {
        if flight.segment.ecn == Ecn::Ect0 {
            count += 1;
            if count % 20 == 0 {
                flight.segment.ecn = Ecn::Ce;
            }
        }
    });
    let data: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    pair.write(Side::A, &data);
    assert!(pair.run_until(Duration::from_secs(60), |pair| pair.received(Side::B).len() == data.len()));
    assert_eq!(pair.received(Side::B), data);
    pair.run_for(ms(200));
    let (sender, receiver) = (pair.connection(Side::A).info(), pair.connection(Side::B).info());
    assert!(receiver.stats.ce_received >= 30);
    assert_eq!(sender.stats.ce_reported, receiver.stats.ce_received);
    assert!(sender.stats.ecn_reductions >= 3);
    assert_eq!(sender.stats.bytes_retransmitted, 0);
}
