//! The queue of senders that wait for a slot of a device.

use netstack_device::{Acquire, Turn, Waiters};

use super::*;

/// Waits for a slot, as a sender does, and gives it back once it has sent.
async fn send(waiters: &Waiters) -> Acquire {
    let mut turn = Turn::new();
    loop {
        match waiters.try_acquire(&mut turn) {
            Acquire::Full => poll_fn(|cx| waiters.poll_ready(cx, &mut turn)).await,
            Acquire::Slot => {
                waiters.release(1);
                return Acquire::Slot;
            }
            Acquire::Closed => return Acquire::Closed,
        }
    }
}

/// A slot that is given to a sender that leaves goes to the next, and none is lost.
#[test]
fn a_slot_comes_to_whoever_waits() {
    check("slots: two senders, one leaves", None, || {
        let waiters = Arc::new(Waiters::new(1));
        assert_eq!(waiters.try_acquire(&mut Turn::new()), Acquire::Slot);
        loom::explore();
        let stays = task({
            let waiters = Arc::clone(&waiters);
            async move { send(&waiters).await }
        });
        let leaves = thread({
            let waiters = Arc::clone(&waiters);
            move || {
                let mut turn = Turn::new();
                let _ = waiters.poll_ready(&mut Context::from_waker(Waker::noop()), &mut turn);
                waiters.leave(&mut turn);
            }
        });
        waiters.release(1);
        assert_eq!(stays.join().unwrap(), Acquire::Slot);
        leaves.join().unwrap();
        assert_eq!(waiters.try_acquire(&mut Turn::new()), Acquire::Slot);
    });
}

/// A device that closes wakes whoever waits for a slot of it.
#[test]
fn a_close_reaches_whoever_waits() {
    check("slots: two senders, close", None, || {
        let waiters = Arc::new(Waiters::new(1));
        assert_eq!(waiters.try_acquire(&mut Turn::new()), Acquire::Slot);
        loom::explore();
        let senders = [(), ()].map(|()| {
            let waiters = Arc::clone(&waiters);
            task(async move { send(&waiters).await })
        });
        waiters.close();
        for sender in senders {
            assert_eq!(sender.join().unwrap(), Acquire::Closed);
        }
    });
}
