//! Deferred accept: the application decides on a SYN before it is answered.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_netstack::{Incoming, ListenConfig, Stack, TcpConfig, TcpIncoming, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);
const REFUSED: TcpFlags = TcpFlags::RST.union(TcpFlags::ACK);
const ANSWER: TcpFlags = TcpFlags::SYN.union(TcpFlags::ACK);

fn defer(stack: &Stack) -> TcpIncoming {
    TcpIncoming::bind(stack, addr(SERVER, PORT), ListenConfig::new()).unwrap()
}

async fn next(incoming: &TcpIncoming) -> Incoming {
    timeout(TICK, incoming.next()).await.expect("a SYN is handed out at once").unwrap()
}

/// Accepts the SYN that `raw` has moved past, which completes the handshake.
async fn open(raw: &mut Raw, syn: Incoming) -> TcpStream {
    let accept = tokio::spawn(syn.accept());
    let seen = raw.recv_within(TICK).await.unwrap();
    assert_eq!((seen.header.flags, seen.header.ack), (ANSWER, raw.seq));
    raw.ack = seen.header.seq + 1;
    raw.send(TcpFlags::ACK, b"");
    accept.await.unwrap().unwrap()
}

/// Nothing is sent before the application decides; then a connection opens as any other.
#[tokio::test(start_paused = true)]
async fn an_accepted_syn_becomes_a_connection() {
    let (server, client) = stacks();
    let incoming = defer(&server);
    let connect = tokio::spawn(async move { TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap() });
    let syn = next(&incoming).await;
    assert_eq!(syn.local_addr(), addr(SERVER, PORT));
    assert_eq!(syn.peer_addr().ip(), addr(CLIENT, 0).ip());
    sleep(Duration::from_millis(500)).await;
    assert!(!connect.is_finished(), "no answer before the decision");
    assert_eq!((server.counters().tx_segments, server.connection_count()), (0, 0));
    let peer = syn.peer_addr();
    let mut accepted = timeout(TICK, syn.accept()).await.unwrap().unwrap();
    let mut stream = connect.await.unwrap();
    assert_eq!((accepted.peer_addr().unwrap(), stream.local_addr().unwrap()), (peer, peer));
    assert_eq!(accepted.local_addr().unwrap(), addr(SERVER, PORT));
    stream.write_all(b"hello").await.unwrap();
    drop(stream);
    let mut text = String::new();
    accepted.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
    assert_eq!(server.counters().connections_accepted, 1);
}

