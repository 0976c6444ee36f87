//! What every controller keeps, whatever it is told in whatever order.

use core::time::Duration;

use netstack_wire::SeqNum;
use proptest::prelude::*;

use super::path::{M, Path};
use crate::congestion::{
    Ack, Algorithm, Bbr, Congestion, CongestionControl, Controller, Cubic, Lost, NewReno, RateSample, Signal,
};
use crate::testing::FixedWindow;
use crate::time::Instant;

fn custom() -> CongestionControl {
    FixedWindow::control(20)
}

fn all() -> [CongestionControl; 4] {
    [CongestionControl::Cubic, CongestionControl::NewReno, CongestionControl::Bbr, custom()]
}

fn at(micros: u64) -> Instant {
    Instant::from_nanos(1_000_000_000 + micros * 1_000)
}

/// What happens next, and how long after the event before.
#[derive(Debug, Clone, Copy)]
enum Event {
    Ack { acked: u32, limited: bool, rtt: u64, app_limited: bool },
    Congestion { flight: u32, ecn: bool },
    Lost { octets: u32 },
    Recovered { flight: u32 },
    Timeout { flight: u32, first: bool },
    Spurious,
    Sent { flight: u32, octets: u32 },
    Idle,
    Pause(u64),
}

/// Numbers small, usual and at the limit.
fn octets() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..200_000_u32, 1 => Just(u32::MAX), 1 => any::<u32>()]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        12 => (octets(), any::<bool>(), 0..400_000_u64, any::<bool>())
            .prop_map(|(acked, limited, rtt, app_limited)| Event::Ack { acked, limited, rtt, app_limited }),
        2 => (octets(), any::<bool>()).prop_map(|(flight, ecn)| Event::Congestion { flight, ecn }),
        2 => octets().prop_map(|octets| Event::Lost { octets }),
        2 => octets().prop_map(|flight| Event::Recovered { flight }),
        1 => (octets(), any::<bool>()).prop_map(|(flight, first)| Event::Timeout { flight, first }),
        1 => Just(Event::Spurious),
        2 => (octets(), octets()).prop_map(|(flight, octets)| Event::Sent { flight, octets }),
        1 => Just(Event::Idle),
        2 => (0..20_000_000_u64).prop_map(Event::Pause),
    ];
    proptest::collection::vec(event, 1..300)
}

/// The counters behind the samples that a controller is told of.
#[derive(Debug, Default)]
struct World {
    now: u64,
    delivered: u64,
    lost: u64,
}

impl World {
    fn ack(&mut self, acked: u32, limited: bool, rtt: u64, app_limited: bool) -> Ack {
        let prior_delivered = self.delivered;
        self.delivered += u64::from(acked);
        let interval = Duration::from_micros(rtt.max(1));
        let rate = (rtt > 0).then(|| RateSample {
            rate: (u128::from(acked) * 1_000_000_000 / interval.as_nanos()) as u64,
            delivered: self.delivered,
            prior_delivered,
            interval,
            app_limited,
            tx_in_flight: acked,
            lost: self.lost % 1_000,
        });
        Ack {
            delivered: acked,
            prior_flight: acked,
            flight: acked / 2,
            una: SeqNum(self.delivered as u32),
            nxt: SeqNum(self.delivered as u32) + acked / 2,
            cwnd_limited: limited,
            rtt: (rtt > 0).then_some(interval),
            srtt: interval,
            min_rtt: interval,
            rate,
            ..Ack::new(at(self.now), acked)
        }
    }

    fn tell(&mut self, controller: &mut Algorithm, event: Event) {
        self.now += 100;
        let now = at(self.now);
        match event {
            Event::Ack { acked, limited, rtt, app_limited } => {
                let ack = self.ack(acked, limited, rtt, app_limited);
                controller.on_ack(&ack);
            }
            Event::Congestion { flight, ecn } => {
                let signal = if ecn { Signal::Ecn } else { Signal::Loss };
                controller.on_congestion(&Congestion::new(now, flight, signal));
            }
            Event::Lost { octets } => {
                self.lost += u64::from(octets);
                let lost =
                    Lost { lost: self.lost, delivered: self.delivered, ..Lost::new(now, octets, octets) };
                controller.on_lost(&lost);
            }
            Event::Recovered { flight } => controller.on_recovered(now, flight),
            Event::Timeout { flight, first } => controller.on_timeout(now, flight, first),
            Event::Spurious => controller.on_spurious(now),
            Event::Sent { flight, octets } => controller.on_sent(now, flight, octets, flight == 0),
            Event::Idle => controller.on_idle(now),
            Event::Pause(micros) => self.now += micros,
        }
    }
}

