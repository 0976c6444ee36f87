//! The sampler against the draft's definition over a list of everything that happened.

use core::time::Duration;

use proptest::prelude::*;

use super::{DeliveryRate, SentState};
use crate::congestion::RateSample;
use crate::time::Instant;

const M: u32 = 1_000;

fn at(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1_000)
}

/// A sender of segments of `M` octets, each of which is acknowledged on its own.
#[derive(Debug, Default)]
struct Sender {
    rate: DeliveryRate,
    sent: Vec<(u64, SentState)>,
    acked: usize,
}

impl Sender {
    fn send(&mut self, now: u64) {
        let flight = (self.sent.len() - self.acked) as u32 * M;
        let state = self.rate.on_send(at(now), flight, M);
        self.sent.push((now, state));
    }

    fn ack(&mut self, now: u64, segments: usize) -> Option<RateSample> {
        let mut newest = None;
        for _ in 0..segments {
            let (sent_at, state) = self.sent[self.acked];
            self.rate.on_delivered(at(now), at(sent_at), &state, M, &mut newest);
            self.acked += 1;
        }
        self.rate.sample(newest.as_ref(), Duration::ZERO)
    }
}

#[test]
fn a_fixed_rate_link_is_measured_to_two_parts_in_a_hundred() {
    // req: RBBR-1
    // A segment leaves each 50 us, twice what the link takes: each 100 us it delivers one.
    let mut sender = Sender::default();
    let (mut events, rtt) = (Vec::new(), 10_000);
    for segment in 0..2_000_u64 {
        events.push((segment * 50, true));
        events.push((rtt + segment * 100, false));
    }
    events.sort_unstable();
    let mut last = None;
    for (now, send) in events {
        if send {
            sender.send(now);
        } else if let Some(sample) = sender.ack(now, 1)
            && now > 3 * rtt
        {
            assert!(sample.rate.abs_diff(10_000_000) <= 200_000, "{} octets/s", sample.rate);
            last = Some(sample);
        }
    }
    let last = last.unwrap();
    assert_eq!(last.delivered, 2_000_000);
    assert!(!last.app_limited);
    assert_eq!(sender.rate.rate(), last.rate);
}

#[test]
fn compressed_acks_never_show_more_than_was_sent() {
    // req: RBBR-1
    // Ten segments each millisecond, all ACKs of 20 ms in one heap.
    let mut sender = Sender::default();
    for burst in 0..20_u64 {
        for millis in 0..20 {
            for _ in 0..10 {
                sender.send(burst * 20_000 + millis * 1_000);
            }
        }
        let now = burst * 20_000 + 19_500;
        for _ in 0..200 {
            if let Some(sample) = sender.ack(now, 1) {
                assert!(sample.rate <= 10_600_000, "{} octets/s", sample.rate);
            }
        }
    }
}

#[test]
fn what_the_application_held_back_is_marked() {
    // req: RBBR-2
    let mut sender = Sender::default();
    for segment in 0..10 {
        sender.send(segment * 100);
    }
    let sample = sender.ack(10_000, 9).unwrap();
    assert!(!sample.app_limited);
    sender.rate.set_app_limited(M);
    sender.send(10_500);
    assert!(!sender.ack(11_000, 1).unwrap().app_limited, "it left before");
    let full = sender.rate.rate();
    let sample = sender.ack(21_000, 1).unwrap();
    assert!(sample.app_limited, "left while the application had no more");
    assert!(sample.rate < full);
    assert_eq!(sender.rate.rate(), full, "the figure shown is the path's");
    // All of the time before is delivered: samples are of the path again.
    sender.send(22_000);
    assert!(!sender.ack(32_000, 1).unwrap().app_limited);
}

#[test]
fn the_application_held_it_back_until_something_behind_the_gap_is_delivered() {
    // req: RBBR-2
    for jump in [false, true] {
        let mut sender = Sender::default();
        sender.send(0);
        sender.rate.set_app_limited(M);
        sender.send(5_000);
        // All that left before the gap, and with it, where ACKs were lost, what lies behind.
        sender.ack(10_000, if jump { 2 } else { 1 });
        sender.send(15_000);
        assert_eq!(sender.sent[2].1.app_limited, !jump, "behind the gap");
        sender.ack(25_000, if jump { 1 } else { 2 });
        sender.send(26_000);
        assert!(!sender.sent[3].1.app_limited);
    }
}

