//! Text in any order, against a map of the octets that have come.

use arbitrary::Unstructured;
use netstack_tcp::testing::{Script, pattern};
use netstack_tcp::{Segment, TcpConfig};
use netstack_wire::Ecn;
use netstack_wire::tcp::{TcpFlags, TcpHeader};

/// The receive buffer, octets.
const BUFFER: usize = 32 << 10;

/// Octets of the stream that a run looks at.
const STREAM: usize = 256 << 10;

/// Segments with text at any place: what is in order is what has come, all that is new in order is taken, and what waits for
/// a gap takes a bounded amount of memory.
pub fn reassembly(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut config = TcpConfig::new();
    config.recv_buffer(BUFFER).timestamps(false);
    let mut script = Script::established_plain(&config);
    script.auto_read = false;
    let mut came = vec![false; STREAM];
    while !input.is_empty() {
        let [near, far, len, flags] = input.arbitrary::<[u8; 4]>().unwrap_or_default();
        let next = in_order(&script);
        let ahead = next + usize::from(far) * 97 + usize::from(near & 7);
        let start = ahead.saturating_sub(usize::from(near >> 3) * 8);
        let end = start + usize::from(len) * if flags & 1 == 0 { 1 } else { 7 };
        if end > STREAM {
            break;
        }
        let edge = next + script.connection.right_edge_room();
        let kept = start.min(edge)..end.min(edge);
        came[kept.clone()].fill(true);
        script.inject_segment(segment(start, end));
        script.forget_sent();
        let now = in_order(&script);
        assert!(now >= next && came[next..now].iter().all(|here| *here), "what is in order has come");
        assert!(start > next || now >= kept.end, "what follows in order is taken");
        let held = script.connection.out_of_order_memory();
        assert!(held <= 4 * BUFFER, "{held} octets are held out of order");
        if flags & 6 != 6 {
            // The script compares what it reads with the pattern.
            script.read();
            script.set_unread(0);
        }
    }
}

/// Octets of the stream that are there in order, read or not.
fn in_order(script: &Script) -> usize {
    script.octets_read() as usize + script.connection.info().unread as usize
}

/// The octets from `start` to `end` of the peer's stream.
fn segment(start: usize, end: usize) -> Segment {
    let header = TcpHeader {
        src_port: 50_000,
        dst_port: 7,
        seq: Script::IRS + 1 + start as u32,
        ack: Script::ISS + 1,
        flags: TcpFlags::ACK,
        window: 0xffff,
        ..TcpHeader::default()
    };
    // The SYN is the first of the pattern's numbers.
    Segment { header, payload: pattern(start as u32 + 1, end as u32 + 1), ecn: Ecn::NotEct, gso_size: 0 }
}
