//! What a router reports makes segments smaller at once.

use super::*;
use crate::info::RecoveryState;

/// What is in flight is cut anew and sent again at once; the window counts as many segments as before in the first flight,
/// and no congestion is seen in it.
// req: R1191-2, R8201-1, R8201-6, R5681-18
#[test]
fn a_report_makes_what_is_in_flight_leave_again_smaller() {
    for controller in [CongestionControl::NewReno, CongestionControl::Cubic, CongestionControl::Bbr] {
        let mut script = wide(config().congestion(controller));
        script.write(30 * M);
        assert_eq!(text_sent(&mut script).len(), 10, "the initial window");
        let before = info(&script);
        report(&mut script, 1, 1280);
        let sent = text_sent(&mut script);
        let small = 1280 - 40;
        assert_eq!(sent[0], (1, small), "without a wait, from the start");
        assert!(sent.iter().all(|(_, len)| *len <= small), "{sent:?}");
        assert_eq!(sent.len(), 10, "about ten small segments, not twelve");
        assert!(sent.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0), "without a gap: {sent:?}");
        let after = info(&script);
        assert_eq!((after.path_mtu, after.mss), (1280, small));
        assert_eq!(after.cwnd, before.cwnd / M * small, "in segments the window is what it was");
        assert_eq!(after.ssthresh, before.ssthresh, "no congestion");
        assert_eq!((after.stats.timeouts, after.stats.fast_retransmits, after.stats.bytes_lost), (0, 0, 0));
        assert_eq!(after.recovery, RecoveryState::Resizing);
        script.inject(&format!(". 1:1(0) ack {} win 8000", 1 + 10 * small));
        let done = info(&script);
        assert!(done.cwnd > after.cwnd && done.ssthresh == before.ssthresh, "slow start goes on");
    }
}

/// After the first flights the window in octets stays as it is.
// req: R1191-2
#[test]
fn a_window_that_has_grown_keeps_its_octets() {
    let mut pair = sending(&config(), 4_000_000);
    pair.run_for(ms(150));
    let before = pair.connection(Side::A).info();
    assert!(before.cwnd > 30 * M, "slow start has come some way: {before:?}");
    pair.narrow(1300, Some(1300));
    let from = pair.log.len();
    pair.run_for(ms(30));
    let after = pair.connection(Side::A).info();
    assert_eq!(after.path_mtu, 1300);
    assert!(after.cwnd >= before.cwnd && after.ssthresh == before.ssthresh, "{before:?} {after:?}");
    finish(&mut pair, 4_000_000, Duration::from_secs(10));
    let stats = pair.connection(Side::A).info().stats;
    assert_eq!((stats.timeouts, stats.fast_retransmits), (0, 0), "no loss was seen");
    let first_small = packets(&pair, from).iter().position(|size| *size <= 1300).unwrap();
    assert!(packets(&pair, from)[first_small..].iter().all(|size| *size <= 1300), "never larger again");
}

/// A report counts only if it is about a segment in flight: by its first octet, and by its size.
// req: R5927-4, R8201-3, R8899-1, R1191-4
#[test]
fn a_forged_report_changes_nothing() {
    let mut script = wide(&config());
    script.write(5 * M);
    script.forget_sent();
    let forged = [
        (0, 68),
        (2, 68),
        (1 + M / 2, 576),
        (1 + 5 * M, 576),
        (1 + 500 * M, 576),
        // No router has a reason to say these.
        (1, 1500),
        (1, 9000),
        (1, u16::MAX),
    ];
    for (seq, mtu) in forged {
        report(&mut script, seq, mtu);
        script.expect_nothing();
        assert_eq!((info(&script).path_mtu, info(&script).mss), (1500, M), "{seq} {mtu}");
    }
    // What was acknowledged is not in flight any more.
    script.inject(&format!(". 1:1(0) ack {} win 8000", 1 + M));
    report(&mut script, 1, 1280);
    assert_eq!(info(&script).path_mtu, 1500);
    let mut ended = wide(&config());
    report(&mut ended, 1, 1280);
    assert_eq!(info(&ended).path_mtu, 1500, "nothing is in flight");
}

