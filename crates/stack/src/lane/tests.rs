use std::collections::VecDeque;
use std::future::Future;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;

use super::*;
use crate::budget::{Account, Budget, Direction, LEAST};
use crate::error::EndCause;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn pieces(parts: &[&[u8]]) -> VecDeque<Bytes> {
    parts.iter().map(|part| Bytes::copy_from_slice(part)).collect()
}

/// Bytes that differ from place to place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

fn read_all(side: &RecvSide, want: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = side.read(want, &Waiter::None, |piece| out.extend_from_slice(piece));
    out
}

fn write(side: &SendSide, data: &[u8]) -> Poll<Write> {
    side.write(&[IoSlice::new(data)], &Waiter::None)
}

/// A budget that is never reached.
fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(usize::MAX))
}

fn open(capacity: usize) -> SendSide {
    SendSide::new(capacity, Phase::Open, &budget())
}

const ALL: Room = Room { unsent: 0, mss: 1460 };

#[test]
fn received_pieces_keep_their_order_whatever_their_size() {
    let side = RecvSide::new(&budget());
    let large = vec![3; 5000];
    side.publish(&mut pieces(&[b"one ", b"two ", &large, b"three ", b"four"]));
    side.publish(&mut pieces(&[&large, b"five"]));
    let expected = [b"one two ", &large[..], b"three four", &large[..], b"five"].concat();
    assert_eq!(side.unread(), expected.len());
    let mut out = Vec::new();
    while out.len() < expected.len() {
        out.extend(read_all(&side, 777));
    }
    assert_eq!(out, expected);
    assert_eq!(side.unread(), 0);
}

#[test]
fn small_payload_does_not_pin_its_buffer() {
    let side = RecvSide::new(&budget());
    let frame = Bytes::from(vec![9; 64 << 10]);
    side.publish(&mut [frame.slice(100..200)].into());
    assert!(frame.is_unique(), "the lane holds a copy");
    side.publish(&mut [frame.slice(0..4096)].into());
    assert!(!frame.is_unique(), "a large piece is shared");
}

#[test]
fn peek_sees_across_pieces_and_takes_nothing() {
    let side = RecvSide::new(&budget());
    side.publish(&mut pieces(&[&[1; 3000], b"small", &[2; 3000]]));
    assert_eq!(read_all(&side, 1000).len(), 1000);
    let mut seen = Vec::new();
    let peeked = side.peek(2010, &Waiter::None, |piece| seen.extend_from_slice(piece));
    assert_eq!(peeked, Poll::Ready(Ok(Read::Data { len: 2010, update: false })));
    assert_eq!(read_all(&side, 2010), seen);
}

#[test]
fn a_reader_wakes_the_actor_once_per_level() {
    let side = RecvSide::new(&budget());
    side.publish(&mut pieces(&[&[0; 4000]]));
    assert_eq!(side.set_update_at(Some(2000)), None);
    let read = |want| side.read(want, &Waiter::None, |_| {});
    assert_eq!(read(1999), Poll::Ready(Ok(Read::Data { len: 1999, update: false })));
    assert_eq!(read(1), Poll::Ready(Ok(Read::Data { len: 1, update: true })));
    assert_eq!(read(500), Poll::Ready(Ok(Read::Data { len: 500, update: false })), "an edge, not a level");
    assert_eq!(side.set_update_at(Some(1600)), Some(1500), "the level was passed before it was set");
}

#[test]
fn the_end_comes_after_the_data_and_the_first_end_counts() {
    let side = RecvSide::new(&budget());
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(side.read(1, &Waiter::Poll(&mut cx), |_| {}).is_pending());
    side.publish(&mut pieces(&[b"x"]));
    side.finish();
    side.fail(EndCause::RuntimeGone);
    assert_eq!(count.0.load(SeqCst), 1);
    assert_eq!(read_all(&side, 10), b"x");
    assert_eq!(side.read(1, &Waiter::None, |_| {}), Poll::Ready(Ok(Read::Eof)));
}

