//! Sessions of any-address mode.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use crate::common::udp::*;
use crate::common::*;
use tokio::time::{sleep, timeout};
use tokio_netstack::{Stack, UdpSession, UdpSessions, UdpSessionsConfig, UdpSocket};

const TICK: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_secs(10);

fn any_address() -> (Stack, Raw) {
    raw_pair_with(|builder| builder.any_address(true))
}

fn config() -> UdpSessionsConfig {
    let mut config = UdpSessionsConfig::new();
    config.idle(IDLE);
    config
}

async fn accept(sessions: &UdpSessions) -> UdpSession {
    timeout(TICK, sessions.accept()).await.expect("a session").unwrap()
}

async fn text(session: &UdpSession) -> String {
    let mut buf = [0; 64];
    let len = timeout(TICK, session.recv(&mut buf)).await.expect("a datagram").unwrap();
    String::from_utf8_lossy(&buf[..len]).into_owned()
}

async fn end(session: &UdpSession) -> ErrorKind {
    timeout(TICK, session.recv(&mut [0; 8])).await.expect("the end").unwrap_err().kind()
}

/// Whatever destination a sender writes to becomes a session with the first datagram in it, and answers come from that
/// destination; two destinations of one sender are two sessions.
// req: R768-6
#[tokio::test(start_paused = true)]
async fn answers_leave_from_the_original_destination() {
    let (stack, mut raw) = any_address();
    let sessions = stack.udp_sessions(config()).unwrap();
    let flows: [(SocketAddr, SocketAddr); 3] = [
        (addr(CLIENT, 4000), addr("198.51.100.53", 53)),
        (addr(CLIENT, 4000), addr("203.0.113.9", 443)),
        (addr("2001:db8::2", 4000), addr("2001:db8:ffff::53", 53)),
    ];
    for (peer, target) in flows {
        raw.send_packet(&datagram(peer, target, b"first"));
        raw.send_packet(&datagram(peer, target, b"second"));
        let session = accept(&sessions).await;
        assert_eq!((session.local_addr(), session.peer_addr()), (target, peer));
        assert_eq!(session.socket().peer_addr().unwrap(), peer);
        assert_eq!(session.socket().local_addr().unwrap(), target);
        assert_eq!((text(&session).await, text(&session).await), ("first".to_owned(), "second".to_owned()));
        session.send(b"answer").await.unwrap();
        let seen = parse_datagram(&raw.packet().await);
        assert_eq!((seen.from, seen.to, &seen.data[..]), (target, peer, &b"answer"[..]));
        assert!(timeout(TICK, sessions.accept()).await.is_err());
    }
    assert_eq!(stack.counters().udp_sessions_opened, 3);
}

/// A bound socket goes before sessions.
#[tokio::test(start_paused = true)]
async fn a_bound_socket_goes_first() {
    let (stack, mut raw) = any_address();
    let sessions = stack.udp_sessions(config()).unwrap();
    let socket = UdpSocket::bind(&stack, addr("0.0.0.0", 53)).await.unwrap();
    let target = addr("198.51.100.53", 53);
    raw.send_packet(&datagram(addr(CLIENT, 4000), target, b"query"));
    let msg = socket.recv_msg(&mut [0; 8]).await.unwrap();
    assert_eq!((msg.to, msg.len), (target, 5));
    assert!(sessions.is_empty());
}

