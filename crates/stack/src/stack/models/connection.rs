//! Whole connections: the stream, the actor and a peer, over a device in memory.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// What is written arrives at the peer in order, and the shutdown behind it, whenever the actor sleeps.
#[test]
fn what_is_written_leaves() {
    check("writer, actor, peer", Some(2), || {
        World::play(8, |mut world| {
            let (mut stream, shared, actor) = world.open();
            loom::explore();
            let actor = task(actor);
            let writer = task(async move {
                stream.write_all(b"a").await.unwrap();
                stream.write_all(b"b").await.unwrap();
                stream.shutdown().await.unwrap();
                stream
            });
            let mut text = Vec::new();
            block_on(async {
                loop {
                    let (header, part) = world.far.recv().await;
                    text.extend_from_slice(&part);
                    if header.flags.contains(TcpFlags::FIN) {
                        break;
                    }
                }
            });
            assert_eq!(text, b"ab");
            writer.join().unwrap().abort();
            actor.join().unwrap();
            assert_eq!(shared.inner.budget.used(), 0);
        });
    });
}

/// What arrives is read in order, and the end of the stream behind it.
#[test]
fn what_arrives_is_read() {
    check("reader, actor, ingress", Some(2), || {
        World::play(8, |mut world| {
            let (mut stream, shared, actor) = world.open();
            let last = TcpFlags::ACK | TcpFlags::FIN;
            let segments = [world.far.segment(TcpFlags::ACK, b"a"), world.far.segment(last, b"b")];
            loom::explore();
            let actor = task(actor);
            let reader = task(async move {
                let mut text = Vec::new();
                stream.read_to_end(&mut text).await.unwrap();
                (stream, text)
            });
            for segment in segments {
                ingress(&shared, [segment]);
            }
            let (stream, text) = reader.join().unwrap();
            assert_eq!(text, b"ab");
            stream.abort();
            actor.join().unwrap();
            assert_eq!(shared.inner.budget.used(), 0);
        });
    });
}

/// A stream that is dropped while data arrives for it: the peer gets a reset, and the actor ends.
#[test]
fn a_dropped_stream_ends_its_actor() {
    check("drop, actor, ingress", Some(3), || {
        World::play(8, |mut world| {
            let (stream, shared, actor) = world.open();
            let segment = world.far.segment(TcpFlags::ACK, b"a");
            loom::explore();
            let actor = task(actor);
            let owner = thread(move || drop(stream));
            ingress(&shared, [segment]);
            owner.join().unwrap();
            actor.join().unwrap();
            assert_eq!(shared.inner.budget.used(), 0);
            assert!(shared.inner.table.actor(&tuple()).is_none());
        });
    });
}

/// A reset wakes the reader, which gets the error.
#[test]
fn a_reset_wakes_the_reader() {
    check("reset against a reader", Some(3), || {
        World::play(8, |mut world| {
            let (mut stream, shared, actor) = world.open();
            let reset = world.far.segment(TcpFlags::RST, b"");
            loom::explore();
            let actor = task(actor);
            let reader = task(async move { stream.read(&mut [0]).await.unwrap_err().kind() });
            ingress(&shared, [reset]);
            assert_eq!(reader.join().unwrap(), io::ErrorKind::ConnectionReset);
            actor.join().unwrap();
        });
    });
}

/// Who asks for a connection's figures while it ends gets an answer.
#[test]
fn figures_are_given_to_the_last() {
    check("figures against the end", Some(3), || {
        World::play(8, |mut world| {
            let (stream, shared, actor) = world.open();
            loom::explore();
            let actor = task(actor);
            let asker = task({
                let shared = Arc::clone(&shared);
                async move { shared.info().await }
            });
            stream.abort();
            asker.join().unwrap();
            actor.join().unwrap();
        });
    });
}

/// The stack stops while a task reads: the task gets an error, and the actor ends.
#[test]
fn a_stop_reaches_whoever_waits() {
    check("stop against reader and actor", Some(3), || {
        World::play(8, |mut world| {
            let (mut stream, shared, actor) = world.open();
            loom::explore();
            let actor = task(actor);
            let reader = task(async move { stream.read(&mut [0]).await.unwrap_err().kind() });
            shared.inner.stop();
            assert_eq!(reader.join().unwrap(), io::ErrorKind::NetworkDown);
            actor.join().unwrap();
        });
    });
}

/// An actor that stands in the device's queue while the network changes sees the change, or is told of it: whoever changes it
/// and whoever goes to wait look at each other's mark.
#[test]
fn a_change_of_the_network_reaches_whoever_waits_for_the_device() {
    check("network change against a full device", None, || {
        World::play(1, |mut world| {
            let (mut stream, shared, mut actor) = world.open();
            // The far end takes nothing any more: one frame fills the device.
            block_on(stream.write_all(b"a")).unwrap();
            turn(&mut actor);
            block_on(stream.write_all(b"b")).unwrap();
            loom::explore();
            let waits = task({
                let shared = Arc::clone(&shared);
                async move {
                    poll_fn(|cx| {
                        let _ = pin!(&mut actor).poll(cx);
                        let gone = shared.inner.counters.snapshot().tx_lost > 0;
                        if gone { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                    actor
                }
            });
            world.stack.remove_address(tuple().local().ip()).unwrap();
            let actor = waits.join().unwrap();
            loom::stop_exploring();
            drop((stream, actor));
        });
    });
}