#[test]
fn shared_waiters_are_all_woken_and_stored_once() {
    let side = RecvSide::new(&budget());
    let tasks: Vec<_> = (0..3).map(|_| counter()).collect();
    for _ in 0..2 {
        for (place, (_, waker)) in tasks.iter().enumerate() {
            let mut cx = Context::from_waker(waker);
            assert!(side.poll_readable(&Waiter::Shared(&mut cx, place as u64)).is_pending());
        }
    }
    side.publish(&mut pieces(&[b"x"]));
    for (count, _) in &tasks {
        assert_eq!(count.0.load(SeqCst), 1);
    }
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    let side = RecvSide::new(&budget());
    let (count, waker) = counter();
    {
        let future = wait(|waiter| side.poll_readable(waiter), |place| side.forget(place));
        let mut future = std::pin::pin!(future);
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Arc::strong_count(&count), 3);
    }
    assert_eq!(Arc::strong_count(&count), 2, "the lane holds no waker of a future that is gone");
}

#[test]
fn writes_side_by_side_become_one_piece() {
    let side = open(1 << 20);
    for chunk in [b"small ", b"writes", b" merge"] {
        assert!(matches!(write(&side, chunk), Poll::Ready(Write::Data { len: 6, .. })));
    }
    let taken = side.take(ALL);
    assert_eq!(taken.pieces.len(), 1);
    assert_eq!(&taken.pieces[0][..], b"small writes merge");
}

#[test]
fn only_the_first_write_notifies() {
    let side = open(1 << 20);
    let firsts: Vec<bool> =
        (0..3).map(|_| matches!(write(&side, b"x"), Poll::Ready(Write::Data { first: true, .. }))).collect();
    assert_eq!(firsts, [true, false, false]);
    side.take(ALL);
    assert!(matches!(write(&side, b"x"), Poll::Ready(Write::Data { first: true, .. })));
}

#[test]
fn bytes_that_nagle_would_hold_wait_in_the_lane() {
    let side = open(1 << 20);
    let _ = write(&side, &[0; 100]);
    let held = Room { unsent: 1000, mss: 1460 };
    assert!(side.take(held).pieces.is_empty());
    let _ = write(&side, &[0; 359]);
    assert!(side.take(held).pieces.is_empty());
    assert!(
        matches!(write(&side, &[0; 1]), Poll::Ready(Write::Data { first: true, .. })),
        "a full segment is there: the actor is told"
    );
    assert_eq!(side.take(held).pieces.iter().map(|piece| piece.len()).sum::<usize>(), 460);
}

#[test]
fn capacity_counts_what_the_connection_holds() {
    let side = open(1000);
    assert!(matches!(write(&side, &[0; 600]), Poll::Ready(Write::Data { len: 600, .. })));
    side.take(ALL);
    assert!(matches!(write(&side, &[0; 600]), Poll::Ready(Write::Data { len: 400, .. })));
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(side.write(&[IoSlice::new(b"x")], &Waiter::Poll(&mut cx)).is_pending());
    side.publish(500, 500, 1000);
    assert_eq!(count.0.load(SeqCst), 0, "100 of 1000 bytes are not worth a wake");
    side.publish(300, 300, 1000);
    assert_eq!(count.0.load(SeqCst), 1);
    assert!(matches!(write(&side, &[0; 600]), Poll::Ready(Write::Data { len: 300, .. })));
}

#[test]
fn a_shut_lane_gives_everything_and_takes_nothing() {
    let side = open(1000);
    let _ = write(&side, b"last");
    assert_eq!(side.shut(), Ok(true));
    assert_eq!(side.shut(), Ok(false), "a second shutdown does nothing");
    assert_eq!(write(&side, b"x"), Poll::Ready(Write::Closed(None)));
    let taken = side.take(Room { unsent: 1 << 20, mss: 1460 });
    assert!(taken.fin && taken.pieces.len() == 1);
}

