//! Settings of a connection while it runs, urgent data, and the range of ephemeral ports.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::ip;
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_netstack::{CongestionControl, Stack, TcpConfig, TcpListener, TcpStream, device};

const TICK: Duration = Duration::from_millis(2);

/// A stack with an open connection to the raw peer.
async fn open_with(config: &TcpConfig) -> (Stack, Raw, TcpStream) {
    let (stack, mut raw) = raw_pair_with(|builder| builder.tcp_config(config.clone()));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (stream, _) = listener.accept().await.unwrap();
    (stack, raw, stream)
}

async fn open() -> (Stack, Raw, TcpStream) {
    open_with(&TcpConfig::new()).await
}

/// R2 is set while data waits already, and by each connection for itself.
// req: MUST-21
#[tokio::test(start_paused = true)]
async fn the_user_timeout_is_set_while_the_connection_runs() {
    let (_stack, _raw, mut stream) = open().await;
    assert_eq!(stream.user_timeout().unwrap(), Some(Duration::from_secs(300)), "the configuration's");
    stream.write_all(b"unanswered").await.unwrap();
    let start = Instant::now();
    stream.set_user_timeout(Some(Duration::from_micros(3_000_500))).unwrap();
    assert_eq!(stream.user_timeout().unwrap(), Some(Duration::from_millis(3_001)), "whole milliseconds");
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(4), "{took:?}");
}

// req: MUST-21
#[tokio::test(start_paused = true)]
async fn no_user_timeout_is_for_ever() {
    let (_stack, _raw, mut stream) = open().await;
    stream.set_user_timeout(None).unwrap();
    assert_eq!(stream.user_timeout().unwrap(), None);
    stream.write_all(b"unanswered").await.unwrap();
    let read = timeout(Duration::from_secs(3600), stream.read(&mut [0; 1])).await;
    assert!(read.is_err(), "an hour later it still tries: {read:?}");
}

