//! The list of a stack's connections, and ending one by its name.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{Stack, State, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

fn states(stack: &Stack) -> Vec<(u16, State)> {
    stack.connections().iter().map(|entry| (entry.peer_addr().port(), entry.state())).collect()
}

/// Each connection with its state, TIME-WAIT included, in the order of their names.
#[tokio::test(start_paused = true)]
async fn connections_are_listed_with_their_states() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    assert!(stack.connections().is_empty());
    // From the last port to the first: half open, open, closed by us, and closed by both.
    let mut streams = Vec::new();
    for port in [40_004, 40_003, 40_002, 40_001] {
        raw.local.set_port(port);
        if port == 40_004 {
            raw.send(TcpFlags::SYN, b"");
            raw.recv().await;
            continue;
        }
        raw.open().await;
        let (mut stream, _) = listener.accept().await.unwrap();
        if port < 40_003 {
            stream.shutdown().await.unwrap();
            assert!(raw.recv().await.has(TcpFlags::FIN));
        }
        streams.push(stream);
    }
    raw.ack += 1;
    raw.send(TcpFlags::ACK | TcpFlags::FIN, b"");
    raw.recv().await;
    sleep(TICK).await;
    let expected = [
        (40_001, State::TimeWait),
        (40_002, State::FinWait1),
        (40_003, State::Established),
        (40_004, State::SynReceived),
    ];
    assert_eq!(states(&stack), expected);
    for entry in stack.connections() {
        assert_eq!(entry.local_addr(), addr(SERVER, PORT));
        assert_eq!(entry.peer_addr().ip(), addr(CLIENT, 0).ip());
        match entry.info().await {
            Ok(info) => assert_eq!(info.state, entry.state()),
            Err(error) => {
                assert_eq!((error.kind(), entry.state()), (ErrorKind::NotConnected, State::TimeWait));
            }
        }
    }
    let before = stack.counters().actor_turns;
    assert_eq!(stack.connections().len(), 4);
    sleep(TICK).await;
    assert_eq!(stack.counters().actor_turns, before, "a list costs the connections nothing");
}

/// An entry tells the state of when the list was made, and keeps nothing alive.
#[tokio::test(start_paused = true)]
async fn an_entry_keeps_no_connection() {
    let (server, client) = stacks();
    let (_listener, mut accepted, stream) = connected(&server, &client).await;
    let entry = server.connections().pop().unwrap();
    assert_eq!(entry.info().await.unwrap().state, State::Established);
    drop(stream);
    assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);
    drop(accepted);
    sleep(TICK).await;
    assert!(server.connections().is_empty());
    assert_eq!(entry.state(), State::Established);
    assert_eq!(entry.info().await.unwrap_err().kind(), ErrorKind::NotConnected);
    assert_eq!(states(&client), [(PORT, State::TimeWait)]);
}

/// Whoever knows a connection's name can end it: both ends learn at once.
#[tokio::test(start_paused = true)]
async fn a_connection_is_aborted_by_its_name() {
    let (server, client) = stacks();
    let (listener, mut accepted, mut stream) = connected(&server, &client).await;
    let other = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
    let (mut accepted_other, _) = listener.accept().await.unwrap();
    let (local, peer) = (accepted.local_addr().unwrap(), accepted.peer_addr().unwrap());
    assert!(!server.abort_connection(peer, local), "no such name here");
    assert!(!server.abort_connection(local, addr("2001:db8::2", 1)), "nor could there be this one");
    assert!(server.abort_connection(local, peer));
    let reset = timeout(TICK, stream.read(&mut [0])).await.unwrap();
    assert_eq!(reset.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(accepted.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionAborted);
    assert!(!server.abort_connection(local, peer), "it is gone");
    // The other one lives.
    drop(other);
    assert_eq!(accepted_other.read(&mut [0]).await.unwrap(), 0);
}

/// TIME-WAIT can be ended too, and an attempt to connect.
#[tokio::test(start_paused = true)]
async fn time_wait_and_attempts_are_ended_by_name() {
    let (server, client) = stacks();
    let (_listener, accepted, mut stream) = connected(&server, &client).await;
    let (local, peer) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    stream.shutdown().await.unwrap();
    sleep(TICK).await;
    drop((accepted, stream));
    sleep(TICK).await;
    assert_eq!(client.time_wait_count(), 1);
    assert!(client.abort_connection(local, peer));
    assert_eq!(client.time_wait_count(), 0);
    assert!(!client.abort_connection(local, peer));
    let silent = addr("192.0.2.99", 9);
    let attempt = tokio::spawn({
        let client = client.clone();
        async move { TcpStream::connect_from(&client, addr(CLIENT, 50_000), silent).await }
    });
    sleep(TICK).await;
    assert_eq!(states(&client), [(9, State::SynSent)]);
    assert!(client.abort_connection(addr(CLIENT, 50_000), silent));
    assert_eq!(attempt.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
}
