//! The accept queue: connections that come, a task that accepts, and a listener that closes.

use super::*;
use crate::actor::order;
use crate::listener::{ListenConfig, ListenerShared, TcpListener};

fn listen(world: &World) -> (TcpListener, Arc<ListenerShared>) {
    let local = tuple().local();
    let listener = TcpListener::listen(&world.stack, Some(local), Some(&ListenConfig::default())).unwrap();
    let inner = world.inner();
    (listener, inner.listeners.find(&tuple(), &inner.secrets).unwrap())
}

/// The ACK of a handshake and a task that goes to accept: the connection is accepted.
#[test]
fn a_completed_handshake_is_accepted() {
    check("handshake against accept", Some(3), || {
        World::play(8, |mut world| {
            let (listener, queue) = listen(&world);
            let syn = world.far.segment(TcpFlags::SYN, b"");
            let now = world.inner().clock.now();
            let netstack_tcp::SynAction::Spawn(syn) = queue.handle_syn(now, tuple(), &syn, false) else {
                panic!("the listener takes the SYN");
            };
            let origin = Origin::Passive { syn, early: None, listener: queue, iss_above: None };
            let (shared, mut actor) = world.begin(origin);
            turn(&mut actor);
            world.far.expect(TcpFlags::SYN | TcpFlags::ACK);
            let ack = world.far.segment(TcpFlags::ACK, b"");
            loom::explore();
            let actor = task(actor);
            let acceptor = task(async move { (listener.accept().await.unwrap().0, listener) });
            ingress(&shared, [ack]);
            let (stream, listener) = acceptor.join().unwrap();
            stream.abort();
            actor.join().unwrap();
            loom::stop_exploring();
            drop(listener);
        });
    });
}

/// A connection that comes while the listener closes is accepted, or reset: one of both. The acceptor never waits in vain.
#[test]
fn a_connection_is_accepted_or_reset() {
    check("push, accept, close", None, || {
        World::play(8, |mut world| {
            let (stream, shared, actor) = world.open();
            let (listener, queue) = listen(&world);
            assert!(queue.reserve());
            loom::explore();
            let acceptor = task(async move {
                let mut accepted = 0;
                while listener.accept().await.is_ok() {
                    accepted += 1;
                }
                (accepted, listener)
            });
            let closer = thread({
                let (queue, inner) = (Arc::clone(&queue), Arc::clone(world.inner()));
                move || queue.close(&inner)
            });
            queue.push(stream);
            closer.join().unwrap();
            let (accepted, listener) = acceptor.join().unwrap();
            let reset = shared.take_orders() & order::ABORT != 0;
            assert_eq!(accepted, usize::from(!reset));
            loom::stop_exploring();
            drop((listener, actor));
        });
    });
}

/// Two tasks accept, two connections come: each gets one.
#[test]
fn each_acceptor_gets_one() {
    check("two pushes, two acceptors", Some(3), || {
        World::play(8, |mut world| {
            let (stream, shared, actor) = world.open();
            let (listener, queue) = listen(&world);
            let listener = Arc::new(listener);
            assert!(queue.reserve() && queue.reserve());
            loom::explore();
            let acceptors = [(), ()].map(|()| {
                let listener = Arc::clone(&listener);
                task(async move { listener.accept().await.is_ok() })
            });
            queue.push(stream);
            queue.push(TcpStream::new(shared));
            for acceptor in acceptors {
                assert!(acceptor.join().unwrap());
            }
            loom::stop_exploring();
            drop((listener, actor));
        });
    });
}