/// A session ends when nothing has passed in either direction for its limit, and not before; the next datagram begins another.
#[tokio::test(start_paused = true)]
async fn an_idle_session_ends() {
    let (stack, mut raw) = any_address();
    let sessions = stack.udp_sessions(config()).unwrap();
    let (peer, target) = (addr(CLIENT, 4000), addr("198.51.100.53", 53));
    raw.send_packet(&datagram(peer, target, b"one"));
    let session = accept(&sessions).await;
    for _ in 0..3 {
        sleep(IDLE - TICK).await;
        raw.send_packet(&datagram(peer, target, b"in"));
        sleep(IDLE - TICK).await;
        session.send(b"out").await.unwrap();
    }
    sleep(IDLE - TICK).await;
    assert_eq!(sessions.len(), 1);
    sleep(2 * TICK).await;
    assert_eq!((sessions.len(), stack.counters().udp_sessions_idle), (0, 1));
    // What had come is read first.
    for expected in ["one", "in", "in", "in"] {
        assert_eq!(text(&session).await, expected);
    }
    assert_eq!(end(&session).await, ErrorKind::TimedOut);
    assert_eq!(session.send(b"late").await.unwrap_err().kind(), ErrorKind::TimedOut);
    raw.send_packet(&datagram(peer, target, b"anew"));
    let anew = accept(&sessions).await;
    drop(session);
    assert_eq!(text(&anew).await, "anew");
    raw.send_packet(&datagram(peer, target, b"more"));
    assert_eq!(text(&anew).await, "more", "dropping the ended session took the new one with it");
}