proptest! {
    /// Never a closed window, never a rate of nothing, never an overflow; and outside recovery no ACK lowers the window of a
    /// controller that works by losses.
    #[test]
    fn any_order_of_events_is_survived(events in events(), mss in prop_oneof![1..20_u32, 500..9_000_u32, Just(65_535)]) {
        for choice in all() {
            let mut controller = Algorithm::new(&choice, mss, 7);
            controller.start(mss, false);
            let mut world = World::default();
            let mut recovering = false;
            for event in &events {
                let before = controller.cwnd();
                world.tell(&mut controller, *event);
                let after = controller.cwnd();
                prop_assert!(after >= mss.min(before), "{choice}: {after} after {event:?}");
                prop_assert!(controller.pacing_rate() != Some(0), "{choice} stands still after {event:?}");
                match event {
                    Event::Congestion { ecn, .. } => recovering = !ecn,
                    Event::Recovered { .. } | Event::Timeout { .. } | Event::Spurious => recovering = false,
                    Event::Ack { .. } if controller.uses_prr() => {
                        prop_assert!(after >= before, "{choice}: an ACK lowered {before} to {after}");
                        prop_assert!(!recovering || after == before, "{choice}: the window moved in recovery");
                    }
                    _ => {}
                }
            }
        }
    }

    /// A loss or a timeout that was none leaves window and threshold as they were.
    #[test]
    fn what_was_spurious_is_taken_back(events in events(), flight in 0..1_000_000_u32, timeout in any::<bool>()) {
        for choice in all() {
            let mut controller = Algorithm::new(&choice, M, 7);
            controller.start(M, false);
            let mut world = World::default();
            for event in &events {
                world.tell(&mut controller, *event);
            }
            world.tell(&mut controller, Event::Recovered { flight });
            let (cwnd, ssthresh) = (controller.cwnd(), controller.ssthresh());
            let flight = flight.min(cwnd);
            if timeout {
                world.tell(&mut controller, Event::Timeout { flight, first: true });
                world.tell(&mut controller, Event::Timeout { flight, first: false });
            } else {
                world.tell(&mut controller, Event::Congestion { flight, ecn: false });
            }
            world.tell(&mut controller, Event::Spurious);
            prop_assert!(controller.cwnd() >= cwnd, "{choice}: {} instead of {cwnd}", controller.cwnd());
            prop_assert!(controller.ssthresh() >= ssthresh, "{choice}");
        }
    }
}

#[test]
fn each_has_a_name_and_can_be_told_apart() {
    // req: MAY-18
    let names = all().map(|choice| {
        let controller = Algorithm::new(&choice, M, 7);
        (choice.to_string(), controller.name())
    });
    let names: Vec<(&str, &str)> = names.iter().map(|(choice, name)| (choice.as_str(), *name)).collect();
    assert_eq!(names, [("cubic", "cubic"), ("newreno", "newreno"), ("bbr", "bbr"), ("custom", "fixed")]);
    assert_eq!(CongestionControl::default().to_string(), "cubic");
}

#[test]
fn another_takes_over_where_one_stood() {
    for from in all() {
        for to in [CongestionControl::Cubic, CongestionControl::NewReno, CongestionControl::Bbr] {
            let mut controller = Algorithm::new(&from, M, 7);
            controller.start(M, false);
            controller.on_ack(&Ack { srtt: Duration::from_millis(10), ..Ack::new(at(0), 5 * M) });
            let cwnd = controller.cwnd();
            controller.replace(&to, M, 7);
            assert_eq!(
                (controller.cwnd(), controller.name()),
                (cwnd, to.to_string().as_str()),
                "from {from}"
            );
        }
    }
}

/// Shares of a 100 Mbit/s link with 50 ms in 60 s, in percent, with a queue of that percentage of the bandwidth-delay
/// product.
fn share<C: Controller>(controller: C, queue: u64) -> u64 {
    let mut path = Path::new(controller, 100, 50, queue);
    let start = (path.now, 0);
    path.run(Duration::from_secs(60));
    path.share_since(start)
}

#[test]
fn a_link_is_filled() {
    // The path of these tests has no PRR: a window that is halved at once costs a little more than it would.
    for (queue, cubic, reno, bbr) in [(100, 95, 93, 93), (10, 75, 60, 88)] {
        let shares = [
            (share(Cubic::new(M), queue), cubic),
            (share(NewReno::new(M), queue), reno),
            (share(Bbr::new(M, 7), queue), bbr),
        ];
        assert!(shares.iter().all(|(is, least)| is >= least), "queue {queue}: {shares:?}");
        let fixed = share(FixedWindow::new(20), queue);
        assert!(fixed < 10, "20 segments in flight are no way to fill it: {fixed}");
    }
}
