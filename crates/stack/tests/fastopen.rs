//! TCP Fast Open (RFC 7413), at both ends.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::tcp::{FastOpenCookie, TcpFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{FastOpen, ListenConfig, Stack, State, TcpIncoming, TcpListener, TcpSocket, TcpStream};

const TICK: Duration = Duration::from_millis(2);
const SYN_ACK: TcpFlags = TcpFlags::SYN.union(TcpFlags::ACK);

/// A stack that listens for up to `pending` early connections, and a raw client.
async fn serving(pending: u32) -> (Stack, Raw, TcpListener) {
    let (stack, raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    listener.set_fastopen(pending).unwrap();
    (stack, raw, listener)
}

/// The client moves on to another port, and sends a SYN with `cookie` and `data`; the answer.
async fn open_fast(raw: &mut Raw, cookie: FastOpenCookie, data: &[u8]) -> Seen {
    raw.local.set_port(raw.local.port() + 1);
    let mut syn = raw.header(TcpFlags::SYN);
    syn.options.fast_open = Some(cookie);
    raw.send_header(&syn, data);
    let answer = loop {
        let seen = raw.recv_within(TICK).await.expect("a SYN-ACK");
        if seen.header.dst_port == raw.local.port() {
            break seen;
        }
    };
    assert_eq!(answer.header.flags, SYN_ACK);
    raw.ack = answer.header.seq + 1;
    answer
}

/// The cookie that a client is given, over a handshake of its own.
async fn fetch_cookie(raw: &mut Raw, listener: &TcpListener) -> FastOpenCookie {
    let answer = open_fast(raw, FastOpenCookie::REQUEST, b"").await;
    let cookie = answer.header.options.fast_open.expect("a cookie for whoever asks");
    raw.seq = answer.header.ack;
    raw.send(TcpFlags::RST, b"");
    sleep(TICK).await;
    assert!(timeout(TICK, listener.accept()).await.is_err(), "a cookie opens nothing by itself");
    cookie
}

/// The data of a SYN with a cookie is read, and answered, before the client has said another word.
// req: R7413-2, R7413-3
#[tokio::test(start_paused = true)]
async fn a_server_reads_and_answers_before_the_handshake_is_over() {
    let (stack, mut raw, listener) = serving(4).await;
    assert_eq!(listener.fastopen().unwrap(), 4);
    let cookie = fetch_cookie(&mut raw, &listener).await;
    let answer = open_fast(&mut raw, cookie, b"hello").await;
    assert_eq!(answer.header.ack, raw.seq + 6, "the data is acknowledged");
    let (mut stream, peer) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
    assert_eq!(peer, raw.local);
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello");
    stream.write_all(b"good day").await.unwrap();
    let reply = raw.recv_within(TICK).await.unwrap();
    assert_eq!(&reply.payload[..], b"good day");
    let info = stream.info().await.unwrap();
    assert_eq!((info.state, info.fast_open), (State::SynReceived, FastOpen::Used));
    raw.seq = reply.header.ack;
    raw.ack = reply.header.seq + 8;
    raw.send(TcpFlags::ACK, b"");
    sleep(TICK).await;
    assert_eq!(stream.info().await.unwrap().state, State::Established);
    let counters = stack.counters();
    assert_eq!((counters.fast_open_cookies, counters.fast_open_accepted), (1, 1));
    assert_eq!(counters.connections_accepted, 1, "handed over once");
    assert!(timeout(TICK, listener.accept()).await.is_err());
}

/// Of two stacks the first visit fetches the cookie, and each later one saves a round trip.
// req: R7413-3, R7413-5
#[tokio::test(start_paused = true)]
async fn two_stacks_open_fast_from_the_second_time_on() {
    let (server, client) = stacks();
    let socket = TcpSocket::new_v4(&server).unwrap();
    assert_eq!(socket.fastopen().unwrap(), 0);
    socket.set_fastopen(4).unwrap();
    assert_eq!(socket.fastopen().unwrap(), 4);
    socket.bind(addr(SERVER, PORT)).unwrap();
    let listener = socket.listen(16).unwrap();
    // The last is longer than any send buffer is at first.
    for (visit, len) in [10, 1_000, 100_000, 300_000].into_iter().enumerate() {
        let data = pattern(len);
        let sent = data.clone();
        let connecting = tokio::spawn({
            let client = client.clone();
            async move {
                let socket = TcpSocket::new_v4(&client).unwrap();
                socket.connect_fastopen(addr(SERVER, PORT), &sent).await.unwrap()
            }
        });
        let (mut accepted, _) = listener.accept().await.unwrap();
        let mut received = vec![0; len];
        accepted.read_exact(&mut received).await.unwrap();
        assert!(received == data, "visit {visit}");
        let mut stream = connecting.await.unwrap();
        let wanted = if visit == 0 { FastOpen::Cookie } else { FastOpen::Used };
        assert_eq!(stream.info().await.unwrap().fast_open, wanted);
        accepted.write_all(b"done").await.unwrap();
        drop(accepted);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "done");
    }
    let used = (client.counters().fast_open_used, server.counters().fast_open_accepted);
    assert_eq!((used, client.counters().fast_open_fallback), ((3, 3), 0));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.connection_count(), 0);
}

