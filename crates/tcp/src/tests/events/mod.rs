//! RFC 9293 3.10: user calls, segment arrivals and timeouts, state by state (rows `S-*`).

mod abort;
mod ack;
mod after_end;
mod close;
mod closed;
mod fin_matrix;
mod listen;
mod open;
mod rst;
mod send;
mod sequence;
mod syn;
mod syn_sent;
mod teardown;
mod timers;
mod urg_text_fin;
mod window;

use crate::segment::Segment;
use crate::testing::{Line, Script};

/// The segment `line` of the scripted peer, for what is no connection.
fn segment(line: &str) -> Segment {
    let line: Line = line.parse().expect("the line is well formed");
    let tuple = Script::tuple();
    line.to_segment((tuple.remote().port(), tuple.local().port()), Script::IRS, Script::ISS)
}
