//! What BBR is told by the connection: round trips, pauses.

use super::{M, ms, sacking_with, text_sent};
use crate::config::TcpConfig;
use crate::congestion::CongestionControl;
use crate::testing::{Pair, Side};

fn bbr() -> TcpConfig {
    let mut config = TcpConfig::new();
    config.congestion(CongestionControl::Bbr).send_buffer(8 << 20).recv_buffer(8 << 20);
    config
}

#[test]
fn the_first_flight_is_paced_by_the_round_trip_of_the_handshake() {
    // req: RBBR-3, RBBR-8
    let mut script = sacking_with(&bbr(), ms(100));
    script.write(10 * M);
    assert_eq!(text_sent(&mut script).len(), 2, "of ten");
    let rate = u64::from(10 * M) * 277 / 100 * 10;
    assert_eq!(script.connection.info().pacing_rate, Some(rate));
    script.advance_ms(40);
    assert_eq!(text_sent(&mut script).len(), 8);

    // Taking over from another controller, too.
    let mut script = sacking_with(&TcpConfig::new(), ms(100));
    script.connection.set_congestion(&CongestionControl::Bbr);
    assert_eq!(script.connection.info().pacing_rate, Some(rate));
}

#[test]
fn a_pause_has_drained_the_queue_already() {
    // req: RBBR-7
    for octets in [1_000, 3_000_000] {
        let mut pair = Pair::established(&bbr());
        pair.write(Side::A, &vec![7; 300_000]);
        // No round trip was measured for longer than the interval of ProbeRTT.
        pair.run_for(ms(7_000));
        pair.write(Side::A, &vec![7; octets]);
        for _ in 0..10 {
            pair.run_for(ms(10));
            let info = pair.connection(Side::A).info();
            assert_ne!(info.controller_phase, "probe rtt", "{octets} octets after the pause");
        }
    }
}
