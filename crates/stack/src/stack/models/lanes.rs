//! The two buffers, without a connection: all interleavings of what an application and an actor do to them.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::*;
use crate::budget::Budget;
use crate::error::EndCause;
use crate::lane::{Phase, Read, RecvSide, Room, SendSide, Waiter, Write, wait};

const AT_ONCE: Room = Room { unsent: 0, mss: 1460 };

fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(1 << 30))
}

fn publish(side: &RecvSide, piece: &'static [u8]) {
    side.publish(&mut VecDeque::from([Bytes::from_static(piece)]));
}

/// Reads to the end of the stream: the text, and how it ended.
async fn read_all(side: &RecvSide) -> (Vec<u8>, Option<EndCause>) {
    let mut text = Vec::new();
    loop {
        match poll_fn(|cx| side.read(5000, &Waiter::Poll(cx), |piece| text.extend_from_slice(piece))).await {
            Ok(Read::Data { .. }) => {}
            Ok(Read::Eof) => return (text, None),
            Err(cause) => return (text, Some(cause)),
        }
    }
}

fn write(side: &SendSide, text: &[u8], waiter: &Waiter<'_, '_>) -> Poll<Write> {
    side.write(&[IoSlice::new(text)], waiter)
}

/// What the actor has been given, as one text.
fn taken(side: &SendSide) -> Vec<u8> {
    side.take(AT_ONCE).pieces.into_iter().flat_map(|piece| piece.to_vec()).collect()
}

/// Whatever the reader does meanwhile, it gets all octets in order, then the end, and is woken for each.
#[test]
fn a_reader_gets_everything_in_order_and_then_the_end() {
    static LARGE: [u8; 2048] = [b'L'; 2048];
    check("reader: small, large, small, FIN", Some(5), || {
        let budget = budget();
        let side = Arc::new(RecvSide::new(&budget));
        loom::explore();
        let reader = task({
            let side = Arc::clone(&side);
            async move { read_all(&side).await }
        });
        for piece in [b"a", &LARGE[..], b"b"] {
            publish(&side, piece);
        }
        side.finish();
        side.fail(EndCause::StackStopped);
        assert_eq!(reader.join().unwrap(), ([b"a", &LARGE[..], b"b"].concat(), None));
        drop(side);
        assert_eq!(budget.used(), 0);
    });
}

/// The same, all orders there are, with an end that is an error.
#[test]
fn a_reader_learns_that_the_connection_broke() {
    check("reader: text, failure", None, || {
        let side = Arc::new(RecvSide::new(&budget()));
        loom::explore();
        let reader = task({
            let side = Arc::clone(&side);
            async move { read_all(&side).await }
        });
        publish(&side, b"a");
        side.fail(EndCause::StackStopped);
        side.finish();
        assert_eq!(reader.join().unwrap(), (b"a".to_vec(), Some(EndCause::StackStopped)));
    });
}

