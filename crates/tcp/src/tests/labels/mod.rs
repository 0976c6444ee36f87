//! RFC 9293 by its labels: `MUST-n`, `SHLD-n`, `MAY-n`, `REC-n`.

mod acks;
mod api;
mod closing;
mod congestion;
mod isn;
mod keepalive;
mod opening;
mod options;
mod push_nagle;
mod retransmission;
mod urgent;
mod windows;
mod zero_window;

use core::time::Duration;

use crate::config::TcpConfig;
use crate::congestion::CongestionControl;
use crate::testing::Script;

/// With NewReno, whose windows the scripts tell in whole segments; and silent peers are no black hole for such.
fn config() -> TcpConfig {
    let mut config = TcpConfig::new();
    config.congestion(CongestionControl::NewReno).mtu_probing(false);
    config
}

/// The settings of a connection past its start: ACKs are delayed from the first segment on.
fn delaying() -> TcpConfig {
    let mut config = config();
    config.quick_acks(0);
    config
}

/// As [`config`], with the least retransmission timeout that RFC 6298 asks for, so that times are whole seconds.
fn slow() -> TcpConfig {
    let mut config = config();
    config.min_rto(Duration::from_secs(1));
    config
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The lengths of the segments that have left, in order.
fn sent_lengths(script: &mut Script) -> Vec<usize> {
    std::iter::from_fn(|| script.next_sent()).map(|(_, segment)| segment.payload.len()).collect()
}

/// When the segments that have left did so, in milliseconds since `start`.
fn sent_times(script: &mut Script, start: crate::Instant) -> Vec<u128> {
    std::iter::from_fn(|| script.next_sent()).map(|(at, _)| (at - start).as_millis()).collect()
}
