//! Recovery with clocks as coarse as they come (pitfall 26): of a microsecond, a millisecond, and 15.6 ms, on paths whose
//! round trip is longer and shorter than their step, by each controller, with SACK and without.

use core::time::Duration;

use netstack_wire::tcp::TcpFlags;

use super::ms;
use crate::config::TcpConfig;
use crate::congestion::CongestionControl;
use crate::info::TcpInfo;
use crate::testing::{Fate, Flight, Pair, Side};

const CLOCKS: [Duration; 3] =
    [Duration::from_micros(1), Duration::from_millis(1), Duration::from_micros(15_600)];

const CONTROLLERS: [CongestionControl; 3] =
    [CongestionControl::Cubic, CongestionControl::NewReno, CongestionControl::Bbr];

fn config(controller: &CongestionControl) -> TcpConfig {
    let mut config = TcpConfig::new();
    config.congestion(controller.clone()).send_buffer(2 << 20).recv_buffer(2 << 20);
    config
}

/// An open pair with `delay` one way.
fn open(config: &TcpConfig, clock: Duration, delay: Duration) -> Pair {
    let mut pair = Pair::new(config.clone(), config.clone(), delay);
    pair.set_clock(clock);
    pair.run_for(Duration::from_secs(1));
    pair
}

/// A megabyte from A to B, within a minute; how long it took.
fn transfer(pair: &mut Pair, context: &str) -> Duration {
    let (start, before) = (pair.now(), pair.received(Side::B).len());
    pair.write(Side::A, &vec![7; 1_000_000]);
    assert!(
        pair.run_until(Duration::from_secs(60), |pair| pair.received(Side::B).len() == before + 1_000_000),
        "{context}: {:?}",
        pair.connection(Side::A).info()
    );
    pair.now() - start
}

fn info(pair: &mut Pair) -> TcpInfo {
    pair.connection(Side::A).info()
}

fn is_text(flight: &Flight) -> bool {
    flight.from == Side::A && !flight.segment.payload.is_empty()
}

/// Of A's segments with text, the fates that `fate` draws by number.
fn drawn(mut fate: impl FnMut(u64) -> Fate + 'static) -> impl FnMut(&Flight) -> Fate + 'static {
    let (mut seed, mut drawn) = (0x9e37_79b9_7f4a_7c15_u64, 0_u64);
    move |flight| {
        if !is_text(flight) {
            return Fate::Deliver;
        }
        drawn += 1;
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(drawn);
        fate(seed >> 33)
    }
}

/// Each controller, clock, and one of `delays`.
fn each(delays: [Duration; 2], mut run: impl FnMut(&CongestionControl, Duration, Duration, &str)) {
    for controller in &CONTROLLERS {
        for clock in CLOCKS {
            for delay in delays {
                run(controller, clock, delay, &format!("{controller:?}, clock {clock:?}, {delay:?} one way"));
            }
        }
    }
}

#[test]
fn losses_are_repaired_without_timeouts_and_little_is_sent_twice() {
    // req: R8985-2, R8985-10
    each([ms(1), ms(20)], |controller, clock, delay, context| {
        let mut pair = open(&config(controller), clock, delay);
        pair.script(drawn(|roll| if roll % 100 == 0 { Fate::Drop } else { Fate::Deliver }));
        let took = transfer(&mut pair, context);
        let stats = info(&mut pair).stats;
        let lost = 1_000_000 / 100;
        assert!(stats.timeouts <= 3, "{context}: {stats:?}");
        assert!(stats.bytes_retransmitted <= 3 * lost, "{context}: {stats:?}");
        assert!(took < Duration::from_secs(15), "{context}: {took:?}");
    });
}

#[test]
fn without_sack_losses_are_repaired_as_well() {
    // req: R6582-3
    each([ms(1), ms(20)], |controller, clock, delay, context| {
        let mut pair = open(config(controller).sack(false), clock, delay);
        pair.script(drawn(|roll| if roll % 100 == 0 { Fate::Drop } else { Fate::Deliver }));
        let took = transfer(&mut pair, context);
        let stats = info(&mut pair).stats;
        assert!(stats.bytes_retransmitted <= 60_000, "{context}: {stats:?}");
        assert!(took < Duration::from_secs(20), "{context}: {took:?}");
    });
}

#[test]
fn reordering_without_loss_does_not_collapse_the_window() {
    // req: R8985-6, R8985-8
    each([ms(2), ms(20)], |controller, clock, delay, context| {
        let late = delay / 3;
        let mut pair = open(&config(controller), clock, delay);
        pair.script(drawn(move |roll| if roll % 50 == 0 { Fate::Delay(late) } else { Fate::Deliver }));
        let took = transfer(&mut pair, context);
        let info = info(&mut pair);
        assert!(info.stats.bytes_retransmitted <= 30_000, "{context}: {info:?}");
        assert!(info.cwnd > 20 * info.mss, "{context}: {info:?}");
        assert!(took < Duration::from_secs(3), "{context}: {took:?}");
    });
}

#[test]
fn a_lost_tail_is_probed_for() {
    // req: R8985-13, R8985-16
    each([ms(1), ms(20)], |controller, clock, delay, context| {
        let mut pair = open(&config(controller), clock, delay);
        let mut lost = false;
        pair.script(move |flight| {
            let tail = is_text(flight) && flight.segment.header.flags.contains(TcpFlags::PSH);
            if tail && !core::mem::replace(&mut lost, true) { Fate::Drop } else { Fate::Deliver }
        });
        transfer(&mut pair, context);
        pair.run_for(Duration::from_secs(1));
        let stats = info(&mut pair).stats;
        assert_eq!((stats.tail_probes, stats.timeouts), (1, 0), "{context}: {stats:?}");
        assert!(stats.bytes_retransmitted <= 1_448, "{context}: {stats:?}");
    });
}

#[test]
fn a_pause_of_the_path_is_undone() {
    // req: R5682-4, R5682-6
    each([ms(1), ms(20)], |controller, clock, delay, context| {
        let mut pair = open(&config(controller), clock, delay);
        transfer(&mut pair, context);
        let (from, pause) = (pair.now() + delay, ms(700));
        // What leaves in the pause arrives at its end, in its order.
        pair.script(move |flight| {
            let over = from + pause;
            let within = flight.sent >= from && flight.sent < over;
            if is_text(flight) && within { Fate::Delay(over - flight.sent) } else { Fate::Deliver }
        });
        let before = info(&mut pair);
        transfer(&mut pair, context);
        pair.run_for(Duration::from_secs(1));
        let after = info(&mut pair);
        assert!(after.stats.spurious_timeouts >= 1, "{context}: {after:?}");
        // BBR's window follows its model's samples, also without a loss.
        let percent = if matches!(controller, CongestionControl::Bbr) { 75 } else { 90 };
        assert!(after.cwnd >= before.cwnd * percent / 100, "{context}: {} to {}", before.cwnd, after.cwnd);
        assert_eq!(after.ssthresh, before.ssthresh, "{context}");
    });
}
