//! The receive buffer's growth, on its own.

use core::time::Duration;

use netstack_wire::SeqNum;
use proptest::prelude::*;

use super::{Arrived, Tuning};
use crate::config::{FIRST_BUFFER, TcpConfig};
use crate::time::Instant;

const MSS: u32 = 1460;
const LIMIT: u32 = 32 << 20;

fn tuned(limit: u32) -> Tuning {
    Tuning::new(TcpConfig::new().recv_buffer_limit(limit as usize))
}

/// A segment at `millis`, `received` octets in, `consumed` of them by the application.
fn segment(millis: u64, received: u32, consumed: u32) -> Arrived {
    Arrived {
        now: Instant::from_nanos(millis * 1_000_000),
        nxt: SeqNum(received),
        window: FIRST_BUFFER,
        mss: MSS,
        consumed,
        echo: None,
        srtt: Some(Duration::from_millis(100)),
    }
}

#[test]
fn it_starts_small_and_a_fixed_one_stays_as_it_is() {
    assert_eq!(tuned(LIMIT).size(), FIRST_BUFFER);
    assert_eq!(tuned(4096).size(), 4096);
    assert_eq!(Tuning::new(TcpConfig::new().recv_buffer(1 << 20)).size(), 1 << 20);
}

#[test]
fn it_keeps_ahead_of_a_sender_that_doubles() {
    let mut tuning = tuned(LIMIT);
    let (mut total, mut flight) = (0_u32, 10 * MSS);
    tuning.on_text(&segment(0, MSS, 0), LIMIT);
    for round in 1..14 {
        total += flight;
        flight *= 2;
        tuning.on_read(0);
        tuning.on_text(&segment(round * 101, total, total), LIMIT);
        assert!(tuning.size() >= flight.min(LIMIT / 2), "round {round}: {} for {flight}", tuning.size());
    }
    assert_eq!(tuning.size(), LIMIT);
}

#[test]
fn what_nobody_reads_makes_nothing_grow() {
    let mut tuning = tuned(LIMIT);
    for round in 0..100 {
        tuning.on_text(&segment(round * 101, 50_000, 0), LIMIT);
    }
    assert_eq!(tuning.size(), FIRST_BUFFER);
}

#[test]
fn a_steady_rate_asks_for_twice_a_round_trip_of_it() {
    let mut tuning = tuned(LIMIT);
    // 200 KB in each 100 ms.
    let mut run = |from: u32, to: u32| {
        for step in from..to {
            let echo = Some((step, Duration::from_millis(100)));
            let arrived = Arrived { echo, ..segment(u64::from(step) * 10, step * 20_000, step * 20_000) };
            tuning.on_text(&arrived, LIMIT);
        }
        tuning.size()
    };
    let size = run(0, 500);
    assert!((400_000..500_000).contains(&size), "{size}");
    assert_eq!(run(500, 1_000), size, "and no more");
}

/// Two more such steps may come before the next estimate: a sender that adds a tenth in each round trip gets a fifth more.
#[test]
fn a_sender_that_speeds_up_gets_room_for_its_next_steps() {
    let mut tuning = tuned(LIMIT);
    let (mut total, mut flight) = (0, 10 * MSS);
    for round in 0..30_u32 {
        let echo = Some((round, Duration::from_millis(100)));
        let arrived = Arrived { echo, ..segment(u64::from(round) * 101, total, total) };
        tuning.on_text(&arrived, LIMIT);
        tuning.on_read(0);
        total += flight;
        flight += flight / 10;
    }
    // What the last round trip brought is two steps behind.
    let steady = 2 * (flight * 100 / 121) + 16 * MSS;
    let percent = tuning.size() * 100 / steady;
    assert!((115..125).contains(&percent), "{percent} % of {steady}");
}

#[test]
fn a_reader_that_lags_gets_no_headroom() {
    let size = |unread| {
        let mut tuning = tuned(LIMIT);
        for step in 0..20 {
            tuning.on_text(&segment(u64::from(step) * 101, step * 40_000, step * 40_000), LIMIT);
            tuning.on_read(unread);
        }
        tuning.size()
    };
    assert_eq!(size(60_000), 2 * 40_000 + 16 * MSS);
    assert!(size(0) > size(60_000));
    assert_eq!(size(4_000), size(0), "what is about to be read is no lag");
}

#[test]
fn under_pressure_it_rests() {
    let mut tuning = tuned(LIMIT);
    let mut grow = |from: u32, to: u32, limit| {
        for step in from..to {
            tuning.on_text(&segment(u64::from(step) * 101, step * 200_000, step * 200_000), limit);
        }
        tuning.size()
    };
    assert_eq!(grow(0, 10, 0), FIRST_BUFFER);
    assert!(grow(10, 20, LIMIT) > FIRST_BUFFER);
}

#[test]
fn the_round_trip_comes_from_echoes_or_from_whole_windows() {
    let mut tuning = tuned(LIMIT);
    let mut at = |millis, received, echo, srtt| {
        let arrived = Arrived { echo, srtt, ..segment(millis, received, 0) };
        tuning.on_text(&arrived, LIMIT);
        tuning.rtt().map(|rtt| rtt.as_millis())
    };
    assert_eq!(at(0, 0, None, None), None);
    assert_eq!(at(20, 10_000, None, None), None);
    assert_eq!(at(40, FIRST_BUFFER, None, None), Some(39));
    assert_eq!(at(50, FIRST_BUFFER + 10_000, None, None), Some(39), "a part of a window tells nothing");
    assert_eq!(at(140, 2 * FIRST_BUFFER, None, None), Some(39), "the shortest");
    let ms = Duration::from_millis;
    assert_eq!(at(150, 2 * FIRST_BUFFER, Some((7, ms(80))), None), Some(80));
    assert_eq!(at(160, 2 * FIRST_BUFFER, Some((7, ms(800))), None), Some(80), "an echo counts once");
    assert_eq!(at(170, 2 * FIRST_BUFFER, Some((8, ms(160))), None), Some(89));
}

proptest! {
    /// It never shrinks, never passes its limit, and never panics, whatever is measured.
    #[test]
    fn it_only_grows(
        limit in 1024_u32..=1 << 30,
        steps in proptest::collection::vec((0_u64..10_000, any::<u32>(), any::<u32>(), proptest::option::of(0_u64..100_000), any::<u16>()), 1..100),
    ) {
        // req: SHLD-14
        let mut tuning = tuned(limit);
        let mut millis = 0;
        let mut size = tuning.size();
        for (gap, received, consumed, echo, mss) in steps {
            millis += gap;
            let arrived = Arrived {
                echo: echo.map(|age| (received, Duration::from_millis(age))),
                mss: u32::from(mss),
                ..segment(millis, received, consumed)
            };
            tuning.on_text(&arrived, limit);
            prop_assert!(tuning.size() >= size && tuning.size() <= limit);
            size = tuning.size();
        }
    }
}
