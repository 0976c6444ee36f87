use super::*;

/// Above half of a read buffer the whole of it; what is as large as one or larger came in a buffer of its own.
#[test]
fn a_large_piece_holds_the_buffer_it_lies_in() {
    assert_eq!([0, 1460, LARGE].map(received_memory), [0, 1460, LARGE]);
    assert_eq!([LARGE + 1, READ_BUFFER - 1, READ_BUFFER].map(received_memory), [READ_BUFFER; 3]);
    assert_eq!(received_memory(READ_BUFFER + 1), READ_BUFFER + 1);
}

/// What the device put together counts as what came over the wire.
#[test]
fn a_segment_put_together_stands_for_all_its_parts() {
    // req: SHLD-19, R9768-3
    let segment = |octets, gso_size| {
        let line: crate::testing::Line = ". 1:1(0) ack 1".parse().unwrap();
        let mut segment = line.to_segment((50_000, 7), netstack_wire::SeqNum(0), netstack_wire::SeqNum(0));
        (segment.payload, segment.gso_size) = (Bytes::from(vec![0; octets]), gso_size);
        segment.wire_segments()
    };
    assert_eq!([segment(2500, 1000), segment(2000, 1000), segment(2000, 0), segment(0, 1000)], [3, 2, 1, 1]);
}
