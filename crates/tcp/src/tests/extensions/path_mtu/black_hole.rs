//! Full segments vanish without a word.

use super::*;

/// Three timeouts of one segment, and packets are small enough for anything; the data goes on.
// req: R4821-1, R8899-5
#[test]
fn a_path_that_swallows_full_segments_is_found_out() {
    for (mtu, base) in [(1300, 1200), (1200, 1200), (1000, 576), (576, 576)] {
        let mut pair = sending(&config(), 200_000);
        pair.narrow(mtu, None);
        let from = pair.log.len();
        let took = finish(&mut pair, 200_000, Duration::from_secs(60));
        let stats = pair.connection(Side::A).info().stats;
        let falls = if base == 1200 { 1 } else { 2 };
        assert_eq!(stats.path_mtu_reductions, falls, "{mtu}");
        assert!(stats.timeouts <= 3 * falls, "{mtu}: {} timeouts", stats.timeouts);
        assert!(took < Duration::from_secs(if falls == 1 { 4 } else { 30 }), "{mtu}: {took:?}");
        assert!(packets(&pair, from).contains(&base), "{mtu}: {:?}", packets(&pair, from));
        assert!(pair.connection(Side::A).path_mtu() <= mtu);
    }
}

/// Options count in the size of what vanishes: a path that takes a base exactly is found out where packets are an octet larger.
// req: R4821-1
#[test]
fn a_path_that_is_an_octet_too_narrow_is_found_out() {
    for base in [1200, 576] {
        for mtu in [base + 1, base + 12, base + 13] {
            for timestamps in [false, true] {
                let mut config = config();
                config.timestamps(timestamps);
                let mut pair = Pair::established(&config);
                pair.narrow(base, None);
                pair.command(Side::A, |connection, now| connection.set_path_mtu(now, mtu));
                pair.write(Side::A, &pattern(1, 20_001));
                finish(&mut pair, 20_000, Duration::from_secs(60));
                assert_eq!(pair.connection(Side::A).path_mtu(), base, "from {mtu}");
            }
        }
    }
}

/// The search tries the size that was given up, then goes up from the base by sizes of links and tunnels, and ends below what
/// is lost.
// req: R4821-1, R8899-3, R8899-5
#[test]
fn the_search_finds_what_the_path_takes() {
    let mut pair = Pair::established(&config());
    pair.narrow(1400, None);
    for _ in 0..40 {
        pair.write(Side::A, &pattern(1, 100_001));
        pair.run_for(Duration::from_secs(2));
    }
    assert_eq!(pair.received(Side::B).len(), 4_000_000);
    let info = pair.connection(Side::A).info();
    assert_eq!(info.path_mtu, 1400);
    assert_eq!(info.stats.mtu_probes_lost, 1 + 3, "1500, and 1420 three times");
    assert_eq!(info.stats.mtu_probes, 4 + 4, "1280, 1340, 1380 and 1400 got through");
    let tried: Vec<_> = pair.log.iter().filter(|flight| flight.segment.payload.len() == 1420 - 52).collect();
    let apart = |pair: &[&crate::testing::Flight]| pair[1].sent - pair[0].sent >= Duration::from_secs(15);
    assert!(tried.len() == 3 && tried.windows(2).all(apart), "15 s lie between the tries of a size");
}

/// A small segment that is lost again and again says nothing of sizes, and neither does a path that carries nothing at all
/// for some seconds: then the size comes back, by one probe.
// req: R4821-1
#[test]
fn an_outage_is_no_black_hole_for_long() {
    let mut script = wide(&config());
    script.write(500);
    script.advance_ms(20_000);
    assert_eq!(info(&script).path_mtu, 1500, "500 octets fit anywhere");

    let mut pair = sending(&config(), 3_000_000);
    pair.run_for(ms(60));
    pair.script(|_| crate::testing::Fate::Drop);
    pair.run_for(Duration::from_secs(10));
    assert!(pair.connection(Side::A).path_mtu() < 1500, "it looks the same");
    pair.script(|_| crate::testing::Fate::Deliver);
    finish(&mut pair, 3_000_000, Duration::from_secs(60));
    let info = pair.connection(Side::A).info();
    assert_eq!((info.path_mtu, info.stats.mtu_probes, info.stats.mtu_probes_lost), (1500, 1, 0));
}

/// Nothing is concluded where probing is off.
// req: R4821-1
#[test]
fn probing_can_be_switched_off() {
    let mut config = config();
    config.mtu_probing(false);
    let mut pair = sending(&config, 20_000);
    pair.narrow(1300, None);
    pair.run_for(Duration::from_secs(60));
    let got = pair.received(Side::B).len();
    assert_eq!((pair.connection(Side::A).path_mtu(), got), (1500, 10 * 1448), "what had left before");
}

/// What shows to be a black hole is told to others once something got through.
// req: R8201-5
#[test]
fn others_hear_of_it_when_smaller_segments_get_through() {
    let mut script = wide(&config());
    script.write(3 * M);
    script.advance_ms(10_000);
    assert_eq!(info(&script).path_mtu, 1200);
    assert_eq!(script.connection.poll_path_news(), None, "it may be an outage");
    script.inject(". 1:1(0) ack 1161 win 8000");
    assert_eq!(script.connection.poll_path_news(), Some(crate::PathNews::Lowered(1200)));
    assert_eq!(script.connection.poll_path_news(), None, "once");
}
