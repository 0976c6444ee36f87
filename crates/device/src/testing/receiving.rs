//! What a reader may rely on.

use std::task::{Context, Poll};

use netstack_wire::ipv4;
use tokio::time::Instant;

use super::{End, LIMIT, Make, Wakes, packet, recv, until, within};
use crate::{Meta, RxBatch};

pub(super) async fn capabilities_fit_together(make: &mut impl Make) {
    let (end, _peer) = End::pair(make, 4);
    assert!(!end.rx.is_empty(), "conformance: a device has at least one receiving half");
    assert_eq!(end.rx.len(), end.caps.queues, "conformance: `queues` is the number of receiving halves");
    assert!(end.caps.max_frame >= end.caps.mtu, "conformance: a frame may be as long as the MTU");
    assert!(end.caps.mtu >= ipv4::MIN_MTU.into(), "conformance: an MTU of at least 68 (RFC 791)");
}

pub(super) async fn frames_arrive_in_order_and_whole(make: &mut impl Make) {
    const RULE: &str = "frames of a flow arrive in order and whole";
    const FRAMES: u64 = 200;
    let (mut end, mut peer) = End::pair(make, 16);
    let (_out, arrivals) = (end.pump(), peer.pump());
    let start = Instant::now();
    let mtu = end.caps.mtu.min(peer.caps.mtu);
    let length = |serial: u64| if serial.is_multiple_of(2) { mtu } else { 36 + serial as usize % 500 };
    let sending = async {
        for serial in 0..FRAMES {
            let (head, payload) = packet::datagram(serial, length(serial));
            // In three slices, one of them empty.
            let slices = [payload.slice(..3), payload.slice(3..3), payload.slice(3..)];
            end.send(&head, &slices, Meta::default()).await.expect("a plain frame is sent");
        }
    };
    within(RULE, sending).await;
    let frames = arrivals.frames(FRAMES as usize, RULE).await;
    assert_eq!(frames.len() as u64, FRAMES, "conformance: {RULE}");
    for (serial, frame) in (0..).zip(frames) {
        let (head, payload) = packet::datagram(serial, length(serial));
        assert_eq!(frame.data, [head.as_slice(), &payload].concat(), "conformance: {RULE}");
        let stamped = start <= frame.at && frame.at <= Instant::now();
        assert!(stamped, "conformance: a frame carries the time of its arrival");
    }
}

pub(super) async fn batches_keep_their_bounds(make: &mut impl Make) {
    const RULE: &str = "a batch keeps its bounds, and what does not fit comes with the next";
    const FRAMES: u64 = 12;
    let (mut end, mut peer) = End::pair(make, 64);
    let _out = end.pump();
    for serial in 0..FRAMES {
        let (head, payload) = packet::datagram(serial, 100);
        end.send(&head, &[payload], Meta::default()).await.expect("a plain frame is sent");
    }
    let mut got = 0;
    while got < FRAMES {
        // By frames, by bytes, by both.
        let limits = [(3, usize::MAX), (64, 150), (1, 1)][got as usize % 3];
        let batch = within(RULE, recv(&mut *peer.rx[0], RxBatch::with_limits(limits.0, limits.1))).await;
        let batch = batch.expect("the device is open");
        assert!(batch.len() <= limits.0, "conformance: {RULE}");
        let before_last: usize = batch.iter().rev().skip(1).map(|frame| frame.data.len()).sum();
        assert!(before_last < limits.1, "conformance: {RULE}");
        for frame in batch {
            assert_eq!(packet::serial(&frame.data), got, "conformance: {RULE}");
            got += 1;
        }
        a_full_batch_is_answered_at_once(&mut peer);
    }
}

fn a_full_batch_is_answered_at_once(peer: &mut End) {
    let mut full = RxBatch::with_limits(1, 1);
    let frame = crate::RxFrame { data: vec![0].into(), meta: Meta::default(), at: Instant::now() };
    full.push(frame);
    let (_, waker) = Wakes::new();
    let polled = peer.rx[0].poll_recv(&mut Context::from_waker(&waker), &mut full);
    let at_once = matches!(polled, Poll::Ready(Ok(()))) && full.len() == 1;
    assert!(at_once, "conformance: a batch that is full is left as it is, and the call is ready");
}

pub(super) async fn a_waiting_reader_is_woken(make: &mut impl Make) {
    const RULE: &str = "a frame wakes the waker of the last call, and only an idle reader waits";
    let (mut end, mut peer) = End::pair(make, 4);
    let _out = end.pump();
    let ((_, first), (second, waker)) = (Wakes::new(), Wakes::new());
    let mut batch = RxBatch::new();
    for waker in [&first, &waker] {
        for rx in &mut peer.rx {
            let polled = rx.poll_recv(&mut Context::from_waker(waker), &mut batch);
            assert!(polled.is_pending() && batch.is_empty(), "conformance: {RULE}");
        }
    }
    let woken = second.count();
    end.try_send(5, &mut crate::Turn::new()).expect("an empty queue takes a frame");
    until(RULE, || second.count() > woken).await;
    let frames = within(RULE, recv(&mut *peer.rx[0], batch)).await.expect("the device is open");
    assert_eq!(packet::serial(&frames[0].data), 5, "conformance: {RULE}");
}

pub(super) async fn the_end_reaches_the_reader(make: &mut impl Make) {
    const RULE: &str = "when the other side goes, a reader gets what is left, then an error";
    let (mut end, mut peer) = End::pair(make, 4);
    end.try_send(6, &mut crate::Turn::new()).expect("an empty queue takes a frame");
    let out = end.pump();
    until(RULE, || end.tx.counters().tx_frames == 1).await;
    drop(out);
    tokio::time::sleep(LIMIT / 1000).await;
    drop(end);
    let read = async {
        let frames = recv(&mut *peer.rx[0], RxBatch::new()).await.expect("what is left comes first");
        assert_eq!(packet::serial(&frames[0].data), 6, "conformance: {RULE}");
        while recv(&mut *peer.rx[0], RxBatch::new()).await.is_ok() {}
    };
    within(RULE, read).await;
}
