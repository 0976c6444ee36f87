//! Which reads are worth a window update.

use core::time::Duration;

use netstack_wire::SeqNum;
use proptest::prelude::*;

use super::super::RecvHalf;
use super::pattern;
use crate::config::TcpConfig;
use crate::time::Instant;

/// A receiving half with a buffer of so many octets, whose window is announced.
fn announced_of(octets: usize) -> RecvHalf {
    let mut config = TcpConfig::new();
    config.recv_buffer(octets);
    let mut half = RecvHalf::new(&config);
    half.start(SeqNum(u32::MAX - 5));
    half.mss = 1_460;
    half.announce(0);
    half
}

/// The peer has sent `octets` in order, which nobody has read.
fn unread(half: &mut RecvHalf, octets: u32) {
    half.insert(half.nxt, pattern(0, octets), octets as usize);
    while half.fetch().is_some() {}
    half.set_unread(octets);
}

/// A peer that may be waiting hears of each segment's worth; one with a window to fill not before a quarter of the buffer is free.
#[test]
fn a_closed_window_opens_early_and_an_open_one_in_large_steps() {
    // req: MUST-39, MUST-58
    for window in [0, 1_000, 2_000] {
        let mut half = announced_of(60_000);
        let held = 60_000 - window;
        unread(&mut half, held);
        assert_eq!(half.window(), window, "less than two segments");
        half.set_unread(held - 1_459);
        assert!(!half.update_is_due(0), "{window}");
        half.set_unread(held - 1_460);
        assert!(half.update_is_due(0), "{window}");
    }

    let mut half = announced_of(60_000);
    unread(&mut half, 30_000);
    half.set_unread(30_000 - 1_460);
    assert!(!half.update_is_due(0), "there is much to fill");
    half.set_unread(0);
    assert!(half.update_is_due(0));
}

proptest! {
    /// Who waits for the level that is given hears of every update, and of none that is not due.
    #[test]
    fn the_level_is_where_an_update_becomes_due(
        buffer in 1_024_usize..300_000,
        mss in 88_u16..9_000,
        filled in 0.0..=1.0_f64,
        read in 0.0..=1.0_f64,
        quarter in any::<bool>(),
    ) {
        // req: MUST-39, R7323-4
        let mut config = TcpConfig::new();
        config.recv_buffer(buffer);
        let shift = config.window_shift();
        let mut half = RecvHalf::new(&config);
        half.start(SeqNum(u32::MAX - 5));
        half.mss = mss;
        half.announce(shift);
        // With a quarter exactly an update is due once all is read, and no sooner.
        let filled = if quarter { half.buffer() / 4 } else { (f64::from(half.window()) * filled) as u32 };
        unread(&mut half, filled);
        half.set_unread((f64::from(filled) * read) as u32);
        let now = half.buffered();
        let level = half.update_below(shift);
        let mut due = |octets| {
            half.set_unread(octets);
            // What is due already waits for no read.
            half.update_is_due(shift) && half.update_below(shift).is_none()
        };
        match level {
            Some(level) => {
                prop_assert!(level < now, "{level} of {now}");
                prop_assert!(due(level) && !due(level + 1));
            }
            None => prop_assert!(due(now) || !due(0)),
        }
    }
}

#[test]
fn a_buffer_of_a_fixed_size_measures_nothing_and_one_that_is_tuned_does() {
    let rtt = Duration::from_nanos(40_000 << 10);
    for tuned in [true, false] {
        let mut config = TcpConfig::new();
        if tuned {
            config.recv_buffer_limit(1 << 20)
        } else {
            config.recv_buffer(64 << 10)
        };
        let mut half = RecvHalf::new(&config);
        half.start(SeqNum(0));
        half.announce(0);
        assert_eq!(half.rtt(), None);
        for step in 0..20 {
            unread(&mut half, 40_000);
            half.set_unread(0);
            half.announce(0);
            half.tune(Instant::from_nanos(step * 100_000_000), Some((step as u32, rtt)), None, &config);
        }
        assert_eq!(half.rtt(), tuned.then_some(rtt));
        assert_eq!(half.buffer() > 64 << 10, tuned);
    }
}