/// IPv4: an MTU of 0 is the next lower plateau, and nothing goes below the floor: 552, or what is set instead, down to 68.
// req: R1191-3, R1191-4
#[test]
fn old_routers_and_absurd_reports_find_a_floor() {
    let cases = [
        (552, vec![(0, 1492), (20, 552), (551, 552), (553, 553), (1499, 1499)], vec![1492, 1006, 552]),
        (20, vec![(20, 68), (68, 68), (69, 69), (552, 552)], vec![1492, 1006, 508, 296, 68]),
    ];
    for (floor, reports, plateaus) in cases {
        let mut config = config();
        if floor != 552 {
            config.min_path_mtu(floor);
        }
        assert_eq!(config.min_path_mtu_size(), floor.max(68));
        reports_find_a_floor(&config, &reports, &plateaus);
    }
}

fn reports_find_a_floor(config: &TcpConfig, reports: &[(u16, u16)], plateaus: &[u16]) {
    for &(mtu, estimate) in reports {
        let mut script = wide(config);
        script.write(5 * M);
        script.forget_sent();
        report(&mut script, 1, mtu);
        assert_eq!(info(&script).path_mtu, estimate, "{mtu}");
        let sent = text_sent(&mut script);
        assert!(sent.iter().all(|(_, len)| *len <= u32::from(estimate) - 40), "{sent:?}");
        assert_eq!(sent[0].0, 1);
    }
    let mut script = wide(config);
    script.write(M);
    let mut known = Vec::new();
    for _ in 0..12 {
        report(&mut script, 1, 0);
        known.push(info(&script).path_mtu);
    }
    known.dedup();
    assert_eq!(known, plateaus, "plateau by plateau");
}

/// IPv6: a report of less than 1280 is no report.
// req: R8201-2, R8201-1
#[test]
fn the_least_mtu_of_ipv6_is_the_floor() {
    use crate::connection::Opening;
    use crate::tuple::FourTuple;
    let local = "[2001:db8::2]:7".parse().unwrap();
    let remote = "[2001:db8::1]:50000".parse().unwrap();
    let tuple = FourTuple::new(local, remote);
    let opening = Opening { tuple, iss: Script::ISS, ts_offset: 0, mtu: 1500 };
    for (mtu, estimate) in [(0, 1500), (600, 1500), (1279, 1500), (1280, 1280), (1400, 1400), (9000, 1500)] {
        let mut script = Script::connect_with(&config(), opening);
        script.auto_timestamps = false;
        script.inject("S. 0:0(0) ack 1 win 65535 <mss 1440>");
        script.write(5 * M);
        script.forget_sent();
        report(&mut script, 1, mtu);
        assert_eq!(info(&script).path_mtu, estimate, "{mtu}");
        let smaller = u32::from(estimate) - 60;
        assert_eq!(text_sent(&mut script).first().copied(), (estimate < 1500).then_some((1, smaller)));
    }
}

/// Two reports in a row, each from a router further on; those that come late say nothing new.
// req: R1191-2, R1191-4
#[test]
fn each_narrower_link_on_the_path_is_heeded() {
    let mut script = wide(&config());
    script.write(12 * M);
    script.forget_sent();
    report(&mut script, 1, 1400);
    script.forget_sent();
    for late in 1..8 {
        report(&mut script, 1 + late * M, 1400);
    }
    script.expect_nothing();
    assert_eq!(info(&script).stats.path_mtu_reductions, 1);
    report(&mut script, 1, 1300);
    assert_eq!(info(&script).path_mtu, 1300);
    assert_eq!(text_sent(&mut script)[0], (1, 1260));
}

