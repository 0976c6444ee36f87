//! What the buffer keeps.

use bytes::Bytes;

use super::SendBuffer;

#[test]
fn an_empty_buffer_holds_no_storage_and_takes_more() {
    let mut buffer = SendBuffer::default();
    buffer.push(Bytes::new());
    assert_eq!(buffer.len(), 0);
    for _ in 0..200 {
        buffer.push(Bytes::from_static(b"octets"));
    }
    buffer.release(1_200);
    assert_eq!(buffer.len(), 0);
    assert_eq!(buffer.chunks.capacity(), 0);
    buffer.push(Bytes::from_static(b"more"));
    let mut out = Vec::new();
    assert_eq!(buffer.slices(1, 2, &mut out), 2);
    assert_eq!(out.concat(), b"or");
}