/// A session that waits is woken by its end.
#[tokio::test(start_paused = true)]
async fn a_waiting_receiver_learns_of_the_end() {
    let (stack, mut raw) = any_address();
    let sessions = stack.udp_sessions(config()).unwrap();
    raw.send_packet(&datagram(addr(CLIENT, 4000), addr("198.51.100.53", 53), b"one"));
    let session = accept(&sessions).await;
    assert_eq!(text(&session).await, "one");
    let started = tokio::time::Instant::now();
    let error = session.recv(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(started.elapsed().abs_diff(IDLE) < 10 * TICK);
}

/// With as many sessions as may be, the one that was idle longest gives way; the count never goes beyond.
#[tokio::test(start_paused = true)]
async fn the_longest_idle_session_gives_way() {
    let (stack, mut raw) = any_address();
    let mut config = config();
    config.max_sessions(3);
    let sessions = stack.udp_sessions(config).unwrap();
    let target = addr("198.51.100.53", 53);
    let from = |port| datagram(addr(CLIENT, port), target, b"x");
    let mut open = Vec::new();
    for port in 1..=3 {
        raw.send_packet(&from(port));
        open.push(accept(&sessions).await);
        sleep(TICK).await;
    }
    // The first is the newest now, by what it receives; the second by what it sends.
    raw.send_packet(&from(1));
    sleep(TICK).await;
    open[1].send(b"y").await.unwrap();
    sleep(TICK).await;
    for (port, evicted) in [(4, 2), (5, 0), (6, 1)] {
        raw.send_packet(&from(port));
        open.push(accept(&sessions).await);
        assert_eq!(sessions.len(), 3);
        while open[evicted].try_recv(&mut [0; 8]).is_ok() {}
        assert_eq!(end(&open[evicted]).await, ErrorKind::ConnectionAborted);
        sleep(TICK).await;
    }
    assert_eq!(stack.counters().udp_sessions_evicted, 3);
}

/// A flood of new senders is bounded by the backlog, and counted; nobody is told that the port is closed.
#[tokio::test(start_paused = true)]
async fn sessions_that_nobody_accepts_are_bounded() {
    let (stack, mut raw) = any_address();
    let mut config = config();
    config.backlog(5);
    let sessions = stack.udp_sessions(config).unwrap();
    for port in 1..=20 {
        raw.send_packet(&datagram(addr(CLIENT, port), addr("198.51.100.53", 53), b"x"));
        tokio::task::yield_now().await;
    }
    raw.quiet(TICK).await;
    assert_eq!((sessions.len(), stack.counters().drop_udp_sessions_full), (5, 15));
    for port in 1..=5 {
        assert_eq!(accept(&sessions).await.peer_addr().port(), port);
    }
}

/// Dropping a session forgets it at once, its memory with it.
#[tokio::test(start_paused = true)]
async fn a_dropped_session_is_forgotten() {
    let (stack, mut raw) = any_address();
    let mut config = config();
    config.total_buffer(4000);
    let sessions = stack.udp_sessions(config).unwrap();
    for round in 0..50 {
        raw.send_packet(&datagram(addr(CLIENT, 4000), addr("198.51.100.53", 53), &[1; 1000]));
        let session = accept(&sessions).await;
        assert_eq!(sessions.len(), 1, "round {round}");
        drop(session);
        assert_eq!(sessions.len(), 0);
    }
    assert_eq!(stack.counters().drop_udp_queue_full, 0);
}

/// Without anyone to give sessions to, a port is closed, in any-address mode too; there is one who takes them at a time.
// req: R768-4
#[tokio::test(start_paused = true)]
async fn without_a_taker_ports_are_closed() {
    let (stack, mut raw) = any_address();
    let target = addr("198.51.100.53", 53);
    let query = datagram(addr(CLIENT, 4000), target, b"x");
    let refused = async |raw: &mut Raw| {
        raw.send_packet(&query);
        let packet = raw.packet_within(TICK).await.expect("an ICMP error");
        assert_eq!(netstack_wire::ip::parse(&packet).unwrap().src, target.ip());
        assert_eq!(unreachable_code(&packet), Some(port_unreachable(false)));
    };
    refused(&mut raw).await;
    let sessions = stack.udp_sessions(config()).unwrap();
    assert_eq!(stack.udp_sessions(config()).unwrap_err().kind(), ErrorKind::AddrInUse);
    raw.send_packet(&query);
    raw.quiet(TICK).await;
    let session = accept(&sessions).await;
    raw.send_packet(&datagram(addr(CLIENT, 4001), target, b"not accepted"));
    raw.quiet(TICK).await;
    drop(sessions);
    // What was accepted lives on, and ends like any other.
    raw.send_packet(&query);
    raw.quiet(TICK).await;
    assert_eq!((text(&session).await, text(&session).await), ("x".to_owned(), "x".to_owned()));
    sleep(IDLE + TICK).await;
    assert_eq!(end(&session).await, ErrorKind::TimedOut);
    refused(&mut raw).await;
    let sessions = stack.udp_sessions(config()).unwrap();
    raw.send_packet(&query);
    accept(&sessions).await;
}

/// Whoever waits for sessions, or for datagrams of one, learns that the stack has stopped.
#[tokio::test(start_paused = true)]
async fn a_stopped_stack_ends_its_sessions() {
    let (stack, mut raw) = any_address();
    let sessions = stack.udp_sessions(config()).unwrap();
    raw.send_packet(&datagram(addr(CLIENT, 4000), addr("198.51.100.53", 53), b"x"));
    let session = accept(&sessions).await;
    let waiting = tokio::spawn(async move { sessions.accept().await.unwrap_err().kind() });
    sleep(TICK).await;
    stack.shutdown().await;
    assert_eq!(waiting.await.unwrap(), ErrorKind::NetworkDown);
    assert_eq!(text(&session).await, "x");
    assert_eq!(end(&session).await, ErrorKind::NetworkDown);
}

/// The peer's refusal reaches the session, and its socket stays with its peer.
// req: R768-5
#[tokio::test(start_paused = true)]
async fn a_session_hears_of_a_refusal() {
    let (stack, mut raw) = any_address();
    let sessions = stack.udp_sessions(config()).unwrap();
    raw.send_packet(&datagram(addr(CLIENT, 4000), addr("198.51.100.53", 53), b"x"));
    let session = accept(&sessions).await;
    assert_eq!(text(&session).await, "x");
    session.send(b"late answer").await.unwrap();
    let packet = raw.packet().await;
    raw.send_packet(&unreachable(port_unreachable(false), &packet));
    assert_eq!(end(&session).await, ErrorKind::ConnectionRefused);
    assert_eq!(session.send(b"on").await.unwrap(), 2);
    let moved = session.socket().connect(addr(CLIENT, 1)).await.unwrap_err();
    assert_eq!(moved.kind(), ErrorKind::InvalidInput);
}
