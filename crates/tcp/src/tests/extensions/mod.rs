//! The extensions and the other RFCs behind RFC 9293: timers, congestion control, options, attacks, identity.

mod accurate_ecn;
mod attacks;
mod congestion;
mod dial;
mod ecn;
mod ecn_answers;
mod fast_open;
mod identity;
mod invariants;
mod leaving;
mod narrow;
mod new_reno;
mod path_mtu;
mod patterns;
mod receive_buffer;
mod recovery;
mod rtt;
mod sack;
mod small_segments;
mod time_wait;
mod timestamps;
mod transfers;

use core::time::Duration;

use proptest::test_runner::Config;

use crate::config::TcpConfig;
use crate::congestion::CongestionControl;
use crate::testing::Script;

/// Payload of a full segment between ends that agreed on nothing but an MSS of 1460.
const M: u32 = 1460;

/// With NewReno, whose windows the scripts tell in whole segments; and silent peers are no black hole for such.
fn config() -> TcpConfig {
    let mut config = TcpConfig::new();
    config.congestion(CongestionControl::NewReno).mtu_probing(false);
    config
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// First sequence number of full segment `index`, counted from 0.
fn at(index: u32) -> u32 {
    1 + index * M
}

/// The full segments of `indices` as (sequence number, length).
fn full(indices: core::ops::Range<u32>) -> Vec<(u32, u32)> {
    indices.map(|index| (at(index), M)).collect()
}

/// Sequence number and length of every segment with text that left since the last call.
fn text_sent(script: &mut Script) -> Vec<(u32, u32)> {
    let sent: Vec<_> = std::iter::from_fn(|| script.next_sent()).collect();
    let lines = sent.iter().map(|(_, segment)| script.line(segment));
    lines.filter(|line| line.len > 0).map(|line| (line.seq, line.len)).collect()
}

/// In SYN-SENT, with a peer that uses timestamps only where a line has them.
fn connecting(config: &TcpConfig) -> Script {
    let mut script = Script::connect(config);
    script.auto_timestamps = false;
    script
}

/// Passive, with timestamps but without SACK: there are no tail loss probes.
fn without_sack() -> Script {
    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460,wscale 0,ts 1000000 0>");
    script.inject(". 1:1(0) ack 1 win 65535");
    script.forget_sent();
    script
}

/// An active open without options but MSS, whose SYN-ACK takes `rtt`.
fn connected_after(config: &TcpConfig, rtt: Duration) -> Script {
    let mut script = connecting(config);
    script.expect("S 0:0(0)");
    script.advance(rtt);
    script.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    script.expect(". 1:1(0) ack 1");
    script
}

/// The peer acknowledges up to `ack`.
fn ack(script: &mut Script, ack: u32) {
    script.inject(&format!(". 1:1(0) ack {ack} win 65535"));
}

/// Property tests run `usual` cases, or as many as `PROPTEST_CASES` says.
fn cases(usual: u32) -> Config {
    if std::env::var_os("PROPTEST_CASES").is_some() { Config::default() } else { Config::with_cases(usual) }
}