/// The MSS option speaks of what we take, not of the path.
// req: R1191-6
#[test]
fn the_mss_option_does_not_follow_the_path() {
    let mut script = Script::connect(&config());
    script.command(|connection, now| connection.set_path_mtu(now, 1400));
    let syn = script.expect("S 0:0(0)");
    assert_eq!(syn.header.options.mss, Some(1460));
    script.advance_ms(1_000);
    assert_eq!(script.expect("S 0:0(0)").header.options.mss, Some(1460), "sent with the path known");
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,ts 1 0>");
    assert_eq!(info(&script).mss, 1400 - OVERHEAD, "but text does");
}

/// What another connection has learned: new segments fit, and what is in flight leaves again, smaller, only if it is lost.
// req: R8201-6, R8201-5
#[test]
fn what_others_learned_holds_for_what_leaves_next() {
    let mut script = wide(&config());
    script.write(3 * M);
    script.forget_sent();
    script.command(|connection, now| connection.set_path_mtu(now, 1280));
    script.expect_nothing();
    script.write(2 * M);
    assert_eq!(text_sent(&mut script)[0], (1 + 3 * M, 1240));
    // The oldest is lost: it is cut where it is sent again.
    for block in 1..4 {
        script.inject(&format!(". 1:1(0) ack 1 win 8000 <sack {}:{}>", 1 + M, 1 + 2 * M + block * 1240));
    }
    script.advance_ms(100);
    let again = |script: &mut Script| text_sent(script).into_iter().filter(|(seq, _)| *seq <= M).collect();
    let first: Vec<_> = again(&mut script);
    assert_eq!(first, [(1, 1240)]);
    script.inject(&format!(". 1:1(0) ack 1241 win 8000 <sack {}:{}>", 1 + M, 1 + 2 * M + 3 * 1240));
    let second: Vec<_> = again(&mut script);
    assert_eq!(second, [(1241, M - 1240)]);
    // A report about one of the old segments still counts as one.
    let mut script = wide(&config());
    script.write(3 * M);
    script.forget_sent();
    script.command(|connection, now| connection.set_path_mtu(now, 1280));
    report(&mut script, 1, 1280);
    assert_eq!(text_sent(&mut script)[0], (1, 1240), "at once");
}

/// Reports are not heeded where discovery is off.
// req: R1191-2
#[test]
fn discovery_can_be_switched_off() {
    let mut config = config();
    config.path_mtu_discovery(false);
    let mut script = wide(&config);
    script.write(3 * M);
    script.forget_sent();
    report(&mut script, 1, 1280);
    script.expect_nothing();
    assert_eq!(info(&script).path_mtu, 1500);
}

/// The largest MTU there is, and options beside the text: no packet is larger than the path takes.
// req: R1191-2, MUST-16
#[test]
fn options_count_in_the_size_of_packets() {
    let mut config = config();
    config.min_path_mtu(68);
    for mtu in [68, 100, 296, 552, 1280, 1499] {
        let mut pair = Pair::established(&config);
        pair.narrow(mtu, Some(mtu));
        // Text both ways, and losses, so that segments carry SACK blocks.
        pair.script(|flight| {
            if flight.index % 11 == 5 { crate::testing::Fate::Drop } else { crate::testing::Fate::Deliver }
        });
        pair.write(Side::B, &pattern(1, 20_000));
        pair.write(Side::A, &pattern(1, 20_000));
        finish(&mut pair, 19_999, Duration::from_secs(120));
        let too_large = |flight: &&crate::testing::Flight| {
            20 + flight.segment.header.header_len() + flight.segment.payload.len() > usize::from(mtu)
        };
        let from = pair.log.len();
        pair.write(Side::A, &pattern(1, 20_000));
        pair.run_for(Duration::from_secs(60));
        let found = pair.log[from..].iter().find(too_large);
        assert!(found.is_none(), "{mtu}: {found:?}");
    }
}
