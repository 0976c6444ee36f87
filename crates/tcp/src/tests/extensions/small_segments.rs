//! Many small segments in flight: each is remembered by itself.

use super::{config, ms, text_sent};
use crate::testing::{FixedWindow, Script};

#[test]
fn segments_in_flight_are_bounded_by_the_window_in_full_ones_however_small_they_are() {
    // Twice as many as full segments fit the window, but not fewer than 64.
    for (window, most) in [(10, 64), (32, 64), (33, 66), (100, 200)] {
        let mut config = config();
        config.nodelay(true).congestion(FixedWindow::control(window));
        let mut script = Script::established(&config);
        for _ in 0..1_000 {
            script.write(1);
        }
        let sent = text_sent(&mut script);
        assert_eq!(sent.len(), most, "of a window of {window} segments");
        assert!(sent.iter().all(|(_, len)| *len == 1));
        // What waited leaves once there is room, in larger pieces.
        script.advance(ms(10));
        script.inject(&format!(". 1:1(0) ack {} win 65535", most + 1));
        let rest = text_sent(&mut script);
        assert_eq!(rest.iter().map(|(_, len)| *len as usize).sum::<usize>(), 1_000 - most);
        assert!(rest.len() < 20, "{rest:?}");
    }
}
