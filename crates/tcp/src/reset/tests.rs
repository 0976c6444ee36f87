//! The answer to a SYN that the application refuses.

use netstack_wire::tcp::TcpFlags;

use super::reset_for;
use crate::negotiate::SynRecord;
use crate::testing::{Line, Script};
use crate::time::Instant;

/// It is refused as if nobody listened: whether the application or the stack decides, the peer sees the same.
#[test]
fn a_refused_syn_gets_the_reset_of_a_closed_port() {
    // req: S-CLOSED-2, R7323-8
    for line in ["S 0:0(0) win 1000 <mss 1460>", "S 0:0(0) win 1000 <mss 1460,ts 5000 0>"] {
        let line: Line = line.parse().unwrap();
        let syn = line.to_segment((50_000, 7), Script::IRS, Script::ISS);
        let reset = SynRecord::from_segment(Script::tuple(), &syn, Instant::ZERO).reset();
        assert_eq!(Some(reset), reset_for(&syn));
        assert_eq!((reset.src_port, reset.dst_port), (7, 50_000));
        assert_eq!(reset.flags, TcpFlags::RST | TcpFlags::ACK);
        assert_eq!((reset.seq.0, reset.ack), (0, Script::IRS + 1));
        assert_eq!(reset.options.timestamps.map(|ts| ts.ecr), syn.header.options.timestamps.map(|ts| ts.val));
    }
}
