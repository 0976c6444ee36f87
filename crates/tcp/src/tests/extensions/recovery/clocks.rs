//! Recovery with clocks as coarse as they come (pitfall 26): of a microsecond, a millisecond, and 15.6 ms, on paths whose
//! round trip is longer and shorter than their step.

use core::time::Duration;

use super::ms;
use crate::config::TcpConfig;
use crate::testing::{Fate, Pair, Side};

const CLOCKS: [Duration; 3] =
    [Duration::from_micros(1), Duration::from_millis(1), Duration::from_micros(15_600)];

/// A megabyte from A to B over a link with `delay` one way, whose fates `fate` draws by number.
fn transfer(clock: Duration, delay: Duration, fate: impl Fn(u64) -> Fate + 'static) -> (Pair, Duration) {
    let mut config = TcpConfig::new();
    config.send_buffer(2 << 20).recv_buffer(2 << 20);
    let mut pair = Pair::new(config.clone(), config, delay);
    pair.set_clock(clock);
    pair.run_for(Duration::from_secs(1));
    let (mut seed, mut drawn) = (0x9e37_79b9_7f4a_7c15_u64, 0_u64);
    pair.script(move |flight| {
        if flight.from == Side::B || flight.segment.payload.is_empty() {
            return Fate::Deliver;
        }
        drawn += 1;
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(drawn);
        fate(seed >> 33)
    });
    let start = pair.now();
    pair.write(Side::A, &vec![7; 1_000_000]);
    assert!(
        pair.run_until(Duration::from_secs(60), |pair| pair.received(Side::B).len() == 1_000_000),
        "{clock:?}, {delay:?}: {:?}",
        pair.connection(Side::A).info()
    );
    let took = pair.now() - start;
    (pair, took)
}

#[test]
fn losses_are_repaired_without_timeouts_and_little_is_sent_twice() {
    // req: R8985-2, R8985-10
    for clock in CLOCKS {
        for delay in [ms(1), ms(20)] {
            let (mut pair, took) =
                transfer(clock, delay, |roll| if roll % 100 == 0 { Fate::Drop } else { Fate::Deliver });
            let stats = pair.connection(Side::A).info().stats;
            let lost = 1_000_000 / 100;
            assert!(stats.timeouts <= 3, "{clock:?}, {delay:?}: {stats:?}");
            assert!(stats.bytes_retransmitted <= 3 * lost, "{clock:?}, {delay:?}: {stats:?}");
            assert!(took < Duration::from_secs(15), "{clock:?}, {delay:?}: {took:?}");
        }
    }
}

#[test]
fn reordering_without_loss_does_not_collapse_the_window() {
    // req: R8985-6, R8985-8
    for clock in CLOCKS {
        for delay in [ms(2), ms(20)] {
            let late = delay / 3;
            let (mut pair, took) =
                transfer(
                    clock,
                    delay,
                    move |roll| {
                        if roll % 50 == 0 { Fate::Delay(late) } else { Fate::Deliver }
                    },
                );
            let info = pair.connection(Side::A).info();
            assert!(info.stats.bytes_retransmitted <= 30_000, "{clock:?}, {delay:?}: {info:?}");
            assert!(info.cwnd > 20 * info.mss, "{clock:?}, {delay:?}: {info:?}");
            assert!(took < Duration::from_secs(2), "{clock:?}, {delay:?}: {took:?}");
        }
    }
}
