//! The device's own MTU changes beside what is known of the path.

use super::*;

/// A link that becomes narrower than the path, which a router has reported: what is sent again fits both, and once the link
/// is as wide as before the path is still known.
// req: R1191-2, MUST-16
#[test]
fn the_narrower_of_link_and_path_counts() {
    let mut script = wide(&config());
    script.write(4 * M);
    script.forget_sent();
    report(&mut script, 1, 1300);
    assert_eq!(text_sent(&mut script)[0], (1, 1260));
    script.command(|connection, _| connection.set_link_mtu(1280));
    assert_eq!((info(&script).path_mtu, info(&script).mss), (1280, 1240));
    script.forget_sent();
    script.advance_ms(250);
    assert_eq!(text_sent(&mut script)[0], (1, 1240));
    script.command(|connection, _| connection.set_link_mtu(1500));
    assert_eq!((info(&script).path_mtu, info(&script).mss), (1300, 1260));
}

/// A report about what left over the wider link of before counts.
// req: R1191-2
#[test]
fn a_report_about_what_left_before_counts() {
    let mut script = wide(&config());
    script.write(4 * M);
    script.forget_sent();
    script.command(|connection, _| connection.set_link_mtu(1300));
    script.expect_nothing();
    report(&mut script, 1, 1280);
    assert_eq!(text_sent(&mut script)[0], (1, 1240));
    script.command(|connection, _| connection.set_link_mtu(1500));
    assert_eq!(info(&script).path_mtu, 1280, "the path is as narrow as before");
}

/// Ends whose path takes 1300 and says nothing, at the moment in which A has sent a probe.
fn probing() -> (Pair, usize) {
    let mut pair = sending(&config(), 50_000);
    pair.narrow(1300, Some(1300));
    pair.run_for(Duration::from_secs(600));
    pair.narrow(1300, None);
    let from = pair.log.len();
    for _ in 0..1_000 {
        pair.write(Side::A, &[7; 20_000]);
        for _ in 0..100 {
            pair.run_for(ms(1));
            if packets(&pair, from).iter().any(|size| *size > 1300) {
                return (pair, from);
            }
        }
    }
    panic!("no probe leaves: {pair:?}");
}

/// A probe that a narrower link cuts in pieces is none any more: that the pieces arrive does not raise the estimate.
// req: R4821-2, R4821-3
#[test]
fn a_probe_in_pieces_proves_nothing() {
    let (mut pair, _) = probing();
    pair.command(Side::A, |connection, _| connection.set_link_mtu(1290));
    pair.run_for(Duration::from_secs(5));
    pair.command(Side::A, |connection, _| connection.set_link_mtu(1500));
    assert_eq!(pair.connection(Side::A).path_mtu(), 1300);
    assert_eq!(pair.connection(Side::A).info().in_flight, 0, "nothing is missing");
}

/// A window of full segments that vanished, without SACK, leaves again in pieces of next to nothing: no timeout of these is
/// taken for a mistake.
// req: R5682-4, R4821-1
#[test]
fn a_lost_window_leaves_again_in_tiny_pieces() {
    let mut config = config();
    config.sack(false).timestamps(false).min_path_mtu(68);
    let mut pair = sending(&config, 106_945);
    pair.run_for(ms(20));
    pair.narrow(576, None);
    pair.run_for(ms(20));
    pair.command(Side::A, |connection, _| connection.set_link_mtu(68));
    pair.command(Side::A, |connection, _| connection.set_link_mtu(96));
    finish(&mut pair, 106_945, Duration::from_secs(300));
    assert_eq!(pair.connection(Side::A).info().stats.spurious_timeouts, 0);
}

/// A search goes as far as the link does, also where that has become narrower since it began.
// req: R4821-2, R8899-3
#[test]
fn no_probe_is_larger_than_the_link() {
    let (mut pair, from) = probing();
    // Three probes of the link's size are lost: from here on it goes in steps.
    while packets(&pair, from).iter().filter(|size| **size == 1500).count() < 3 {
        pair.write(Side::A, &[7; 20_000]);
        pair.run_for(Duration::from_secs(1));
    }
    pair.run_for(Duration::from_secs(1));
    pair.command(Side::A, |connection, _| connection.set_link_mtu(1330));
    let from = pair.log.len();
    for _ in 0..30 {
        pair.write(Side::A, &[7; 20_000]);
        pair.run_for(Duration::from_secs(5));
    }
    let sent = packets(&pair, from);
    assert!(sent.iter().all(|size| *size <= 1330), "{sent:?}");
    assert!(sent.contains(&1330), "it is tried all the same");
}