/// One future that gives up takes nobody else's wake-up with it.
#[test]
fn a_reader_that_gives_up_leaves_the_other_its_wake_up() {
    check("two waiters, one gives up", None, || {
        let side = Arc::new(RecvSide::new(&budget()));
        loom::explore();
        let stays = task({
            let side = Arc::clone(&side);
            async move { wait(|waiter| side.poll_readable(waiter), |place| side.forget(place)).await }
        });
        let goes = thread({
            let side = Arc::clone(&side);
            move || {
                let mut waits = pin!(wait(|waiter| side.poll_readable(waiter), |place| side.forget(place)));
                let _ = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
        });
        publish(&side, b"a");
        stays.join().unwrap();
        goes.join().unwrap();
    });
}

/// The window update is announced by exactly one: the reader that passes the level, or the actor that finds it passed.
#[test]
fn one_of_reader_and_actor_sends_the_window_update() {
    check("window update", None, || {
        let side = Arc::new(RecvSide::new(&budget()));
        publish(&side, b"ab");
        loom::explore();
        let reader = thread({
            let side = Arc::clone(&side);
            move || {
                let read = || side.read(1, &Waiter::None, |_| {});
                [read(), read()].map(|read| read == Poll::Ready(Ok(Read::Data { len: 1, update: true })))
            }
        });
        let found = side.set_update_at(Some(0)).is_some();
        let told = reader.join().unwrap();
        assert_eq!([found, told[0], told[1]].iter().filter(|&&it| it).count(), 1);
    });
}

/// A discard by the actor and a read at once: each octet goes one way, and no memory stays charged.
#[test]
fn a_read_and_a_discard_leave_no_memory_charged() {
    check("read against discard", None, || {
        let budget = budget();
        let side = Arc::new(RecvSide::new(&budget));
        publish(&side, b"ab");
        loom::explore();
        let reader = thread({
            let side = Arc::clone(&side);
            move || {
                let _ = side.read(1, &Waiter::None, |_| {});
            }
        });
        side.discard();
        reader.join().unwrap();
        assert_eq!((side.unread(), budget.used()), (0, 0));
    });
}

/// A segment's worth of text in the lane: the actor has taken it, or the writer is told to wake it.
#[test]
fn the_actor_takes_the_text_or_the_writer_wakes_it() {
    check("threshold of the send lane", None, || {
        let side = Arc::new(SendSide::new(1000, Phase::Open, &budget()));
        loom::explore();
        let writer = thread({
            let side = Arc::clone(&side);
            move || {
                [b"a", b"b"].map(|text| {
                    write(&side, text, &Waiter::None) == Poll::Ready(Write::Data { len: 1, first: true })
                })
            }
        });
        let took =
            side.take(Room { unsent: 1, mss: 3 }).pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let [first, second] = writer.join().unwrap();
        match took {
            // The lane held nothing when it was looked at, or less than a segment.
            0 => assert!(second, "nobody would wake the actor"),
            1 => panic!("less than a segment"),
            _ => assert!(first),
        }
        assert_eq!(took + taken(&side).len(), 2);
    });
}

/// A writer that finds no room is woken by the room, and loses nothing.
#[test]
fn a_writer_is_woken_by_room() {
    check("writer waits for room", None, || {
        let side = Arc::new(SendSide::new(2, Phase::Open, &budget()));
        assert!(write(&side, b"ab", &Waiter::None).is_ready());
        loom::explore();
        let writer = task({
            let side = Arc::clone(&side);
            async move { poll_fn(|cx| write(&side, b"cd", &Waiter::Poll(cx))).await }
        });
        let mut text = taken(&side);
        side.publish(1, 1, 2);
        side.publish(0, 0, 2);
        assert!(matches!(writer.join().unwrap(), Write::Data { len: 1 | 2, .. }));
        text.extend(taken(&side));
        assert!(b"abcd".starts_with(&text[..]) && text.len() > 2, "{text:?}");
    });
}

/// A writer that waits is told of a shutdown by another task, of the end of the connection, or of both.
#[test]
fn a_writer_that_waits_learns_of_shutdown_and_end() {
    check("writer against shutdown and end", None, || {
        let budget = budget();
        let side = Arc::new(SendSide::new(1, Phase::Open, &budget));
        assert!(write(&side, b"a", &Waiter::None).is_ready());
        loom::explore();
        let writer = task({
            let side = Arc::clone(&side);
            async move { poll_fn(|cx| write(&side, b"b", &Waiter::Poll(cx))).await }
        });
        let other = thread({
            let side = Arc::clone(&side);
            move || side.shut()
        });
        side.end(EndCause::StackStopped);
        assert!(matches!(writer.join().unwrap(), Write::Closed(None | Some(EndCause::StackStopped))));
        assert!(matches!(other.join().unwrap(), Ok(true) | Err(EndCause::StackStopped)));
        assert_eq!(budget.used(), 0);
    });
}

/// Text that is being copied while the connection ends is taken whole or refused, and its memory is given back.
#[test]
fn a_write_that_meets_the_end_leaves_no_memory() {
    check("two writers against the end", None, || {
        let budget = budget();
        let side = Arc::new(SendSide::new(1000, Phase::Open, &budget));
        loom::explore();
        let writers = [b"a", b"b"].map(|text| {
            let side = Arc::clone(&side);
            thread(move || {
                let written = write(&side, text, &Waiter::None);
                assert!(matches!(written, Poll::Ready(Write::Data { len: 1, .. } | Write::Closed(Some(_)))));
            })
        });
        side.end(EndCause::StackStopped);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert!(taken(&side).is_empty());
        assert_eq!(budget.used(), 0);
    });
}

/// Two writers of the same lane: each record stays whole.
#[test]
fn two_writers_keep_their_records_whole() {
    check("two writers and the actor", None, || {
        let side = Arc::new(SendSide::new(1000, Phase::Open, &budget()));
        loom::explore();
        let writers = [b"aa", b"bb"].map(|text| {
            let side = Arc::clone(&side);
            thread(move || assert!(write(&side, text, &Waiter::None).is_ready()))
        });
        let mut text = taken(&side);
        side.publish(text.len(), text.len(), 1000);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        text.extend(taken(&side));
        assert!([&b"aabb"[..], b"bbaa"].contains(&&text[..]), "{text:?}");
    });
}
