use super::*;

/// Above half of a read buffer the whole of it; what is as large as one or larger came in a buffer of its own.
#[test]
fn a_large_piece_holds_the_buffer_it_lies_in() {
    assert_eq!([0, 1460, LARGE].map(received_memory), [0, 1460, LARGE]);
    assert_eq!([LARGE + 1, READ_BUFFER - 1, READ_BUFFER].map(received_memory), [READ_BUFFER; 3]);
    assert_eq!(received_memory(READ_BUFFER + 1), READ_BUFFER + 1);
}