/// A rejected SYN is refused as if nobody listened, with what a peer needs to place the reset.
// req: S-CLOSED-2, R7323-8
#[tokio::test(start_paused = true)]
async fn a_rejected_or_dropped_syn_is_refused() {
    let (stack, mut raw) = raw_pair();
    let incoming = defer(&stack);
    for drop_it in [false, true] {
        let mut syn = raw.header(TcpFlags::SYN);
        syn.options.timestamps = Some(netstack_wire::tcp::Timestamps { val: 77, ecr: 0 });
        raw.send_header(&syn, b"");
        let syn = next(&incoming).await;
        if drop_it {
            drop(syn)
        } else {
            syn.reject()
        }
        let seen = raw.recv_within(TICK).await.unwrap();
        assert_eq!((seen.header.flags, seen.header.ack), (REFUSED, raw.seq + 1));
        assert_eq!(seen.header.options.timestamps.map(|ts| ts.ecr), Some(77));
    }
    let (server, client) = stacks();
    let incoming = defer(&server);
    let reject = async { incoming.next().await.unwrap().reject() };
    let (connected, ()) = tokio::join!(TcpStream::connect(&client, addr(SERVER, PORT)), reject);
    assert_eq!(connected.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

/// An ignored SYN is not answered; the peer's next is a new decision.
#[tokio::test(start_paused = true)]
async fn an_ignored_syn_may_come_again() {
    let (stack, mut raw) = raw_pair();
    let incoming = defer(&stack);
    let syn = raw.header(TcpFlags::SYN);
    raw.send_header(&syn, b"");
    next(&incoming).await.ignore();
    raw.silence(Duration::from_secs(100)).await;
    raw.send(TcpFlags::SYN, b"");
    let again = next(&incoming).await;
    open(&mut raw, again).await;
}

/// Repetitions join the SYN that waits; the newest one counts, as a peer that leaves ECN out of it expects.
// req: R3168-2
#[tokio::test(start_paused = true)]
async fn repeated_syns_join() {
    let mut config = TcpConfig::new();
    config.ecn(tokio_netstack::EcnPolicy::Passive);
    let (stack, mut raw) = raw_pair_with(|builder| builder.tcp_config(config));
    let incoming = defer(&stack);
    let syn = raw.header(TcpFlags::SYN);
    raw.send_header(&raw.header(TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR), b"");
    let first = next(&incoming).await;
    for _ in 0..5 {
        raw.send_header(&syn, b"");
        assert!(timeout(Duration::from_secs(1), incoming.next()).await.is_err(), "one SYN, one decision");
    }
    assert_eq!(stack.counters().drop_undecided, 5);
    let _accept = tokio::spawn(first.accept());
    let seen = raw.recv_within(TICK).await.unwrap();
    assert_eq!((seen.header.flags, seen.header.ack), (ANSWER, raw.seq + 1));
}

/// A peer that begins anew from the same port is answered by what it said last.
#[tokio::test(start_paused = true)]
async fn a_newer_syn_of_the_tuple_takes_over() {
    let (stack, mut raw) = raw_pair();
    let incoming = defer(&stack);
    raw.send(TcpFlags::SYN, b"");
    let syn = next(&incoming).await;
    raw.seq += 5_000_000;
    raw.send(TcpFlags::SYN, b"");
    sleep(TICK).await;
    open(&mut raw, syn).await;
}

/// A peer that takes its SYN back leaves a decision without effect; a forged reset does nothing.
// req: R5961-1
#[tokio::test(start_paused = true)]
async fn a_reset_takes_the_syn_back() {
    let mut config = ListenConfig::new();
    config.max_half_open(1);
    let (stack, mut raw) = raw_pair();
    let incoming = TcpIncoming::bind(&stack, addr(SERVER, PORT), config).unwrap();
    raw.send(TcpFlags::SYN, b"");
    let syn = next(&incoming).await;
    for (off, open) in [(1, true), (u32::MAX, true), (0, false)] {
        let mut reset = raw.header(TcpFlags::RST);
        reset.seq += off;
        raw.send_header(&reset, b"");
        sleep(TICK).await;
        // Only what was taken back makes room for another.
        raw.local.set_port(50_000);
        raw.send_header(&raw.header(TcpFlags::SYN), b"");
        raw.local.set_port(40_000);
        assert_eq!(timeout(TICK, incoming.next()).await.is_err(), open);
    }
    assert_eq!(raw.recv().await.header.flags, REFUSED, "of the last, which was dropped");
    assert_eq!(syn.accept().await.unwrap_err().kind(), ErrorKind::ConnectionAborted);
    raw.silence(TICK).await;
    assert_eq!(stack.connection_count(), 0);
}

/// What the application does not decide on in time is rejected, seen or not, and makes room.
#[tokio::test(start_paused = true)]
async fn decisions_have_a_time_limit() {
    let mut config = ListenConfig::new();
    config.max_half_open(2).decision_timeout(Duration::from_secs(10));
    let (stack, mut raw) = raw_pair();
    let incoming = TcpIncoming::bind(&stack, addr(SERVER, PORT), config).unwrap();
    let start = Instant::now();
    raw.send(TcpFlags::SYN, b"");
    let seen_late = next(&incoming).await;
    sleep(Duration::from_secs(3)).await;
    raw.local.set_port(40_001);
    raw.send(TcpFlags::SYN, b"");
    for _ in 0..2 {
        raw.local.set_port(40_002);
        raw.send(TcpFlags::SYN, b"");
        sleep(TICK).await;
    }
    assert_eq!(stack.counters().drop_half_open_full, 2, "two wait, and no more");
    for (port, second) in [(40_000, 10), (40_001, 13)] {
        let seen = raw.recv().await;
        assert_eq!((seen.header.flags, seen.header.dst_port), (REFUSED, port));
        assert_eq!(start.elapsed().as_secs(), second);
    }
    assert_eq!(seen_late.accept().await.unwrap_err().kind(), ErrorKind::ConnectionAborted);
    assert_eq!(stack.counters().incoming_expired, 2);
    raw.send(TcpFlags::SYN, b"");
    assert_eq!(next(&incoming).await.peer_addr().port(), 40_002, "there is room again");
    assert_eq!(raw.recv().await.header.flags, REFUSED);
    // A flood of SYNs that are taken back again leaves nothing behind, and the limit works on.
    for _ in 0..1000 {
        raw.send(TcpFlags::SYN, b"");
        raw.send(TcpFlags::RST, b"");
        sleep(TICK).await;
    }
    raw.send(TcpFlags::SYN, b"");
    let start = Instant::now();
    assert_eq!(raw.recv().await.header.flags, REFUSED);
    assert_eq!(start.elapsed().as_secs(), 10);
}

/// The handshake of an accepted SYN has the limits of any other, and counts as half open until it is over.
// req: R4987-1
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_complete_times_out() {
    let mut tcp = TcpConfig::new();
    tcp.syn_ack_timeout(Duration::from_secs(5));
    let mut config = ListenConfig::new();
    config.max_half_open(1).tcp(tcp);
    let (stack, mut raw) = raw_pair();
    let incoming = TcpIncoming::bind(&stack, addr(SERVER, PORT), config).unwrap();
    let syn = raw.header(TcpFlags::SYN);
    raw.send_header(&syn, b"");
    let accept = tokio::spawn(next(&incoming).await.accept());
    sleep(TICK).await;
    raw.local.set_port(40_001);
    raw.send_header(&raw.header(TcpFlags::SYN), b"");
    sleep(TICK).await;
    assert_eq!(stack.counters().drop_half_open_full, 1);
    assert_eq!(accept.await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    raw.send_header(&raw.header(TcpFlags::SYN), b"");
    next(&incoming).await.reject();
}

/// Whoever gives up `accept` resets the peer.
#[tokio::test(start_paused = true)]
async fn dropping_accept_resets() {
    let mut config = ListenConfig::new();
    config.max_half_open(1);
    let (stack, mut raw) = raw_pair();
    let incoming = TcpIncoming::bind(&stack, addr(SERVER, PORT), config).unwrap();
    raw.send(TcpFlags::SYN, b"");
    let syn = next(&incoming).await;
    assert!(timeout(Duration::from_millis(100), syn.accept()).await.is_err());
    assert_eq!(raw.recv_within(TICK).await.unwrap().header.flags, ANSWER);
    assert!(raw.recv_within(TICK).await.unwrap().has(TcpFlags::RST));
    sleep(TICK).await;
    assert_eq!(stack.connection_count(), 0);
    raw.send(TcpFlags::SYN, b"");
    next(&incoming).await.ignore();
}

/// SYNs that nobody has seen go with their listener; those handed out are the application's.
#[tokio::test(start_paused = true)]
async fn closing_rejects_what_was_not_handed_out() {
    let (stack, mut raw) = raw_pair();
    let incoming = defer(&stack);
    raw.send(TcpFlags::SYN, b"");
    let syn = next(&incoming).await;
    raw.local.set_port(40_001);
    raw.send(TcpFlags::SYN, b"");
    sleep(TICK).await;
    drop(incoming);
    let seen = raw.recv_within(TICK).await.unwrap();
    assert_eq!((seen.header.flags, seen.header.dst_port), (REFUSED, 40_001));
    let _accept = tokio::spawn(syn.accept());
    let seen = raw.recv_within(TICK).await.unwrap();
    assert_eq!((seen.header.flags, seen.header.dst_port), (ANSWER, 40_000));
}

/// A stack that stops ends the stream of SYNs, and no SYN can be accepted any more.
#[tokio::test(start_paused = true)]
async fn a_stopped_stack_hands_out_no_syns() {
    let (stack, mut raw) = raw_pair();
    let incoming = defer(&stack);
    raw.send(TcpFlags::SYN, b"");
    let syn = next(&incoming).await;
    stack.shutdown().await;
    assert!(incoming.next().await.is_none());
    assert_eq!(syn.accept().await.unwrap_err().kind(), ErrorKind::NetworkDown);
    assert_eq!(stack.tcp_incoming().unwrap_err().kind(), ErrorKind::NetworkDown);
}

/// A SYN that reopens a tuple in TIME-WAIT: accepted, it starts above the old connection; otherwise TIME-WAIT goes on.
// req: MAY-2, R6191-1, R6191-4
#[tokio::test(start_paused = true)]
async fn a_deferred_syn_may_reopen_a_tuple() {
    let (stack, mut raw) = raw_pair();
    let incoming = defer(&stack);
    raw.send(TcpFlags::SYN, b"");
    let syn = next(&incoming).await;
    let mut stream = open(&mut raw, syn).await;
    stream.shutdown().await.unwrap();
    assert!(raw.recv().await.has(TcpFlags::FIN));
    raw.ack += 1;
    raw.send(TcpFlags::ACK | TcpFlags::FIN, b"");
    raw.recv().await;
    sleep(TICK).await;
    let (old_end, fin) = (raw.ack, raw.seq - 1);
    assert_eq!(stack.time_wait_count(), 1);
    raw.seq += 10;
    raw.ack = netstack_wire::SeqNum(0);
    let syn = raw.header(TcpFlags::SYN);
    raw.send_header(&syn, b"");
    let again = next(&incoming).await;
    assert_eq!(stack.time_wait_count(), 0);
    again.ignore();
    assert_eq!(stack.time_wait_count(), 1, "nothing became of it");
    let mut old = raw.header(TcpFlags::ACK | TcpFlags::FIN);
    (old.seq, old.ack) = (fin, old_end);
    raw.send_header(&old, b"");
    assert_eq!(raw.recv_within(TICK).await.unwrap().header.seq, old_end, "the old FIN is acknowledged");
    raw.send_header(&syn, b"");
    let _accept = tokio::spawn(next(&incoming).await.accept());
    let seen = raw.recv_within(TICK).await.unwrap();
    assert_eq!(seen.header.flags, ANSWER);
    assert!(seen.header.seq.after(old_end));
    assert_eq!(stack.time_wait_count(), 0);
}

/// A restored record expires as it would have.
// req: S-TMO-3
#[tokio::test(start_paused = true)]
async fn a_restored_record_expires() {
    let (server, client) = stacks();
    let incoming = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let stream = TcpStream::connect_from(&client, addr(CLIENT, 50_000), addr(SERVER, PORT)).await.unwrap();
    let (accepted, _) = incoming.accept().await.unwrap();
    drop((accepted, incoming));
    sleep(TICK).await;
    drop(stream);
    sleep(TICK).await;
    assert_eq!(server.time_wait_count(), 1);
    let incoming = defer(&server);
    let mut connect = Box::pin(TcpStream::connect_from(&client, addr(CLIENT, 50_000), addr(SERVER, PORT)));
    let syn = tokio::select! {
        biased;
        _ = &mut connect => panic!("nobody has accepted"),
        syn = incoming.next() => syn.unwrap(),
    };
    drop(connect);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(server.time_wait_count(), 0);
    syn.ignore();
    assert_eq!(server.time_wait_count(), 1);
    sleep(Duration::from_secs(29)).await;
    assert_eq!(server.time_wait_count(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(server.time_wait_count(), 0);
}
