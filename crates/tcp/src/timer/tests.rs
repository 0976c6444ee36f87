//! The table of deadlines.

use super::{Timer, TimerTable};
use crate::time::Instant;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

#[test]
fn the_earliest_deadline_comes_next() {
    let mut timers = TimerTable::new();
    assert_eq!(timers.next(), None);
    for (place, timer) in Timer::ALL.into_iter().enumerate() {
        timers.set(timer, at(100 - place as u64));
        assert_eq!(timers.next(), Some(at(100 - place as u64)));
        assert!(timers.is_armed(timer));
    }
    timers.stop(Timer::Lifetime);
    assert!(!timers.is_armed(Timer::Lifetime));
    assert_eq!(timers.next(), Some(at(102 - Timer::ALL.len() as u64)));
    timers.stop_all();
    assert_eq!(timers.next(), None);
}

#[test]
fn a_timer_fires_once_and_not_before_its_time() {
    let mut timers = TimerTable::new();
    timers.set(Timer::Persist, at(50));
    timers.set(Timer::KeepAlive, at(70));
    assert!(!timers.take_due(Timer::Persist, at(49)));
    assert!(timers.take_due(Timer::Persist, at(50)));
    assert!(!timers.take_due(Timer::Persist, at(51)), "it was taken");
    assert!(!timers.take_due(Timer::Retransmit, at(u64::MAX - 1)), "it was never set");
    assert_eq!(timers.next(), Some(at(70)));
    // Set anew, the old deadline is gone.
    timers.set(Timer::KeepAlive, at(90));
    assert!(!timers.take_due(Timer::KeepAlive, at(70)));
}

#[test]
fn a_deadline_far_ahead_stays_one() {
    let mut timers = TimerTable::new();
    timers.set(Timer::UserTimeout, at(1) + core::time::Duration::MAX);
    assert!(timers.is_armed(Timer::UserTimeout));
    assert_eq!(timers.next(), Some(at(u64::MAX - 1)));
}

#[test]
fn timers_have_names_of_their_own() {
    let names: std::collections::HashSet<_> = Timer::ALL.map(Timer::name).into();
    assert_eq!(names.len(), Timer::ALL.len());
    assert_eq!((Timer::DelayedAck.name(), Timer::Lifetime.name()), ("delayed-ack", "lifetime"));
}
