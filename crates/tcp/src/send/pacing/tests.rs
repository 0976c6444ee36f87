//! The pacer against the plain sum of what it let go.

use core::time::Duration;

use proptest::prelude::*;

use super::{CREDIT, Pacer, TICK};
use crate::time::Instant;

const M: u32 = 1_448;

fn at(micros: u64) -> Instant {
    Instant::from_nanos(1_000_000_000 + micros * 1_000)
}

/// Sends all the budget allows at `now`; how much that was.
fn drain(pacer: &mut Pacer, now: Instant, rate: u64) -> u64 {
    let mut sent = 0;
    loop {
        let octets = pacer.budget(now, rate, M).min(64 * 1024 / M * M);
        if octets == 0 {
            return sent;
        }
        pacer.on_sent(now, octets, rate);
        sent += u64::from(octets);
    }
}

#[test]
fn a_bulk_transfer_wakes_once_a_millisecond_and_keeps_its_rate() {
    // req: RBBR-8
    for rate in [50_000, 1_250_000, 12_500_000, 125_000_000, 1_250_000_000] {
        let mut pacer = Pacer::default();
        let (start, mut now, mut sent, mut wakes) = (at(0), at(0), 0, 0_u64);
        while now - start < Duration::from_secs(2) {
            let batch = drain(&mut pacer, now, rate);
            let most = (rate / 1_000 + u64::from(M)).max(3 * u64::from(M));
            assert!((1..=most).contains(&batch), "{batch} octets at once at {rate}/s");
            sent += batch;
            wakes += 1;
            let next = pacer.wait();
            assert!(next - now >= TICK - Duration::from_micros(1), "a wake is worth a tick at {rate}/s");
            now = next;
        }
        assert!(wakes <= 2_001, "{wakes} wakes");
        let expected = 2 * rate;
        assert!(sent.abs_diff(expected) <= expected / 100 + 4 * u64::from(M), "{sent} of {expected}");
    }
}

#[test]
fn a_late_timer_costs_no_rate_and_a_pause_earns_none() {
    let rate = 12_500_000;
    let mut pacer = Pacer::default();
    let (mut now, mut sent) = (at(0), 0);
    for _ in 0..1_000 {
        sent += drain(&mut pacer, now, rate);
        now = pacer.wait() + Duration::from_micros(900);
    }
    let expected = rate * (now - at(0)).as_micros() as u64 / 1_000_000;
    assert!(sent.abs_diff(expected) <= expected / 100, "{sent} of {expected}");

    // However small the pieces in which it leaves.
    let mut pacer = Pacer::default();
    let (start, mut now, mut sent) = (at(0), at(0), 0);
    for _ in 0..1_000 {
        while pacer.budget(now, rate, M) > 0 {
            pacer.on_sent(now, M, rate);
            sent += u64::from(M);
        }
        now = pacer.wait() + Duration::from_micros(900);
    }
    let expected = rate * (now - start).as_micros() as u64 / 1_000_000;
    assert!(sent.abs_diff(expected) <= expected / 100, "{sent} of {expected} in single segments");

    // The application had nothing to send for a second.
    let mut pacer = Pacer::default();
    drain(&mut pacer, at(0), rate);
    let batch = drain(&mut pacer, at(1_000_000), rate);
    assert!(batch <= rate / 1_000 + u64::from(M), "{batch}");
}

#[test]
fn what_leaves_unasked_is_paid_for_later() {
    // A probe and a first retransmission never wait; what follows them does.
    let rate = 1_448_000;
    let mut pacer = Pacer::default();
    drain(&mut pacer, at(0), rate);
    let before = pacer.wait();
    pacer.on_sent(at(10), M, rate);
    assert_eq!(pacer.wait() - before, Duration::from_millis(1));
}

#[test]
fn no_rate_wedges_it_and_none_overflows() {
    for rate in [0, 1, u64::from(u32::MAX), u64::MAX] {
        for mss in [1, M, u32::from(u16::MAX)] {
            let mut pacer = Pacer::default();
            let octets = pacer.budget(at(0), rate, mss);
            assert!(octets >= mss, "{octets} at {rate}/s");
            pacer.on_sent(at(0), octets, rate);
            let next = pacer.wait();
            assert!(next - at(0) <= Duration::from_secs(1), "{:?} at {rate}/s", next - at(0));
            assert!(pacer.budget(next, rate, mss) > 0, "the clock is asked again and gives at {rate}/s");
        }
    }
}

proptest! {
    /// Whenever it is asked, and whatever is there to send: over any stretch of time no more leaves than the rate, the
    /// batch and the credit allow.
    #[test]
    fn never_faster_than_the_rate(
        rate in 10_000_u64..1_000_000_000,
        steps in proptest::collection::vec((0_u64..5_000, 0_u64..40), 1..300),
    ) {
        let mut pacer = Pacer::default();
        let mut now = 0;
        let mut log: Vec<(u64, u64)> = Vec::new();
        for (step, segments) in steps {
            now += step;
            let mut left = segments * u64::from(M);
            while left > 0 {
                let octets = u64::from(pacer.budget(at(now), rate, M)).min(left);
                if octets == 0 {
                    prop_assert!(pacer.wait() > at(now), "a wait that is over would spin");
                    break;
                }
                pacer.on_sent(at(now), octets as u32, rate);
                log.push((now, octets));
                left -= octets;
            }
        }
        let slack = (TICK + CREDIT).as_micros() as u64;
        for (first, &(from, _)) in log.iter().enumerate() {
            let mut sum = 0;
            for &(until, octets) in &log[first..] {
                sum += octets;
                let allowed = rate * (until - from + slack) / 1_000_000 + 4 * u64::from(M);
                prop_assert!(sum <= allowed, "{sum} octets in {} us, {allowed} allowed", until - from);
            }
        }
    }
}