#[test]
fn an_end_wakes_writers_and_says_why() {
    let side = open(1);
    let _ = write(&side, b"x");
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(side.poll_writable(&Waiter::Shared(&mut cx, 0)).is_pending());
    side.end(EndCause::StackStopped);
    assert_eq!(count.0.load(SeqCst), 1);
    assert_eq!(write(&side, b"x"), Poll::Ready(Write::Closed(Some(EndCause::StackStopped))));
    assert_eq!(side.shut(), Err(EndCause::StackStopped));
}

#[test]
fn one_write_takes_64_kib_at_most_from_all_its_slices() {
    let side = open(1 << 20);
    let slices = [IoSlice::new(&[1; 40_000]), IoSlice::new(&[]), IoSlice::new(&[2; 40_000])];
    assert!(matches!(side.write(&slices, &Waiter::None), Poll::Ready(Write::Data { len: 65_536, .. })));
    let taken = side.take(ALL).pieces;
    assert_eq!((taken[0][39_999], taken[0][40_000]), (1, 2));
}

/// Urgent bytes do not wait in the lane where Nagle's would, and the mark stays behind the last of them.
#[test]
fn urgent_bytes_leave_at_once_with_their_mark() {
    let side = open(1 << 20);
    let nagle = Room { unsent: 1, mss: 1000 };
    let _ = write(&side, b"abc");
    assert!(side.take(nagle).pieces.is_empty());
    assert!(matches!(
        side.write_urgent(b"DM", &Waiter::None),
        Poll::Ready(Write::Data { len: 2, first: true })
    ));
    let _ = write(&side, b"def");
    let taken = side.take(nagle);
    assert_eq!((taken.pieces.iter().map(|piece| piece.len()).sum::<usize>(), taken.urgent), (8, 5));
    let _ = write(&side, b"g");
    let again = side.take(nagle);
    assert!(again.pieces.is_empty() && again.urgent == 0, "said once");
}

#[test]
fn whole_bytes_keep_their_memory_and_their_place() {
    let side = open(1 << 20);
    let _ = write(&side, b"before");
    let mut data = Bytes::from(pattern(4096));
    let start = data.as_ptr();
    assert!(matches!(side.write_bytes(&mut data, &Waiter::None), Poll::Ready(Write::Data { len: 4096, .. })));
    assert!(data.is_empty());
    let _ = write(&side, b"be");
    let _ = write(&side, b"hind");
    let taken = side.take(ALL).pieces;
    assert_eq!(taken.len(), 3);
    assert_eq!((&taken[0][..], taken[1].as_ptr(), taken[1].len()), (&b"before"[..], start, 4096));
    assert_eq!(&taken[2][..], b"behind");
}

#[test]
fn tiny_bytes_are_copied_into_the_open_block() {
    let side = open(1 << 20);
    let large = Bytes::from(pattern(64 << 10));
    for start in [0, 511] {
        let mut tiny = large.slice(start..start + 511);
        assert!(matches!(
            side.write_bytes(&mut tiny, &Waiter::None),
            Poll::Ready(Write::Data { len: 511, .. })
        ));
    }
    assert!(large.is_unique(), "nothing pins the large buffer");
    let mut more = large.slice(1022..1022 + 512);
    let _ = side.write_bytes(&mut more, &Waiter::None);
    assert!(!large.is_unique(), "512 bytes go as they are");
    assert_eq!(
        side.take(ALL).pieces.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<_>>(),
        large[..1534]
    );
}

#[test]
fn the_capacity_follows_what_the_connection_takes() {
    let side = open(1000);
    assert!(matches!(write(&side, &[0; 5000]), Poll::Ready(Write::Data { len: 1000, .. })));
    side.take(ALL);
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(side.write(&[IoSlice::new(b"x")], &Waiter::Poll(&mut cx)).is_pending());
    side.publish(1000, 1000, 4000);
    assert_eq!(count.0.load(SeqCst), 1, "three quarters are free");
    assert!(matches!(write(&side, &[0; 5000]), Poll::Ready(Write::Data { len: 3000, .. })));
    side.take(ALL);
    side.publish(3000, 3000, 2000);
    assert!(write(&side, &[0; 1]).is_pending(), "more is held than it takes now");
    side.publish(1500, 1500, 2000);
    assert!(matches!(write(&side, &[0; 5000]), Poll::Ready(Write::Data { len: 500, .. })));
}