/// Off by default, past the limit, and with somebody else's cookie: data counts when it comes again.
// req: R7413-1, R7413-2, R7413-4
#[tokio::test(start_paused = true)]
async fn data_without_leave_waits_for_the_handshake() {
    let (stack, mut raw, listener) = serving(1).await;
    let cookie = fetch_cookie(&mut raw, &listener).await;
    let plain = |answer: &Seen, seq| answer.header.ack == seq + 1;

    let answer = open_fast(&mut raw, FastOpenCookie::new(&[7; 8]).unwrap(), b"forged").await;
    assert!(plain(&answer, raw.seq));
    assert_eq!(answer.header.options.fast_open, Some(cookie), "the right one comes with the answer");
    // The same client from another address is another client.
    raw.local.set_ip("192.0.2.77".parse().unwrap());
    let answer = open_fast(&mut raw, cookie, b"stolen").await;
    assert!(plain(&answer, raw.seq) && answer.header.options.fast_open.is_some_and(|other| other != cookie));
    raw.local.set_ip(CLIENT.parse().unwrap());
    assert_eq!(stack.counters().fast_open_refused, 2);
    assert!(timeout(TICK, listener.accept()).await.is_err());

    assert!(!plain(&open_fast(&mut raw, cookie, b"first").await, raw.seq));
    let answer = open_fast(&mut raw, cookie, b"second").await;
    assert!(plain(&answer, raw.seq) && answer.header.options.fast_open.is_none());
    assert_eq!(stack.counters().fast_open_limited, 1);
    // Its data comes with the handshake's last ACK, as always.
    raw.seq = answer.header.ack;
    raw.send(TcpFlags::ACK, b"second");
    for wanted in [&b"first"[..], b"second"] {
        let (mut stream, _) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
        let mut text = vec![0; wanted.len()];
        stream.read_exact(&mut text).await.unwrap();
        assert_eq!(text, wanted);
    }
    listener.set_fastopen(0).unwrap();
    let answer = open_fast(&mut raw, cookie, b"third").await;
    assert!(plain(&answer, raw.seq) && answer.header.options.fast_open.is_none());
}

