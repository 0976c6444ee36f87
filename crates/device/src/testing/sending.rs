//! What senders may rely on when the device is full.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use super::{End, Make, Wakes, lock, recv, try_send, until, within};
use crate::{RxBatch, SendError, Turn};

const SENDERS: usize = 1000;
const ROUNDS: usize = 3;

pub(super) async fn no_sender_starves(make: &mut impl Make) {
    const RULE: &str = "1,000 senders on 4 slots: each gets its turn, in order";
    let (mut end, mut peer) = End::pair(make, 4);
    let Some(filled) = end.fill() else { return };
    let order = Arc::new(Mutex::new(Vec::new()));
    let joined = Arc::new(Mutex::new(0));
    for sender in 0..SENDERS {
        let (tx, order, joined) = (Arc::clone(&end.tx), Arc::clone(&order), Arc::clone(&joined));
        tokio::spawn(async move {
            let mut turn = Turn::new();
            for round in 0..ROUNDS {
                while let Err(SendError::Full) = try_send(&*tx, sender as u64, &mut turn) {
                    poll_fn(|cx| {
                        let polled = tx.poll_ready(cx, &mut turn);
                        *lock(&joined) += usize::from(round == 0 && polled.is_pending());
                        polled
                    })
                    .await;
                }
                lock(&order).push(sender);
            }
        });
    }
    until(RULE, || *lock(&joined) >= SENDERS).await;
    // Nobody has read so far: only now slots become free.
    let (_out, arrivals) = (end.pump(), peer.pump());
    until(RULE, || lock(&order).len() == SENDERS * ROUNDS).await;
    let frames = arrivals.frames(filled + SENDERS * ROUNDS, "every frame that was taken arrives").await;
    assert_eq!(frames.len(), filled + SENDERS * ROUNDS, "conformance: every frame that was taken arrives");
    let mut rounds = vec![0; SENDERS];
    // How many senders are still in each round.
    let mut standing = [0; ROUNDS + 1];
    standing[0] = SENDERS;
    for &sender in lock(&order).iter() {
        let round: usize = rounds[sender];
        let behind: usize = standing[..round.saturating_sub(1)].iter().sum();
        assert_eq!(behind, 0, "conformance: {RULE}; one was overtaken twice");
        standing[round] -= 1;
        standing[round + 1] += 1;
        rounds[sender] += 1;
    }
}

pub(super) async fn a_slot_is_held_for_the_one_woken(make: &mut impl Make) {
    const RULE: &str = "a slot is held for the sender that waited, whoever comes along";
    let (mut end, mut peer) = End::pair(make, 4);
    if end.fill().is_none() {
        return;
    }
    let ((wakes, waker), mut waiting) = (Wakes::new(), Turn::new());
    assert!(
        end.poll_ready(&waker, &mut waiting).is_pending(),
        "conformance: a full device lets a sender wait"
    );
    let full = end.try_send(1, &mut waiting);
    assert!(matches!(full, Err(SendError::Full)), "conformance: who waits has no slot yet");
    let pumps = (end.pump(), peer.pump());
    until(RULE, || wakes.count() > 0).await;
    drop(pumps);
    let barged = end.fill();
    assert!(barged.is_some(), "conformance: a device with no reader gets full again");
    assert!(end.poll_ready(&waker, &mut waiting).is_ready(), "conformance: {RULE}");
    assert!(end.try_send(2, &mut waiting).is_ok(), "conformance: {RULE}");
}

pub(super) async fn the_last_waker_counts(make: &mut impl Make) {
    const RULE: &str = "a sender polled from another task is woken there";
    let (mut end, mut peer) = End::pair(make, 4);
    if end.fill().is_none() {
        return;
    }
    let ((_, first), (second, last)) = (Wakes::new(), Wakes::new());
    let mut turn = Turn::new();
    for waker in [&first, &last] {
        assert!(
            end.poll_ready(waker, &mut turn).is_pending(),
            "conformance: a full device lets a sender wait"
        );
    }
    let _pumps = (end.pump(), peer.pump());
    until(RULE, || second.count() > 0).await;
    end.tx.leave(&mut turn);
}

pub(super) async fn who_leaves_hands_the_slot_on(make: &mut impl Make) {
    const RULE: &str = "a sender that leaves hands its place and its slot on";
    let (mut end, mut peer) = End::pair(make, 1);
    if end.fill().is_none() {
        return;
    }
    let [(gone, a), (first, b), (next, c)] = [Wakes::new(), Wakes::new(), Wakes::new()];
    let mut turns = [Turn::new(), Turn::new(), Turn::new()];
    for (waker, turn) in [&a, &b, &c].into_iter().zip(&mut turns) {
        assert!(end.poll_ready(waker, turn).is_pending(), "conformance: a full device lets a sender wait");
    }
    let [left, granted, waiting] = &mut turns;
    end.tx.leave(left);
    let _pumps = (end.pump(), peer.pump());
    until(RULE, || first.count() > 0).await;
    assert_eq!(gone.count(), 0, "conformance: who has left is not woken");
    end.tx.leave(granted);
    until(RULE, || next.count() > 0).await;
    assert!(end.try_send(1, waiting).is_ok(), "conformance: {RULE}");
}

pub(super) async fn closing_wakes_everyone(make: &mut impl Make) {
    const RULE: &str = "when the device ends every sender is woken and told";
    let (mut end, peer) = End::pair(make, 4);
    let full = end.fill().is_some();
    let mut waiting = Vec::new();
    for _ in 0..if full { SENDERS } else { 0 } {
        let ((wakes, waker), mut turn) = (Wakes::new(), Turn::new());
        assert!(
            end.poll_ready(&waker, &mut turn).is_pending(),
            "conformance: a full device lets a sender wait"
        );
        waiting.push((wakes, turn));
    }
    drop(peer);
    let read = async { while recv(&mut *end.rx[0], RxBatch::new()).await.is_ok() {} };
    within("when the other side goes, a reader gets an error", read).await;
    let (_, waker) = Wakes::new();
    for (wakes, mut turn) in waiting {
        assert!(wakes.count() > 0, "conformance: {RULE}");
        assert!(end.poll_ready(&waker, &mut turn).is_ready(), "conformance: {RULE}");
        let sent = end.try_send(1, &mut turn);
        assert!(matches!(sent, Err(SendError::Closed(_))), "conformance: {RULE}: {sent:?}");
        end.tx.leave(&mut turn);
    }
    let sent = end.try_send(1, &mut Turn::new());
    assert!(matches!(sent, Err(SendError::Closed(_))), "conformance: {RULE}: {sent:?}");
}
