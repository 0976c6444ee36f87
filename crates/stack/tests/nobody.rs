//! Segments that belong to no connection, and errors and noise that must reach the right one only.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use crate::common::*;
use bytes::Bytes;
use netstack_wire::SeqNum;
use netstack_wire::ip;
use netstack_wire::tcp::{TcpFlags, TcpHeader, Timestamps};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_netstack::{IcmpNotice, Stack, TcpConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

/// Codes of "destination unreachable" that mean the host.
const HOST_UNREACHABLE_V4: u8 = 1;
const ADDRESS_UNREACHABLE_V6: u8 = 3;

const FIN: TcpFlags = TcpFlags::FIN;
const SYN: TcpFlags = TcpFlags::SYN;
const RST: TcpFlags = TcpFlags::RST;
const PSH: TcpFlags = TcpFlags::PSH;
const ACK: TcpFlags = TcpFlags::ACK;

/// The ICMP error "host unreachable" or "port unreachable" about a packet that the stack sent.
fn unreachable(port: bool, sent: &[u8]) -> Vec<u8> {
    let v6 = ip::parse(sent).unwrap().src.is_ipv6();
    let code = match (port, v6) {
        (true, _) => udp::port_unreachable(v6),
        (false, true) => ADDRESS_UNREACHABLE_V6,
        (false, false) => HOST_UNREACHABLE_V4,
    };
    udp::unreachable(code, sent)
}

fn dial(stack: &Stack, remote: SocketAddr) -> JoinHandle<std::io::Result<TcpStream>> {
    let stack = stack.clone();
    tokio::spawn(async move { TcpStream::connect(&stack, remote).await })
}

/// Every answer to a segment for nobody has the numbers that its sender takes for an answer to that segment, and the
/// timestamp to tell it by.
// req: S-CLOSED-1, S-CLOSED-2, S-CLOSED-3, R7323-8
#[tokio::test(start_paused = true)]
async fn segments_for_nobody_earn_a_reset_with_their_numbers() {
    let without_ack: [(TcpFlags, &[u8], u32); 6] = [
        (SYN, b"", 1),
        (SYN, b"hello", 6),
        (FIN, b"", 1),
        (PSH, b"abc", 3),
        (SYN | FIN, b"ab", 4),
        (TcpFlags::default(), b"", 0),
    ];
    let with_ack: [(TcpFlags, &[u8]); 5] =
        [(ACK, b""), (ACK | PSH, b"abc"), (SYN | ACK, b""), (FIN | ACK, b""), (FIN | ACK, b"last")];
    for (local, remote) in [(CLIENT, SERVER), ("2001:db8::2", "2001:db8::1")] {
        let (stack, mut raw) = raw_pair();
        (raw.local, raw.remote) = (addr(local, 40000), addr(remote, PORT));
        raw.ack = SeqNum(0xffff_fff0);
        for timestamps in [None, Some(Timestamps { val: 4711, ecr: 815 })] {
            let echo = timestamps.map(|ts| Timestamps { val: 0, ecr: ts.val });
            for seq in [SeqNum(0), SeqNum(1000), SeqNum(u32::MAX)] {
                raw.seq = seq;
                let first =
                    without_ack.map(|(flags, text, len)| (flags, text, (RST | ACK, SeqNum(0), seq + len)));
                let second = with_ack.map(|(flags, text)| (flags, text, (RST, raw.ack, SeqNum(0))));
                for (flags, text, expected) in first.into_iter().chain(second) {
                    let mut header = raw.header(flags);
                    header.options.timestamps = timestamps;
                    raw.send_header(&header, text);
                    let reset = raw.recv_within(TICK).await.expect("a reset").header;
                    assert_eq!((reset.flags, reset.seq, reset.ack), expected);
                    assert_eq!(reset.options.timestamps, echo);
                    assert_eq!((reset.src_port, reset.dst_port), (PORT, 40000));
                }
                for flags in [RST, RST | ACK, RST | SYN, RST | FIN | ACK] {
                    raw.send(flags, b"");
                    raw.send(flags, b"text");
                }
                raw.silence(TICK).await;
            }
        }
        let counters = stack.counters();
        assert_eq!((counters.tx_resets, counters.drop_no_connection), (66, 66 + 48));
    }
}

/// An attempt that was given up sends no FIN and no more SYNs; the SYN-ACK that comes too late is refused.
// req: S-CLOSE-2, R7323-8
#[tokio::test(start_paused = true)]
async fn an_abandoned_connect_refuses_the_late_syn_ack() {
    let (stack, mut raw) = raw_pair();
    let connect = dial(&stack, addr(CLIENT, 80));
    let syn = raw.recv().await;
    connect.abort();
    assert!(connect.await.unwrap_err().is_cancelled());
    raw.silence(Duration::from_secs(200)).await;
    assert_eq!((stack.connection_count(), stack.time_wait_count()), (0, 0));
    (raw.local, raw.remote) = (addr(CLIENT, 80), addr(SERVER, syn.header.src_port));
    raw.ack = syn.header.seq + 1;
    let mut answer = raw.header(SYN | ACK);
    let ours = syn.header.options.timestamps.unwrap();
    answer.options.timestamps = Some(Timestamps { val: 99, ecr: ours.val });
    raw.send_header(&answer, b"");
    let reset = raw.recv_within(TICK).await.unwrap().header;
    assert_eq!((reset.flags, reset.seq), (RST, raw.ack));
    assert_eq!(reset.options.timestamps, Some(Timestamps { val: 0, ecr: 99 }));
    raw.silence(Duration::from_secs(10)).await;
}

/// Of two attempts to connect, the one that a hard ICMP error quotes fails, and the other goes on.
// req: MUST-54, SHLD-26
#[tokio::test(start_paused = true)]
async fn an_icmp_error_fails_the_connect_that_it_quotes() {
    for remote in [CLIENT, "2001:db8::2"] {
        let (stack, mut raw) = raw_pair();
        let a = dial(&stack, addr(remote, 80));
        let syn_a = raw.packet().await;
        let b = dial(&stack, addr(remote, 81));
        let syn_b = parse(&raw.packet().await);
        raw.send_packet(&unreachable(true, &syn_a));
        let error = timeout(TICK, a).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(!b.is_finished());
        (raw.local, raw.remote) = (addr(remote, 81), SocketAddr::new(syn_b.src, syn_b.header.src_port));
        raw.ack = syn_b.header.seq + 1;
        raw.send(SYN | ACK, b"");
        timeout(TICK, b).await.unwrap().unwrap().expect("nobody told it to stop");
    }
}

/// An open connection's error is remembered by that connection alone; an error about nobody goes nowhere.
// req: MUST-54
#[tokio::test(start_paused = true)]
async fn an_icmp_error_is_known_to_the_connection_that_it_quotes() {
    for (local, remote) in [(CLIENT, SERVER), ("2001:db8::2", "2001:db8::1")] {
        let (stack, mut raw) = raw_pair();
        raw.remote = addr(remote, PORT);
        let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
        let mut sent: Vec<Bytes> = Vec::new();
        let mut streams = Vec::new();
        for port in [1, 2] {
            raw.local = addr(local, port);
            raw.open().await;
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"data").await.unwrap();
            sent.push(raw.packet().await);
            streams.push(stream);
        }
        // About a connection that never was: a port of its own, otherwise the same.
        let mut header = parse(&sent[0]).header;
        header.dst_port = 3;
        let nobody = segment(addr(remote, 0).ip(), addr(local, 0).ip(), &header, b"data");
        raw.send_packet(&unreachable(false, &nobody));
        sleep(TICK).await;
        assert_eq!((stack.counters().rx_icmp_unmatched, stack.counters().rx_icmp_errors), (1, 0));
        raw.send_packet(&unreachable(false, &sent[0]));
        sleep(TICK).await;
        let counters = stack.counters();
        assert_eq!((counters.rx_icmp_unmatched, counters.rx_icmp_errors), (1, 1));
        assert_eq!(streams[0].info().await.unwrap().soft_error, Some(IcmpNotice::HostUnreachable));
        assert_eq!(streams[1].info().await.unwrap().soft_error, None);
    }
}

