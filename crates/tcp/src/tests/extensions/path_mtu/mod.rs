//! Path MTU discovery: reports of routers (RFC 1191, RFC 8201, RFC 5927 7.2), black holes and probes (RFC 4821, RFC 8899).

mod black_hole;
mod bytes;
mod links;
mod pieces;
mod probes;
mod reports;
mod search;

use core::time::Duration;

use super::{M, cases, ms, text_sent};
use crate::config::TcpConfig;
use crate::congestion::CongestionControl;
use crate::info::TcpInfo;
use crate::testing::{Pair, Script, Side, pattern};

pub(super) use search::searching;

/// Octets of headers and timestamps in front of the text of a full segment.
const OVERHEAD: u32 = 52;

/// With NewReno, whose windows are easily told.
fn config() -> TcpConfig {
    let mut config = TcpConfig::new();
    config.congestion(CongestionControl::NewReno);
    config
}

/// Passive, with SACK and a window for all there is; the peer answers at once, and has no timestamps.
fn wide(config: &TcpConfig) -> Script {
    let mut script = Script::listen(config, "S 0:0(0) win 65535 <mss 1460,wscale 7,sackOK>");
    script.inject(". 1:1(0) ack 1 win 8000");
    script.forget_sent();
    script
}

/// A router reports about the segment `seq` that its link takes `mtu` octets.
fn report(script: &mut Script, seq: u32, mtu: u16) {
    script.command(|connection, now| connection.handle_too_big(now, Script::ISS + seq, mtu));
}

fn info(script: &Script) -> TcpInfo {
    script.connection.info()
}

/// Two ends that are open, 10 ms apart; A writes `octets` of the pattern.
fn sending(config: &TcpConfig, octets: u32) -> Pair {
    let mut pair = Pair::established(config);
    pair.write(Side::A, &pattern(1, 1 + octets));
    pair
}

/// Runs until B has all `octets`, and compares each.
#[track_caller]
fn finish(pair: &mut Pair, octets: u32, limit: Duration) -> Duration {
    let start = pair.now();
    let done = pair.run_until(limit, |pair| pair.received(Side::B).len() as u32 == octets);
    assert!(done, "{} of {octets} octets after {limit:?}: {pair:?}", pair.received(Side::B).len());
    assert!(pair.received(Side::B) == pattern(1, 1 + octets), "the bytes are the same");
    pair.now() - start
}

/// Octets of the packet of each segment with text that A has sent since `from` in the log.
fn packets(pair: &Pair, from: usize) -> Vec<u32> {
    let ours = pair.log[from..].iter().filter(|flight| flight.from == Side::A);
    let text = ours.filter(|flight| !flight.segment.payload.is_empty());
    text.map(|flight| (20 + flight.segment.header.header_len() + flight.segment.payload.len()) as u32)
        .collect()
}