#[test]
fn the_rate_shown_is_the_last_of_the_path_or_more_if_the_application_shows_more() {
    // req: RBBR-2
    let mut sender = Sender::default();
    let mut flight = |start: u64, millis: u64, limited: bool| {
        if limited {
            sender.rate.set_app_limited(0);
        }
        sender.send(start);
        sender.ack(start + millis * 1_000, 1).unwrap();
        sender.rate.rate()
    };
    assert_eq!(flight(0, 10, false), 100_000);
    assert_eq!(flight(100_000, 20, true), 100_000, "less, for want of text");
    assert_eq!(flight(200_000, 5, true), 200_000, "the path takes so much at least");
    assert_eq!(flight(300_000, 20, false), 50_000, "the path has become slower");
}

#[test]
fn a_pause_is_no_part_of_a_flight() {
    let mut sender = Sender::default();
    sender.send(0);
    sender.ack(10_000, 1);
    sender.send(60_000_000);
    let sample = sender.ack(60_010_000, 1).unwrap();
    assert_eq!(sample.interval, Duration::from_millis(10));
    assert_eq!(sample.rate, 100_000);
}

#[test]
fn a_sample_shorter_than_a_round_trip_says_nothing() {
    let mut sender = Sender::default();
    sender.send(0);
    let (sent_at, state) = sender.sent[0];
    let mut newest = None;
    sender.rate.on_delivered(at(400), at(sent_at), &state, M, &mut newest);
    assert_eq!(
        sender.rate.sample(newest.as_ref(), Duration::from_micros(500)),
        None,
        "the clock, or a resent segment's first copy"
    );
    assert_eq!(sender.rate.sample(None, Duration::ZERO), None, "and nothing new since");
    assert_eq!(sender.rate.delivered(), u64::from(M));
}

#[test]
fn losses_are_counted_from_when_a_segment_left() {
    let mut sender = Sender::default();
    for _ in 0..10 {
        sender.send(100);
    }
    let state = sender.sent[3].1;
    let lost = sender.rate.on_lost(at(9_000), &state, 2 * M);
    assert_eq!((lost.octets, lost.lost, lost.tx_in_flight), (2 * M, u64::from(2 * M), 4 * M));
    sender.send(9_000);
    assert_eq!(sender.ack(9_500, 10).unwrap().lost, u64::from(2 * M));
    assert_eq!(sender.ack(19_000, 1).unwrap().lost, 0);
}

/// What was told of one segment.
#[derive(Debug, Clone)]
struct Told {
    sent_at: u64,
    state: SentState,
    /// Octets delivered when it left, and when the last of those were.
    delivered: u64,
    delivered_at: u64,
    /// When the segment left that begins the flight.
    first_sent_at: u64,
    gone: bool,
}

proptest! {
    /// In any order of sending, delivery and loss the sample is the one of the definition.
    #[test]
    fn the_sample_is_the_definitions(ops in proptest::collection::vec((0..3_u8, 1..3_000_u64, any::<prop::sample::Index>()), 1..300)) {
        let mut rate = DeliveryRate::default();
        let mut told: Vec<Told> = Vec::new();
        let (mut now, mut delivered, mut delivered_at, mut first) = (0, 0_u64, 0, 0);
        for (op, step, pick) in ops {
            now += step;
            let open: Vec<usize> = (0..told.len()).filter(|&at| !told[at].gone).collect();
            let flight = open.len() as u32 * M;
            if op == 0 || open.is_empty() {
                if flight == 0 {
                    (first, delivered_at) = (now, now);
                }
                let state = rate.on_send(at(now), flight, M);
                told.push(Told { sent_at: now, state, delivered, delivered_at, first_sent_at: first, gone: false });
            } else if op == 1 {
                let segment = open[pick.index(open.len())];
                told[segment].gone = true;
                rate.on_lost(at(now), &told[segment].state, M);
            } else {
                // One ACK, up to four segments, in no particular order.
                let begin = pick.index(open.len());
                let batch = &open[begin..open.len().min(begin + 1 + step as usize % 4)];
                let mut delivery = None;
                for &segment in batch.iter().rev() {
                    told[segment].gone = true;
                    delivered += u64::from(M);
                    delivered_at = now;
                    let sent_at = at(told[segment].sent_at);
                    rate.on_delivered(at(now), sent_at, &told[segment].state, M, &mut delivery);
                }
                let newest = told[*batch.last().unwrap()].clone();
                first = first.max(newest.sent_at);
                let interval = (newest.sent_at - newest.first_sent_at).max(now - newest.delivered_at);
                let sample = rate.sample(delivery.as_ref(), Duration::ZERO).unwrap();
                prop_assert_eq!(sample.interval, Duration::from_micros(interval));
                prop_assert_eq!(sample.prior_delivered, newest.delivered);
                prop_assert_eq!(sample.rate, (delivered - newest.delivered) * 1_000_000 / interval);
            }
            prop_assert_eq!(rate.delivered(), delivered);
        }
    }
}
