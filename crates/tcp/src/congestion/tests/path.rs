//! A closed loop for tests of controllers: one sender with its sampler and its pacer, a bottleneck with a queue, a receiver
//! that acknowledges each segment. What is lost is not repaired: data has no names here, only sizes.

use core::time::Duration;
use std::collections::VecDeque;

use netstack_wire::SeqNum;

use crate::congestion::{Ack, Congestion, Controller, Signal};
use crate::send::pacing::Pacer;
use crate::send::rate::{DeliveryRate, SentState};
use crate::time::Instant;

pub(in crate::congestion) const M: u32 = 1_448;

/// Segments delivered behind one that is missing until it counts as lost.
const REORDERING: u64 = 3;

#[derive(Debug)]
struct Sent {
    at: Instant,
    state: SentState,
    acked: bool,
}

/// The path, and what it did.
#[derive(Debug)]
pub(in crate::congestion) struct Path<C> {
    pub(in crate::congestion) controller: C,
    /// Octets per second that the bottleneck takes.
    pub(in crate::congestion) rate: u64,
    pub(in crate::congestion) rtt: Duration,
    /// Octets that wait at most.
    pub(in crate::congestion) queue: u64,
    /// Of a million segments this many are lost at random.
    pub(in crate::congestion) loss: u64,
    /// The application has something to send.
    pub(in crate::congestion) busy: bool,
    pub(in crate::congestion) now: Instant,
    pub(in crate::congestion) min_rtt: Duration,
    pub(in crate::congestion) last_rtt: Duration,
    pub(in crate::congestion) flight: u32,
    pub(in crate::congestion) delivered: u64,
    pub(in crate::congestion) lost: u64,
    /// When the controller was in which phase first.
    pub(in crate::congestion) phases: Vec<(Instant, &'static str)>,
    srtt: Duration,
    free_at: Instant,
    pacer: Pacer,
    wake: Option<Instant>,
    sampler: DeliveryRate,
    first: u64,
    sent: VecDeque<Sent>,
    acks: VecDeque<(Instant, u64)>,
    /// Recovery lasts until this segment is acknowledged.
    recovery: Option<u64>,
    random: u64,
}

impl<C: Controller> Path<C> {
    pub(in crate::congestion) fn new(mut controller: C, mbit: u64, rtt_ms: u64, bdp_percent: u64) -> Self {
        controller.start(M, false);
        let (rate, rtt) = (mbit * 125_000, Duration::from_millis(rtt_ms));
        let now = Instant::from_nanos(1_000_000_000);
        Self {
            controller,
            rate,
            rtt,
            queue: rate * rtt_ms / 1_000 * bdp_percent / 100,
            loss: 0,
            busy: true,
            now,
            min_rtt: Duration::ZERO,
            last_rtt: rtt,
            flight: 0,
            delivered: 0,
            lost: 0,
            phases: Vec::new(),
            srtt: Duration::ZERO,
            free_at: now,
            pacer: Pacer::default(),
            wake: None,
            sampler: DeliveryRate::default(),
            first: 0,
            sent: VecDeque::new(),
            acks: VecDeque::new(),
            recovery: None,
            random: 1,
        }
    }

    pub(in crate::congestion) fn bdp(&self) -> u64 {
        (u128::from(self.rate) * self.rtt.as_nanos() / 1_000_000_000) as u64
    }

    /// Lets `time` pass.
    pub(in crate::congestion) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(|path| path.now >= end, end);
    }

    /// Until `done` says so, or `limit`.
    pub(in crate::congestion) fn run_until(&mut self, done: impl Fn(&Self) -> bool, limit: Instant) {
        self.send();
        while !done(self) {
            let ack = self.acks.front().map(|(at, _)| *at);
            let next = [ack, self.wake].into_iter().flatten().min().unwrap_or(limit).min(limit);
            self.now = next;
            if next == limit {
                break;
            }
            while self.acks.front().is_some_and(|(at, _)| *at <= next) {
                let (_, segment) = self.acks.pop_front().unwrap();
                self.acknowledge(segment);
            }
            self.send();
        }
    }

