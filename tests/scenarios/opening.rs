//! How connections begin.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use netstack_sim::net::Verdict;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use tokio_netstack::TcpStream;

use crate::world::{CLIENT, DELAY, SERVER, Two, addr, twice};

#[test]
fn the_handshake_takes_three_segments() {
    twice(async |seed| {
        let two = Two::new(seed);
        let start = Instant::now();
        let _ends = two.connect().await;
        assert_eq!(two.tape.lines(), ["client S seq 0", "server S. seq 0 ack 1", "client . seq 1 ack 1"]);
        assert_eq!(start.elapsed(), 3 * DELAY);
        two.net
    });
}

#[test]
fn both_may_open_at_once() {
    // req: MUST-10
    twice(async |seed| {
        let two = Two::new(seed);
        let (client, server) = (two.client(), two.server());
        // A millisecond apart, so that nothing happens at the same instant, and well within the 10 ms of the link.
        let (client, server) =
            tokio::join!(TcpStream::connect_from(&client, addr(CLIENT), addr(SERVER)), async {
                sleep(Duration::from_millis(1)).await;
                TcpStream::connect_from(&server, addr(SERVER), addr(CLIENT)).await
            },);
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        // RFC 9293 figure 8: SYNs cross, and each is answered by a SYN that acknowledges it.
        assert_eq!(
            two.tape.lines()[..4],
            ["client S seq 0", "server S seq 0", "server S. seq 0 ack 1", "client S. seq 0 ack 1"]
        );
        client.write_all(b"hello").await.unwrap();
        let mut text = [0; 5];
        server.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hello");
        two.net
    });
}

#[test]
fn a_lost_syn_is_sent_again_after_a_second() {
    // req: MUST-22, R6298-1
    twice(async |seed| {
        let two = Two::new(seed);
        two.net.drop_nth(two.link.there(), 1, |packet| packet.tcp().is_some());
        let _ends = two.connect().await;
        let syns = two.tape.matching("client S ");
        assert_eq!(two.tape.lines()[..3], ["client S seq 0 lost", "client S seq 0", "server S. seq 0 ack 1"]);
        assert_eq!(syns[1].at - syns[0].at, Duration::from_secs(1));
        two.net
    });
}

#[test]
fn a_lost_syn_ack_is_sent_again() {
    twice(async |seed| {
        let two = Two::new(seed);
        two.net.drop_nth(two.link.back(), 1, |packet| packet.tcp().is_some());
        let (mut client, mut server) = two.connect().await;
        client.write_all(b"hello").await.unwrap();
        server.read_exact(&mut [0; 5]).await.unwrap();
        assert!(two.tape.matching("server S. ").len() >= 2);
        two.net
    });
}

#[test]
fn an_old_duplicate_syn_is_refused_by_the_third_step() {
    // RFC 9293 figure 9: the server cannot tell the old SYN from the new one; the client can, and says so.
    twice(async |seed| {
        let two = Two::new(seed);
        let old = Arc::new(Mutex::new(None));
        let copy = Arc::clone(&old);
        two.net.policy(two.link.there(), move |packet| {
            let mut old = copy.lock().unwrap();
            match packet.tcp() {
                Some(header) if header.flags == TcpFlags::SYN && old.is_none() => {
                    *old = packet.with_tcp(|header| header.seq += 0u32.wrapping_sub(100_000));
                    Verdict::Delay(Duration::from_millis(200))
                }
                _ => Verdict::Pass,
            }
        });
        let listener = two.listen().await;
        let client = two.client();
        let connecting = tokio::spawn(async move {
            TcpStream::connect_from(&client, addr(CLIENT), addr(SERVER)).await.unwrap()
        });
        sleep(Duration::from_millis(5)).await;
        let old = old.lock().unwrap().clone().unwrap();
        two.net.inject(two.link.there(), old);
        let (mut server, _) = listener.accept().await.unwrap();
        let mut client = connecting.await.unwrap();
        let flags: Vec<_> = two.tape.segments().iter().map(|seen| seen.header.flags.to_string()).collect();
        // The new SYN, late; the old one; its answer, refused; and the new one's handshake.
        assert_eq!(flags[..6], ["S", "S", "S.", "R", "S.", "."], "{:#?}", two.tape.lines());
        client.write_all(b"new").await.unwrap();
        let mut text = [0; 3];
        server.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"new");
        two.net
    });
}

#[test]
fn a_port_where_nobody_listens_answers_with_a_reset() {
    twice(async |seed| {
        let two = Two::new(seed);
        let error = TcpStream::connect(&two.client(), addr(SERVER)).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(two.tape.lines(), ["client S seq 0", "server R. seq 0 ack 1"]);
        two.assert_over(0);
        two.net
    });
}
