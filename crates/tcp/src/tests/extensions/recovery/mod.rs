//! Recovery by the scoreboard, as scripts: RACK, PRR, tail loss probes, and what undoes a mistake.

mod bbr;
mod clocks;
mod episodes;
mod heard;
mod proportion;
mod rack;
mod spurious;
mod tail;
mod told;
mod validation;

use core::time::Duration;

use super::{M, ack, at, config, connecting, full, ms, text_sent};
use crate::config::TcpConfig;
use crate::testing::Script;

/// An active open with SACK and without timestamps, whose SYN-ACK took `rtt`.
fn sacking_with(config: &TcpConfig, rtt: Duration) -> Script {
    let mut script = connecting(config);
    script.advance(rtt);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>");
    script.forget_sent();
    script
}

/// The same over 100 ms with NewReno.
fn sacking() -> Script {
    sacking_with(&config(), ms(100))
}

/// `count` full segments are in flight, and no more is written.
fn in_flight(count: u32) -> Script {
    let mut script = sacking();
    script.write(count * M);
    assert_eq!(text_sent(&mut script), full(0..count));
    script
}

/// The peer has all below segment `next`, and the segments of each of `blocks`.
fn sack(script: &mut Script, next: u32, blocks: &[(u32, u32)]) {
    let blocks: String =
        blocks.iter().map(|(left, right)| format!(" {}:{}", at(*left), at(*right))).collect();
    script.inject(&format!(". 1:1(0) ack {} win 65535 <sack{blocks}>", at(next)));
}

/// A round trip for each: segments are written and acknowledged until the window is at least `segments`. Says the next
/// segment's place.
fn open_window(script: &mut Script, segments: u32) -> u32 {
    let mut next = 0;
    while script.connection.info().cwnd < segments * M {
        script.write(script.connection.info().cwnd / M * M);
        let sent = text_sent(script);
        script.advance_ms(100);
        for (seq, len) in &sent {
            ack(script, seq + len);
        }
        next += sent.len() as u32;
    }
    next
}