/// A soft ICMP error does not end an attempt to connect, and is the reason given when the attempt ends.
// req: SHLD-25, MUST-54
#[tokio::test(start_paused = true)]
async fn a_connect_that_gives_up_names_the_icmp_error() {
    for remote in [CLIENT, "2001:db8::2"] {
        let mut tcp = TcpConfig::new();
        tcp.syn_timeout(Duration::from_secs(10));
        let (stack, mut raw) = raw_pair_with(|builder| builder.tcp_config(tcp));
        let start = tokio::time::Instant::now();
        let told = dial(&stack, addr(remote, 80));
        let syn = raw.packet().await;
        let untold = dial(&stack, addr(remote, 81));
        raw.send_packet(&unreachable(false, &syn));
        let mut repeated = 0;
        while let Some(packet) = raw.packet_within(Duration::from_secs(20)).await {
            repeated += usize::from(parse(&packet).header.dst_port == 80);
        }
        assert_eq!(repeated, 3, "after 1, 3 and 7 seconds");
        let error = told.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::HostUnreachable, "host unreachable".into())
        );
        assert_eq!(untold.await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= Duration::from_secs(10));
    }
}

/// The allowance of challenge ACKs is each connection's own: what one answers tells nothing of another.
// req: R5961-7
#[tokio::test(start_paused = true)]
async fn challenges_of_one_connection_leave_the_other_its_own() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, raw.remote).await.unwrap();
    let mut streams = Vec::new();
    let mut peers = Vec::new();
    for port in [1, 2] {
        raw.local.set_port(port);
        raw.open().await;
        streams.push(listener.accept().await.unwrap().0);
        peers.push((port, raw.seq, raw.ack));
    }
    // Resets in the window and not at its left edge: each earns a challenge, as long as there are any.
    let noise = |raw: &mut Raw, (port, seq, _): (u16, SeqNum, SeqNum)| {
        raw.local.set_port(port);
        let header = TcpHeader { seq: seq + 100, ..raw.header(RST) };
        raw.send_header(&header, b"");
    };
    let (a, b) = (peers[0], peers[1]);
    let mut answers = 0;
    for _ in 0..100 {
        noise(&mut raw, a);
        while let Some(seen) = raw.recv_within(TICK).await {
            assert_eq!((seen.header.dst_port, seen.header.flags, seen.header.ack), (a.0, ACK, a.1));
            answers += 1;
        }
    }
    assert!((5..=10).contains(&answers), "{answers} of 100");
    let mut of_b = 0;
    for _ in 0..100 {
        noise(&mut raw, b);
        while let Some(seen) = raw.recv_within(TICK).await {
            assert_eq!((seen.header.dst_port, seen.header.flags, seen.header.ack), (b.0, ACK, b.1));
            of_b += 1;
        }
    }
    assert!((5..=10).contains(&of_b), "{of_b}: an allowance of its own, whatever the other has spent");
    for ((port, seq, ack), stream) in peers.into_iter().zip(&mut streams) {
        raw.local.set_port(port);
        (raw.seq, raw.ack) = (seq, ack);
        raw.send(ACK | PSH, b"alive");
        timeout(TICK, stream.read_exact(&mut [0; 5])).await.unwrap().unwrap();
    }
}
