//! Storage that a turn needs and a connection does not keep: one of each per worker thread, handed from turn to turn.

use std::cell::Cell;
use std::collections::VecDeque;
use std::thread::LocalKey;

use bytes::Bytes;

use super::mailbox::Arrival;

/// Entries that kept storage has room for at most: a burst may have made it larger.
const KEEP: usize = 256;

thread_local! {
    static PIECES: Cell<VecDeque<Bytes>> = const { Cell::new(VecDeque::new()) };
    static PAYLOAD: Cell<Vec<Bytes>> = const { Cell::new(Vec::new()) };
    static QUEUE: Cell<VecDeque<Arrival>> = const { Cell::new(VecDeque::new()) };
}

/// Empty storage for pieces of the received stream; give it back with [`put_pieces`].
pub(super) fn pieces() -> VecDeque<Bytes> {
    take(&PIECES)
}

pub(super) fn put_pieces(mut pieces: VecDeque<Bytes>) {
    if pieces.capacity() <= KEEP {
        pieces.clear();
        put(&PIECES, pieces);
    }
}

/// Empty storage for the slices of a transmission; give it back with [`put_payload`].
pub(super) fn payload() -> Vec<Bytes> {
    take(&PAYLOAD)
}

pub(super) fn put_payload(mut payload: Vec<Bytes>) {
    // The connection bounds its capacity.
    payload.clear();
    put(&PAYLOAD, payload);
}

/// Empty storage for a mailbox; the actor that empties the mailbox gives it back with [`put_queue`].
pub(super) fn queue() -> VecDeque<Arrival> {
    take(&QUEUE)
}

pub(super) fn put_queue(mut queue: VecDeque<Arrival>) {
    if queue.capacity() <= KEEP {
        queue.clear();
        put(&QUEUE, queue);
    }
}

/// A thread that ends has none any more.
fn take<T: Default>(key: &'static LocalKey<Cell<T>>) -> T {
    key.try_with(Cell::take).unwrap_or_default()
}

fn put<T>(key: &'static LocalKey<Cell<T>>, storage: T) {
    // Otherwise the thread ends, and the storage with it.
    let _ = key.try_with(|cell| cell.set(storage));
}