/// DSCP and TTL change from one segment to the next.
// req: SHLD-21, R1122-9, MUST-48, MUST-49
#[tokio::test(start_paused = true)]
async fn tos_and_ttl_change_while_the_connection_runs() {
    let mut config = TcpConfig::new();
    config.dscp(10).hop_limit(30);
    let (_stack, mut raw, mut stream) = open_with(&config).await;
    assert_eq!((stream.tos().unwrap(), stream.ttl().unwrap()), (40, 30), "the configuration's");
    for (tos, ttl) in [(40, 30), (46 << 2, 255), (3, 1)] {
        stream.set_tos(tos).unwrap();
        stream.set_ttl(ttl).unwrap();
        assert_eq!((stream.tos().unwrap(), stream.ttl().unwrap()), (tos & !3, ttl), "the ECN bits are TCP's");
        stream.write_all(b"x").await.unwrap();
        let packet = raw.packet_within(TICK).await.unwrap();
        let seen = ip::parse(&packet).unwrap();
        assert_eq!((u32::from(seen.dscp) << 2, u32::from(seen.hop_limit)), (tos & !3, ttl));
        raw.ack += 1;
        raw.send(TcpFlags::ACK, b"");
    }
    for wrong in [stream.set_tos(256), stream.set_ttl(0), stream.set_ttl(256)] {
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

/// The configuration chooses, and a socket may choose anew.
// req: MAY-18
#[tokio::test(start_paused = true)]
async fn the_congestion_controller_is_chosen_per_stack_and_per_socket() {
    let (_stack, _raw, stream) = open().await;
    assert_eq!(stream.congestion().await.unwrap(), "cubic");
    let mut config = TcpConfig::new();
    config.congestion(CongestionControl::NewReno);
    let (_stack, _raw, stream) = open_with(&config).await;
    assert_eq!(stream.congestion().await.unwrap(), "newreno");
    let cwnd = stream.info().await.unwrap().cwnd;
    stream.set_congestion(CongestionControl::Bbr).unwrap();
    assert_eq!(stream.congestion().await.unwrap(), "bbr");
    assert_eq!(stream.info().await.unwrap().cwnd, cwnd);
}

/// A silent peer shows in the figures long before it ends the connection, and an answer takes it back.
// req: SHLD-9
#[tokio::test(start_paused = true)]
async fn crossing_r1_shows_in_the_figures() {
    let (_stack, mut raw, mut stream) = open().await;
    stream.write_all(b"unanswered").await.unwrap();
    for sent in 0..4 {
        assert!(!stream.info().await.unwrap().retry_warning, "sent {sent} times");
        assert_eq!(raw.recv().await.payload, b"unanswered"[..]);
    }
    sleep(TICK).await;
    let info = stream.info().await.unwrap();
    assert!(info.retry_warning && info.retries == 3, "{info:?}");
    raw.ack += 10;
    raw.send(TcpFlags::ACK, b"");
    sleep(TICK).await;
    assert!(!stream.info().await.unwrap().retry_warning);
}

/// The mark lies behind what was written as urgent, with ordinary data before and after it.
// req: MUST-30, MUST-62
#[tokio::test(start_paused = true)]
async fn urgent_writes_carry_the_pointer() {
    let (_stack, mut raw, mut stream) = open().await;
    stream.write_all(b"abc").await.unwrap();
    assert_eq!(stream.write_urgent(b"DM").await.unwrap(), 2);
    stream.write_all(b"defg").await.unwrap();
    let start = raw.ack;
    let (mut data, mut marked) = (Vec::new(), BTreeSet::new());
    while data.len() < 9 {
        let seen = raw.recv_within(TICK).await.unwrap();
        let at = seen.header.seq.distance_from(start);
        if seen.has(TcpFlags::URG) {
            marked.insert(at + u32::from(seen.header.urgent));
        } else {
            assert!(at >= 5, "urgent up to the mark: {seen:?}");
        }
        data.extend_from_slice(&seen.payload);
        raw.ack = seen.header.seq + seen.header.seg_len(seen.payload.len());
        raw.send(TcpFlags::ACK, b"");
    }
    assert_eq!(data, b"abcDMdefg");
    assert_eq!(marked, BTreeSet::from([5]), "one mark, behind the urgent octets");
    stream.shutdown().await.unwrap();
    assert_eq!(stream.write_urgent(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

impl Raw {
    fn send_urgent(&mut self, payload: &[u8], pointer: u16) {
        let flags = TcpFlags::ACK | TcpFlags::URG;
        let header = TcpHeader { urgent: pointer, ..self.header(flags) };
        self.send_header(&header, payload);
        self.seq += payload.len() as u32;
    }
}

/// A waiting task learns of urgent data before the data is there, again when its end moves on, and how much remains.
// req: MUST-32, MUST-33
#[tokio::test(start_paused = true)]
async fn urgent_data_wakes_who_waits_for_it() {
    let (_stack, mut raw, mut stream) = open().await;
    assert!(timeout(TICK, stream.urgent()).await.is_err(), "nothing is urgent");
    let waiting = async {
        stream.urgent().await.unwrap();
        stream.info().await.unwrap().urgent_remaining
    };
    let (remaining, ()) = tokio::join!(waiting, async {
        sleep(TICK).await;
        raw.send_urgent(b"abc", 10);
    });
    assert_eq!(remaining, 10, "the mark lies beyond what has come");
    assert!(timeout(TICK, stream.urgent()).await.is_err(), "no news");
    stream.read_exact(&mut [0; 3]).await.unwrap();
    assert_eq!(stream.info().await.unwrap().urgent_remaining, 7);
    raw.send_urgent(b"defg", 7);
    sleep(TICK).await;
    assert!(timeout(TICK, stream.urgent()).await.is_err(), "the same mark again");
    raw.send_urgent(b"hij", 20);
    timeout(TICK, stream.urgent()).await.expect("the mark has moved on").unwrap();
    assert_eq!(stream.info().await.unwrap().urgent_remaining, 24);
    raw.send(TcpFlags::ACK, &[b'.'; 17]);
    stream.read_exact(&mut [0; 24]).await.unwrap();
    assert_eq!(stream.info().await.unwrap().urgent_remaining, 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_urgent_data_ends_with_the_connection() {
    let (_stack, mut raw, stream) = open().await;
    let (news, ()) = tokio::join!(stream.urgent(), async {
        sleep(TICK).await;
        raw.send(TcpFlags::RST, b"");
    });
    assert_eq!(news.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(stream.urgent().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// All ports of the range are used, and no other.
// req: R6056-2
#[tokio::test(start_paused = true)]
async fn connections_start_from_the_ports_given() {
    let caps = device::Capabilities::ip(1500);
    let (a, b) = device::memory::pair(caps.clone(), caps);
    let server = builder(a, 1).build().unwrap();
    let client = builder(b, 2).ephemeral_ports(2000..=2003).build().unwrap();
    let _listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap());
    }
    let ports: BTreeSet<_> = streams.iter().map(|stream| stream.local_addr().unwrap().port()).collect();
    assert!(ports.into_iter().eq(2000..=2003));
    let error = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
}

#[tokio::test]
async fn a_range_without_ports_is_refused() {
    #[expect(clippy::reversed_empty_ranges, reason = "what is to be refused")]
    for range in [5000..=4000, 0..=4000] {
        let caps = device::Capabilities::ip(1500);
        let (here, _there) = device::memory::pair(caps.clone(), caps);
        let error = builder(here, 1).ephemeral_ports(range).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("ephemeral ports"), "{error}");
    }
}