/// A flood of SYNs with a stolen cookie: as many as may be are let in, also where the victim resets each, until a minute later.
// req: R7413-4
#[tokio::test(start_paused = true)]
async fn a_flood_with_a_stolen_cookie_is_bounded() {
    let (stack, mut raw, listener) = serving(8).await;
    let cookie = fetch_cookie(&mut raw, &listener).await;
    for _ in 0..100 {
        let answer = open_fast(&mut raw, cookie, b"spend!").await;
        let mut reset = raw.header(TcpFlags::RST);
        reset.seq = answer.header.ack;
        raw.send_header(&reset, b"");
        sleep(TICK).await;
    }
    assert_eq!(stack.counters().fast_open_accepted, 8);
    assert_eq!(stack.counters().fast_open_limited, 92);
    for _ in 0..8 {
        let (mut stream, _) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
        let mut text = Vec::new();
        assert_eq!(stream.read_to_end(&mut text).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(text, b"spend!");
    }
    assert!(timeout(TICK, listener.accept()).await.is_err());
    sleep(Duration::from_secs(61)).await;
    open_fast(&mut raw, cookie, b"spend!").await;
    assert_eq!(stack.counters().fast_open_accepted, 9);
}

/// A client that falls silent is given up, and makes room.
// req: R7413-4
#[tokio::test(start_paused = true)]
async fn an_early_connection_that_stays_alone_is_given_up() {
    let (stack, mut raw, listener) = serving(1).await;
    let cookie = fetch_cookie(&mut raw, &listener).await;
    open_fast(&mut raw, cookie, b"hello").await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"anybody there?").await.unwrap();
    let mut text = Vec::new();
    assert_eq!(stream.read_to_end(&mut text).await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(text, b"hello");
    while raw.recv_within(TICK).await.is_some() {}
    open_fast(&mut raw, cookie, b"again").await;
    assert_eq!(stack.counters().fast_open_accepted, 2);
}

/// An early stream that is dropped closes in order; a listener that is dropped takes those along that nobody has accepted.
// req: S-CLOSE-3
#[tokio::test(start_paused = true)]
async fn what_is_dropped_early_ends_as_it_should() {
    let (stack, mut raw, listener) = serving(4).await;
    let cookie = fetch_cookie(&mut raw, &listener).await;
    let answer = open_fast(&mut raw, cookie, b"hi").await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = [0; 2];
    stream.read_exact(&mut text).await.unwrap();
    stream.write_all(b"bye").await.unwrap();
    drop(stream);
    assert_eq!(&raw.recv_within(TICK).await.unwrap().payload[..], b"bye");
    raw.seq = answer.header.ack;
    raw.ack += 3;
    raw.send(TcpFlags::ACK, b"");
    let fin = raw.recv_within(TICK).await.unwrap();
    assert!(fin.has(TcpFlags::FIN) && !fin.has(TcpFlags::RST));
    raw.ack += 1;
    raw.send(TcpFlags::FIN | TcpFlags::ACK, b"");
    raw.recv_within(TICK).await.unwrap();
    assert_eq!(stack.connection_count(), 0);

    open_fast(&mut raw, cookie, b"too late").await;
    drop(listener);
    assert!(raw.recv_within(TICK).await.unwrap().has(TcpFlags::RST));
    sleep(TICK).await;
    assert_eq!(stack.connection_count(), 0);
}

/// Where the application decides on SYNs their data is left to the peer, whatever the settings say; no cookie is given.
// req: R7413-1
#[tokio::test(start_paused = true)]
async fn deferred_accept_is_a_plain_handshake() {
    let (stack, mut raw) = raw_pair();
    let mut config = ListenConfig::new();
    config.fastopen(16);
    let incoming = TcpIncoming::bind(&stack, addr(SERVER, PORT), config).unwrap();
    let mut syn = raw.header(TcpFlags::SYN);
    syn.options.fast_open = Some(FastOpenCookie::REQUEST);
    raw.send_header(&syn, b"early");
    let accepting = tokio::spawn(incoming.next().await.unwrap().accept());
    let answer = raw.recv_within(TICK).await.unwrap();
    assert_eq!((answer.header.ack, answer.header.options.fast_open), (raw.seq + 1, None));
    raw.seq += 1;
    raw.ack = answer.header.seq + 1;
    raw.send(TcpFlags::ACK, b"early");
    let mut text = [0; 5];
    accepting.await.unwrap().unwrap().read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"early");
}

