//! When a larger size is tried, and what a report has to be about.

use super::*;
use crate::info::RecoveryState;
use crate::testing::{Fate, FixedWindow};

/// Octets of text of a segment that fits 1300.
const SMALL: u32 = 1_300 - 40;

/// Over 100 ms, by a peer with these `options`: another connection has found that the path takes 1300, and 600 s later, now, a
/// larger size is due to be tried. With that, octets of a full segment.
pub(in super::super) fn searching(config: &TcpConfig, options: &str) -> (Script, u32) {
    let mut script = super::super::connecting(config);
    script.advance_ms(100);
    script.inject(&format!("S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 7{options}>"));
    script.forget_sent();
    script.command(|connection, now| connection.set_path_mtu(now, 1300));
    script.advance(Duration::from_secs(600));
    (script, SMALL)
}

// req: R1191-5, R4821-2
#[test]
fn a_probe_leaves_when_it_is_due_and_before_other_text() {
    let (mut script, _) = searching(&config(), ",sackOK");
    script.write(20 * SMALL);
    let sent = text_sent(&mut script);
    assert_eq!((sent[0], sent[1]), ((1, M), (1 + M, SMALL)));
}

/// Three segments are to follow it, so that its loss is noticed without a timeout.
// req: R4821-2
#[test]
fn a_probe_leaves_where_enough_follows() {
    for (missing, first) in [(0, M), (1, SMALL)] {
        let (mut script, _) = searching(&config(), ",sackOK");
        script.write(M + 3 * SMALL - missing);
        assert_eq!(text_sent(&mut script)[0], (1, first), "{missing} octets missing");
    }
}

/// Without blocks its loss could not be told from that of its followers.
// req: R4821-3
#[test]
fn without_sack_nothing_is_tried() {
    let (mut script, _) = searching(&config(), "");
    script.write(20 * SMALL);
    assert!(text_sent(&mut script).iter().all(|(_, len)| *len <= SMALL));
}

/// Something may be missing already: a probe would not be lost alone.
// req: R4821-3
#[test]
fn nothing_is_tried_while_segments_arrive_out_of_order() {
    let mut config = config();
    config.congestion(FixedWindow::control(100));
    let (mut script, _) = searching(&config, ",sackOK");
    // Too little to try with.
    script.write(3 * SMALL);
    script.forget_sent();
    script.advance_ms(100);
    script.inject(&format!(". 1:1(0) ack 1 win 500 <sack {}:{}>", 1 + SMALL, 1 + 2 * SMALL));
    script.write(20 * SMALL);
    let sent = text_sent(&mut script);
    assert!(!sent.is_empty() && sent.iter().all(|(_, len)| *len <= SMALL), "{sent:?}");
    script.inject(&format!(". 1:1(0) ack {} win 500", 1 + 23 * SMALL));
    script.write(20 * SMALL);
    assert_eq!(text_sent(&mut script)[0].1, M, "all has arrived");
}

/// Others have found out the same.
// req: R1191-5, R8201-6
#[test]
fn what_is_known_already_does_not_put_a_search_off() {
    let (mut script, _) = searching(&config(), ",sackOK");
    script.command(|connection, now| connection.set_path_mtu(now, 1300));
    script.write(20 * SMALL);
    assert_eq!(text_sent(&mut script)[0], (1, M));
}

/// A size counts as too large only if nothing but probes of it is lost.
// req: R4821-3, R8899-3
#[test]
fn losses_beside_each_probe_say_nothing_of_its_size() {
    let mut pair = sending(&config(), 50_000);
    pair.narrow(1300, Some(1300));
    pair.run_for(Duration::from_secs(600));
    pair.narrow(1500, None);
    let mut lose = 0;
    pair.script(move |flight| {
        let ours = flight.from == Side::A && !flight.segment.payload.is_empty();
        let probe = ours && flight.segment.payload.len() > 1300 - 52;
        lose = if probe { 3 } else { lose - i32::from(ours && lose > 0) };
        if lose > 0 { Fate::Drop } else { Fate::Deliver }
    });
    let from = pair.log.len();
    for _ in 0..6 {
        pair.write(Side::A, &[7; 200_000]);
        pair.run_for(Duration::from_secs(20));
    }
    let larger: Vec<_> = packets(&pair, from).into_iter().filter(|size| *size > 1300).collect();
    assert!(larger.len() > 3 && larger.iter().all(|size| *size == 1500), "{larger:?}");
}

/// Beside small segments: a router with an MTU beyond that of the packet in question had no reason to say so.
// req: R5927-4, R8899-1
#[test]
fn a_report_about_a_packet_that_fits_is_forged() {
    let mut script = wide(&config());
    script.write(600);
    for mtu in [680, 1280, 1499] {
        report(&mut script, 1, mtu);
        assert_eq!(info(&script).path_mtu, 1500, "{mtu}");
    }
    // Options may have made it as long as 679.
    report(&mut script, 1, 679);
    assert_eq!(info(&script).path_mtu, 679);
}

/// The plateau is the next below the packet, options included.
// req: R1191-3
#[test]
fn a_router_that_names_no_size_is_taken_to_speak_of_the_whole_packet() {
    let mut script = Script::established(&config());
    script.write(5 * M);
    script.forget_sent();
    report(&mut script, 1, 0);
    assert_eq!(info(&script).path_mtu, 1492);
}

/// What is sent again in pieces is no congestion, but what else is lost meanwhile is.
// req: R4821-3, R6675-7
#[test]
fn a_loss_among_what_fits_the_path_is_congestion() {
    let mut config = config();
    config.nodelay(true);
    let mut script = wide(&config);
    script.write(M);
    for _ in 0..6 {
        script.write(500);
    }
    script.advance_ms(10);
    script.forget_sent();
    report(&mut script, 1, 1280);
    assert_eq!(text_sent(&mut script), [(1, 1240), (1241, 220)]);
    assert_eq!((info(&script).recovery, info(&script).ssthresh), (RecoveryState::Resizing, None));
    script.advance_ms(10);
    let (left, right) = (1 + M + 500, 1 + M + 2_000);
    script.inject(&format!(". 1:1(0) ack 1 win 8000 <sack {left}:{right}>"));
    let after = info(&script);
    assert_eq!((after.recovery, after.stats.fast_retransmits), (RecoveryState::Recovery, 1));
    assert!(after.ssthresh.is_some(), "{after:?}");
}
