//! CLOSED: a segment that belongs to nobody (RFC 9293 3.10.7.1).

use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader};

use crate::reset::reset_for;
use crate::testing::Script;
use crate::tests::events::segment;

fn reset(line: &str) -> TcpHeader {
    reset_for(&segment(line)).expect("no RST is answered by none")
}

#[test]
fn a_reset_is_not_answered() {
    // req: S-CLOSED-1
    for line in ["R 0:0(0)", "R. 0:0(0) ack 1", "R 0:5(5)", "SR 0:0(0)", "FR. 7:7(0) ack 9"] {
        assert_eq!(reset_for(&segment(line)), None, "{line}");
    }
}

#[test]
fn without_ack_the_reset_acknowledges_all_of_the_segment() {
    // req: S-CLOSED-2
    for (line, acknowledged) in [
        ("S 0:0(0)", 1),
        ("S 0:5(5)", 6),
        ("SF 0:5(5)", 7),
        ("F 10:10(0)", 11),
        ("- 10:15(5)", 15),
        ("- 10:10(0)", 10),
    ] {
        let header = reset(line);
        assert_eq!(header.flags, TcpFlags::RST | TcpFlags::ACK, "{line}");
        assert_eq!(header.seq, SeqNum(0), "{line}");
        assert_eq!(header.ack, Script::IRS + acknowledged, "{line}");
    }
}

#[test]
fn with_ack_the_reset_stands_where_the_segment_expects() {
    // req: S-CLOSED-3
    for line in [". 10:10(0) ack 77", "S. 0:0(0) ack 77", "FP. 10:15(5) ack 77"] {
        let header = reset(line);
        assert_eq!(header.flags, TcpFlags::RST, "{line}");
        assert_eq!(header.seq, Script::ISS + 77, "{line}");
        assert_eq!(header.ack, SeqNum(0), "{line}");
        assert_eq!((header.src_port, header.dst_port), (7, 50_000), "{line}");
    }
}