/// A listener for every address and port opens fast at each of them, with a cookie for each address of its own.
// req: R7413-2, R7413-3
#[tokio::test(start_paused = true)]
async fn any_address_opens_fast_too() {
    let (stack, mut raw) = raw_pair_with(|builder| builder.any_address(true));
    let mut config = ListenConfig::new();
    config.fastopen(4);
    let listener = TcpListener::bind_all_with(&stack, config).await.unwrap();
    raw.remote = addr("203.0.113.5", 443);
    let cookie = fetch_cookie(&mut raw, &listener).await;
    raw.remote.set_port(80);
    assert_eq!(open_fast(&mut raw, cookie, b"hi").await.header.ack, raw.seq + 3);
    let (stream, _) = listener.accept().await.unwrap();
    assert_eq!(stream.local_addr().unwrap(), raw.remote);
    raw.remote.set_ip("203.0.113.6".parse().unwrap());
    assert_eq!(open_fast(&mut raw, cookie, b"hi").await.header.ack, raw.seq + 1);
}

/// A path that swallows SYNs with the option: the connection opens all the same, and the next attempts do without.
// req: R7413-5
#[tokio::test(start_paused = true)]
async fn a_black_hole_is_remembered() {
    let (stack, mut raw) = raw_pair();
    let peer = addr(CLIENT, 80);
    let cookie = FastOpenCookie::new(&[5; 8]).unwrap();
    let connect = || {
        let stack = stack.clone();
        tokio::spawn(async move { TcpStream::connect_fastopen(&stack, peer, b"request").await.unwrap() })
    };
    for (visit, wait) in [(0, 0), (1, 0), (2, 0), (3, 61)] {
        sleep(Duration::from_secs(wait)).await;
        let connecting = connect();
        let mut syn = raw.recv().await;
        let option = syn.header.options.fast_open;
        match visit {
            0 => assert_eq!((option, syn.payload.len()), (Some(FastOpenCookie::REQUEST), 0)),
            2 => assert_eq!((option, syn.payload.len()), (None, 0), "not so soon after a failure"),
            _ => assert_eq!((option, &syn.payload[..]), (Some(cookie), &b"request"[..])),
        }
        if visit == 1 {
            // It is lost.
            syn = raw.recv().await;
            assert_eq!((syn.header.options.fast_open, syn.payload.len()), (None, 0));
        }
        raw.remote = addr(SERVER, syn.header.src_port);
        raw.local = peer;
        raw.ack = syn.header.seq + 1 + if visit == 3 { 7 } else { 0 };
        let mut answer = raw.header(SYN_ACK);
        answer.options.mss = Some(1400);
        answer.options.fast_open = Some(cookie).filter(|_| visit == 0);
        raw.send_header(&answer, b"");
        raw.seq += 1;
        let ack = raw.recv().await;
        assert_eq!(ack.payload.len(), if visit == 3 { 0 } else { 7 });
        let mut stream = connecting.await.unwrap();
        let outcome = [FastOpen::Cookie, FastOpen::Fallback, FastOpen::Off, FastOpen::Used][visit];
        assert_eq!(stream.info().await.unwrap().fast_open, outcome);
        stream.set_zero_linger().unwrap();
        stream.flush().await.unwrap();
        drop(stream);
        while !raw.recv().await.has(TcpFlags::RST) {}
    }
    assert_eq!((stack.counters().fast_open_used, stack.counters().fast_open_fallback), (1, 1));
}

/// A connect that is refused, or given up by its caller, fails as any other.
// req: S-SYNSENT-2, S-CLOSE-2
#[tokio::test(start_paused = true)]
async fn a_fast_connect_that_fails_says_why_and_one_that_is_dropped_is_gone() {
    let (_server, client) = stacks();
    let refused = TcpStream::connect_fastopen(&client, addr(SERVER, 9), b"hello").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let family = TcpSocket::new_v6(&client).unwrap().connect_fastopen(addr(SERVER, 9), b"hello").await;
    assert_eq!(family.unwrap_err().kind(), ErrorKind::InvalidInput);
    let nobody = TcpStream::connect_fastopen(&client, addr("192.0.2.200", 9), b"hello");
    assert!(timeout(TICK, nobody).await.is_err());
    sleep(TICK).await;
    assert_eq!(client.connection_count(), 0);
}
