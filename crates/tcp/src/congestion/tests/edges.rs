//! What is the same for the controllers that count losses, at the edges of their rules.

use core::time::Duration;

use crate::congestion::cubic::Cubic;
use crate::congestion::{Ack, Congestion, Controller, NewReno, Signal};
use crate::tests::witness::Witness;
use crate::time::Instant;

const M: u32 = 1_000;
const NOW: Instant = Instant::ZERO;

fn controllers() -> [Box<dyn Controller>; 2] {
    let mut both: [Box<dyn Controller>; 2] = [Box::new(NewReno::new(M)), Box::new(Cubic::new(M))];
    both.iter_mut().for_each(|controller| controller.start(M, false));
    both
}

#[test]
fn an_ack_that_shows_a_loss_grows_nothing() {
    // req: R5681-3
    for mut controller in controllers() {
        let before = controller.cwnd();
        controller.on_ack(&Ack { lost: M, ..Ack::new(NOW, M) });
        assert_eq!(controller.cwnd(), before, "{controller:?}");
        controller.on_ack(&Ack::new(NOW, M));
        assert_eq!(controller.cwnd(), before + M, "{controller:?}");
    }
}

#[test]
fn a_window_of_the_first_flights_is_a_number_of_segments() {
    // req: R5681-18
    for mut controller in controllers() {
        while controller.cwnd() < 20 * M {
            controller.on_ack(&Ack::new(NOW, M));
        }
        assert_eq!(controller.cwnd(), 20 * M);
        controller.set_mss(600);
        assert_eq!(controller.cwnd(), 12 * M, "{controller:?}");
    }
    for mut controller in controllers() {
        controller.set_mss(1_200);
        assert_eq!(controller.cwnd(), 10 * M, "larger segments change nothing: {controller:?}");
    }
    for mut controller in controllers() {
        while controller.cwnd() <= 20 * M {
            controller.on_ack(&Ack::new(NOW, M - 1));
        }
        let before = controller.cwnd();
        controller.set_mss(600);
        assert_eq!(controller.cwnd(), before, "past the first flights: {controller:?}");
    }
}

#[test]
fn a_window_that_is_not_used_is_halved_and_slow_start_leads_back() {
    // req: R7661-5
    for mut controller in controllers() {
        controller.inherit(40 * M, 10 * M);
        controller.on_unused(NOW);
        assert_eq!((controller.cwnd(), controller.ssthresh()), (20 * M, 30 * M), "{controller:?}");
        assert_eq!(controller.phase(), "slow start");
    }
}

#[test]
fn the_threshold_is_two_segments_at_least_after_a_timeout() {
    // req: R5681-5, R5681-7
    for mut controller in controllers() {
        controller.on_timeout(NOW, M, true);
        assert_eq!((controller.cwnd(), controller.ssthresh()), (M, 2 * M), "{controller:?}");
    }
}

#[test]
fn what_newreno_counted_beyond_a_window_counts_for_the_next() {
    // req: R5681-4
    let mut reno = NewReno::new(M);
    reno.on_congestion(&Congestion::new(NOW, 20 * M, Signal::Loss));
    reno.on_recovered(NOW, 20 * M);
    assert_eq!(reno.cwnd(), 10 * M);
    reno.on_ack(&Ack::new(NOW, 15 * M));
    assert_eq!(reno.cwnd(), 11 * M);
    reno.on_ack(&Ack::new(NOW, 5 * M));
    assert_eq!(reno.cwnd(), 11 * M);
    reno.on_ack(&Ack::new(NOW, M));
    assert_eq!(reno.cwnd(), 12 * M);
}

#[test]
fn a_controller_that_says_no_more_has_no_phase_and_no_rate_and_leaves_recovery_to_prr() {
    let least = Witness::new(M);
    assert_eq!((least.phase(), least.pacing_rate(), least.uses_prr()), ("", None, true));
}

/// A round of CUBIC's in slow start: ten ACKs of a segment, each after `rtt`.
fn round(cubic: &mut Cubic, now: &mut Instant, rtt: Duration, una: &mut u32) {
    *now += rtt;
    let end = *una + 10 * M;
    while *una < end {
        *una += M;
        let nxt = netstack_wire::SeqNum(end + 10 * M);
        cubic.on_ack(&Ack {
            una: netstack_wire::SeqNum(*una),
            nxt,
            rtt: Some(rtt),
            srtt: rtt,
            min_rtt: rtt,
            ..Ack::new(*now, M)
        });
    }
}

#[test]
fn cubic_names_its_phase() {
    // req: R9406-2, R9406-6
    let (mut cubic, mut now, mut una) = (Cubic::new(M), NOW, 0);
    cubic.start(M, false);
    let mut phases = Vec::new();
    for rtt in [100, 100, 100, 150, 150, 150] {
        round(&mut cubic, &mut now, Duration::from_millis(rtt), &mut una);
        phases.push(cubic.phase());
    }
    let (slow, conservative) = ("slow start", "conservative slow start");
    assert_eq!(phases, [slow, slow, slow, slow, conservative, conservative]);
    // With a threshold slow start is what it always was.
    let cwnd = cubic.cwnd();
    cubic.inherit(cwnd, 2 * cwnd);
    assert_eq!(cubic.phase(), slow);
    cubic.inherit(cwnd, cwnd);
    assert_eq!(cubic.phase(), "avoidance");
}