#[test]
fn bytes_count_against_the_capacity_and_stay_behind_in_part() {
    let side = open(1000);
    let mut data = Bytes::from(pattern(4096));
    let start = data.as_ptr();
    let _ = write(&side, &[0; 100]);
    assert!(matches!(side.write_bytes(&mut data, &Waiter::None), Poll::Ready(Write::Data { len: 900, .. })));
    assert_eq!((data.len(), data.as_ptr()), (3196, start.wrapping_add(900)));
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(side.write_bytes(&mut data, &Waiter::Poll(&mut cx)).is_pending());
    assert_eq!(data.len(), 3196, "nothing was taken");
    side.take(ALL);
    side.publish(900, 900, 1000);
    assert_eq!(count.0.load(SeqCst), 0, "100 of 1000 bytes are not worth a wake");
    side.publish(700, 700, 1000);
    assert_eq!(count.0.load(SeqCst), 1);
    assert!(matches!(
        side.write_bytes(&mut data, &Waiter::None),
        Poll::Ready(Write::Data { len: 300, first: true })
    ));
    assert_eq!(&side.take(ALL).pieces[0][..], &pattern(4096)[900..1200], "a small part is copied");
    side.shut().unwrap();
    assert_eq!(side.write_bytes(&mut data, &Waiter::None), Poll::Ready(Write::Closed(None)));
    assert_eq!(&data[..], &pattern(4096)[1200..], "an error takes nothing");
}

/// Each writer's records stay whole and in order, whichever way they are written.
#[test]
fn concurrent_writers_of_both_kinds_keep_their_order() {
    const RECORDS: u8 = 200;
    let side = open(64 << 20);
    std::thread::scope(|scope| {
        for writer in 0..4u8 {
            let side = &side;
            scope.spawn(move || {
                for number in 0..RECORDS {
                    let len = if number % 3 == 0 { 300 } else { 700 };
                    let mut record = vec![number; len];
                    (record[0], record[1]) = (writer, number);
                    let written = if writer % 2 == 0 {
                        write(side, &record)
                    } else {
                        side.write_bytes(&mut record.into(), &Waiter::None)
                    };
                    assert!(matches!(written, Poll::Ready(Write::Data { len: taken, .. }) if taken == len));
                }
            });
        }
    });
    let stream: Vec<u8> = side.take(ALL).pieces.iter().flat_map(|piece| piece.to_vec()).collect();
    let mut next = [0u8; 4];
    let mut rest = &stream[..];
    while let [writer, number, ..] = *rest {
        let expected = &mut next[usize::from(writer)];
        assert_eq!(number, *expected);
        *expected += 1;
        let len = if number % 3 == 0 { 300 } else { 700 };
        assert!(rest[2..len].iter().all(|&byte| byte == number), "a record in one piece");
        rest = &rest[len..];
    }
    assert_eq!(next, [RECORDS; 4]);
}

#[test]
fn a_chunk_is_the_memory_that_was_received() {
    let side = RecvSide::new(&budget());
    let piece = Bytes::from(pattern(5000));
    let start = piece.as_ptr();
    side.publish(&mut [piece].into());
    assert_eq!(side.set_update_at(Some(3500)), None);
    assert_eq!(read_all(&side, 1000), &pattern(5000)[..1000]);
    let mut chunk = Bytes::new();
    let mut read = |max| side.read_chunk(max, &Waiter::None, &mut chunk).map(|read| (read, chunk.clone()));
    let Poll::Ready((Ok(Read::Data { len: 500, update: true }), first)) = read(500) else {
        panic!("500 bytes, and the level of 3500 is reached");
    };
    assert_eq!((first.as_ptr(), first.len()), (start.wrapping_add(1000), 500));
    let Poll::Ready((Ok(Read::Data { len: 3500, update: false }), second)) = read(usize::MAX) else {
        panic!("the rest of the piece");
    };
    assert_eq!(second.as_ptr(), start.wrapping_add(1500));
    assert_eq!(side.unread(), 0);
    assert!(matches!(read(0), Poll::Ready((Ok(Read::Data { len: 0, update: false }), _))));
}

