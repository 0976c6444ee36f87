//! How an actor is woken: by ingress, by orders, by requests; and how loops are told to end.

use super::*;
use crate::actor::order;
use crate::stack::StopSignal;

/// Plays the actor: in each turn `work` does what it can, until it says that all is done.
async fn turns(shared: &Shared, mut work: impl FnMut() -> bool) {
    poll_fn(|cx| {
        shared.begin_turn(cx);
        if work() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Two queues of a device bring segments for one connection: whoever does not notify relies on the other, and nothing stays
/// in the mailbox.
#[test]
fn what_two_queues_push_is_seen_by_a_turn() {
    check("two ingress loops and a mailbox", Some(3), || {
        World::play(8, |mut world| {
            let (stream, shared, actor) = world.open();
            let segments = [b"a", b"b"].map(|text| world.far.segment(TcpFlags::ACK, text));
            loom::explore();
            let loops = segments.map(|segment| {
                let shared = Arc::clone(&shared);
                thread(move || ingress(&shared, [segment]))
            });
            let mut seen = 0;
            block_on(turns(&shared, || {
                seen += shared.mailbox.take(&shared.inner.budget).len();
                seen == 2
            }));
            loops.into_iter().for_each(|it| it.join().unwrap());
            loom::stop_exploring();
            drop((stream, actor));
        });
    });
}

/// Orders of two tasks reach the actor, each once.
#[test]
fn no_order_is_lost() {
    check("two orders", Some(3), || {
        World::play(8, |mut world| {
            let (stream, shared, actor) = world.open();
            loom::explore();
            let givers = [order::CLOSE, order::ABORT].map(|bits| {
                let shared = Arc::clone(&shared);
                thread(move || shared.order(bits))
            });
            let mut seen = 0;
            block_on(turns(&shared, || {
                let orders = shared.take_orders();
                assert_eq!(seen & orders, 0, "taken once");
                seen |= orders;
                seen == order::CLOSE | order::ABORT
            }));
            givers.into_iter().for_each(|giver| giver.join().unwrap());
            loom::stop_exploring();
            drop((stream, actor));
        });
    });
}

/// A setting that is stored before its order is what the turn that takes the order reads.
#[test]
fn a_setting_comes_with_its_order() {
    check("setting and order", None, || {
        World::play(8, |mut world| {
            let (stream, shared, actor) = world.open();
            loom::explore();
            let setter = thread({
                let shared = Arc::clone(&shared);
                move || shared.set_quickack(true)
            });
            block_on(turns(&shared, || {
                let ordered = shared.take_orders() & order::REQUEST != 0;
                assert!(!ordered || shared.quickack());
                ordered
            }));
            setter.join().unwrap();
            loom::stop_exploring();
            drop((stream, actor));
        });
    });
}

/// A loop that reads a device and goes to sleep while it is told to end is woken.
#[test]
fn a_loop_that_is_told_to_end_ends() {
    check("stop signal", Some(4), || {
        let signal = Arc::new(StopSignal::default());
        loom::explore();
        let loops = [(), ()].map(|()| {
            let signal = Arc::clone(&signal);
            task(poll_fn(move |cx| if signal.is_raised(cx) { Poll::Ready(()) } else { Poll::Pending }))
        });
        signal.raise();
        loops.into_iter().for_each(|it| it.join().unwrap());
    });
}