    /// The time and the octets delivered since `then` as a share of what the bottleneck can do, in percent.
    pub(in crate::congestion) fn share_since(&self, then: (Instant, u64)) -> u64 {
        let possible = u128::from(self.rate) * (self.now - then.0).as_nanos() / 1_000_000_000;
        (u128::from(self.delivered - then.1) * 100 / possible.max(1)) as u64
    }

    fn send(&mut self) {
        self.wake = None;
        while self.busy && self.flight + M <= self.controller.cwnd().max(M) {
            if let Some(rate) = self.controller.pacing_rate() {
                if self.pacer.budget(self.now, rate, M) == 0 {
                    self.wake = Some(self.pacer.wait());
                    return;
                }
                self.pacer.on_sent(self.now, M, rate);
            }
            self.controller.on_sent(self.now, self.flight, M, self.sampler.is_app_limited());
            self.transmit();
        }
        if !self.busy {
            self.sampler.set_app_limited(self.flight);
        }
    }

    fn transmit(&mut self) {
        let state = self.sampler.on_send(self.now, self.flight, M);
        self.sent.push_back(Sent { at: self.now, state, acked: false });
        self.flight += M;
        let segment = self.first + self.sent.len() as u64 - 1;
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.free_at = self.free_at.max(self.now);
        let waiting = (u128::from(self.rate) * (self.free_at - self.now).as_nanos() / 1_000_000_000) as u64;
        if (self.random >> 33) % 1_000_000 < self.loss || waiting + u64::from(M) > self.queue + u64::from(M) {
            return;
        }
        self.free_at += Duration::from_nanos(u64::from(M) * 1_000_000_000 / self.rate);
        self.acks.push_back((self.free_at + self.rtt, segment));
    }

    fn acknowledge(&mut self, segment: u64) {
        let prior_flight = self.flight;
        let at = (segment - self.first) as usize;
        let Sent { at: sent_at, state, ref mut acked } = self.sent[at];
        *acked = true;
        self.flight -= M;
        self.delivered += u64::from(M);
        let mut newest = None;
        self.sampler.on_delivered(self.now, sent_at, &state, M, &mut newest);
        let rtt = self.now - sent_at;
        self.last_rtt = rtt;
        self.srtt = if self.srtt.is_zero() { rtt } else { (self.srtt * 7 + rtt) / 8 };
        self.min_rtt = if self.min_rtt.is_zero() { rtt } else { self.min_rtt.min(rtt) };
        let lost = self.find_losses(segment);
        if self.recovery.is_some_and(|point| segment >= point) {
            self.recovery = None;
            self.controller.on_recovered(self.now, self.flight);
        }
        if lost > 0 && self.recovery.is_none() {
            self.recovery = Some(self.first + self.sent.len() as u64);
            let congestion =
                Congestion::new(self.now, prior_flight.min(self.controller.cwnd()), Signal::Loss);
            self.controller.on_congestion(&congestion);
        }
        let ack = Ack {
            lost,
            prior_flight,
            flight: self.flight,
            una: SeqNum((self.first as u32).wrapping_mul(M)),
            nxt: SeqNum((self.first as u32 + self.sent.len() as u32).wrapping_mul(M)),
            cwnd_limited: prior_flight + 2 * M >= self.controller.cwnd(),
            recovery: self.recovery.is_some(),
            rtt: Some(rtt),
            srtt: self.srtt,
            min_rtt: self.min_rtt,
            rate: self.sampler.sample(newest.as_ref(), self.min_rtt),
            ..Ack::new(self.now, M)
        };
        self.controller.on_ack(&ack);
        let phase = self.controller.phase();
        if self.phases.last().is_none_or(|(_, last)| *last != phase) {
            self.phases.push((self.now, phase));
        }
    }

    /// Forgets what is settled; octets newly lost.
    fn find_losses(&mut self, acked: u64) -> u32 {
        let mut lost = 0;
        while let Some(sent) = self.sent.front() {
            if !sent.acked {
                if self.first + REORDERING > acked {
                    break;
                }
                let news = self.sampler.on_lost(self.now, &sent.state, M);
                self.controller.on_lost(&news);
                lost += M;
            }
            self.sent.pop_front();
            self.first += 1;
        }
        self.flight -= lost;
        self.lost += u64::from(lost);
        lost
    }
}