#[test]
fn a_reader_of_chunks_is_woken_and_told_of_the_end() {
    let side = RecvSide::new(&budget());
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    let mut chunk = Bytes::new();
    assert!(side.read_chunk(9, &Waiter::Poll(&mut cx), &mut chunk).is_pending());
    side.publish(&mut pieces(&[b"x"]));
    assert_eq!(count.0.load(SeqCst), 1);
    side.fail(EndCause::StackStopped);
    assert!(matches!(
        side.read_chunk(9, &Waiter::None, &mut chunk),
        Poll::Ready(Ok(Read::Data { len: 1, .. }))
    ));
    assert_eq!(&chunk[..], b"x");
    assert_eq!(side.read_chunk(9, &Waiter::None, &mut chunk), Poll::Ready(Err(EndCause::StackStopped)));
}

/// Whoever gave up beside it, and whatever became of the budget meanwhile: own bytes that are acknowledged wake a writer.
#[test]
fn a_writer_past_its_share_waits_for_its_own_bytes_alone() {
    let budget = Arc::new(Budget::new(1 << 20));
    let other = Account::new(&budget, Direction::Written);
    other.set(1 << 20);
    let side = SendSide::new(1 << 20, Phase::Open, &budget);
    assert!(matches!(write(&side, &[0; 9000]), Poll::Ready(Write::Data { len: LEAST, .. })));
    side.take(ALL);
    let tasks = [(); 2].map(|()| counter());
    for (place, (_, waker)) in tasks.iter().enumerate() {
        let mut cx = Context::from_waker(waker);
        assert!(side.poll_writable(&Waiter::Shared(&mut cx, place as u64)).is_pending());
    }
    side.forget(0);
    let woken = || tasks.each_ref().map(|(count, _)| count.0.load(SeqCst));
    side.publish(LEAST - 100, LEAST, 1 << 20);
    assert_eq!(woken(), [0, 0], "100 of 4096 bytes are not worth a wake");
    drop(other);
    side.publish(LEAST - 200, LEAST, 1 << 20);
    assert_eq!(woken(), [0, 1], "the share has grown");
    assert!(matches!(write(&side, &[0; 60_000]), Poll::Ready(Write::Data { len: 60_000, .. })));
}

/// A block counts whole from the first write into it, and nothing is left of it at the end.
#[test]
fn the_open_block_is_charged_and_goes_with_the_connection() {
    let budget = budget();
    let side = SendSide::new(1 << 20, Phase::Open, &budget);
    let _ = write(&side, &[0; 65_536]);
    side.take(ALL);
    // Into a block of as much as is held.
    let _ = write(&side, &[0; 100]);
    assert!(budget.used() >= 2 * 65_536, "{}", budget.used());
    side.end(EndCause::StackStopped);
    assert_eq!(budget.used(), 0);
    assert_eq!(lock(&side.block).capacity(), 0, "no memory stays behind");
}

/// A large frame counts with the buffer that it was read into, until its last byte is read.
#[test]
fn a_large_frame_is_charged_with_its_buffer() {
    let budget = budget();
    let side = RecvSide::new(&budget);
    side.publish(&mut [Bytes::from(vec![1; 33_000]), Bytes::from(vec![2; 30_000])].into());
    let both = budget.used();
    assert!((65_536 + 30_000..65_536 + 45_000).contains(&both), "{both}");
    read_all(&side, 32_999);
    assert_eq!(budget.used(), both);
    read_all(&side, 1);
    assert!((30_000..45_000).contains(&budget.used()), "{}", budget.used());
    read_all(&side, 30_000);
    assert_eq!(budget.used(), 0);
}
