//! Options of a peer that the stack does not take up: TCP Fast Open, where nobody asked for it, and the user timeout option.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::tcp::{FastOpenCookie, TcpFlags, UserTimeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_netstack::{TcpIncoming, TcpListener};

const TICK: Duration = Duration::from_millis(2);

/// A SYN with a cookie, or a request for one, and data: a plain handshake, and the data counts when it comes again.
// req: R7413-1
#[tokio::test(start_paused = true)]
async fn fast_open_is_ignored() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let incoming = TcpIncoming::bind(&stack, addr(SERVER, 8), Default::default()).unwrap();
    for cookie in [FastOpenCookie::REQUEST, FastOpenCookie::new(&[7; 8]).unwrap()] {
        for port in [PORT, 8] {
            raw.remote.set_port(port);
            raw.local.set_port(raw.local.port() + 1);
            let mut syn = raw.header(TcpFlags::SYN);
            syn.options.fast_open = Some(cookie);
            raw.send_header(&syn, b"early");
            let accept = tokio::spawn({
                let syn = if port == 8 { incoming.next().await } else { None };
                async move { Some(syn?.accept().await.unwrap()) }
            });
            let answer = raw.recv_within(TICK).await.unwrap();
            assert_eq!(answer.header.flags, TcpFlags::SYN | TcpFlags::ACK);
            assert_eq!((answer.header.ack, answer.header.options.fast_open), (raw.seq + 1, None));
            raw.seq += 1;
            raw.ack = answer.header.seq + 1;
            assert_eq!(stack.counters().connections_accepted % 2, u64::from(port == 8), "not before the ACK");
            raw.send(TcpFlags::ACK, b"early again");
            let mut stream = match accept.await.unwrap() {
                Some(stream) => stream,
                None => timeout(TICK, listener.accept()).await.unwrap().unwrap().0,
            };
            let mut text = [0; 11];
            stream.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"early again");
            stream.set_zero_linger().unwrap();
            drop(stream);
            while !raw.recv().await.has(TcpFlags::RST) {}
        }
    }
}

/// What the peer proposes as a user timeout changes nothing, shorter or longer, in any form; and nothing is proposed to it.
// req: R5482-1, R5482-2, R5482-3, R5482-4
#[tokio::test(start_paused = true)]
async fn the_user_timeout_option_is_ignored() {
    for (proposed, own, ends) in [(1, None, 300), (32_767 * 60, Some(5), 5), (0, None, 300)] {
        let (stack, mut raw) = raw_pair();
        let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
        let mut syn = raw.header(TcpFlags::SYN);
        syn.options.user_timeout = UserTimeout::from_secs(proposed);
        raw.send_header(&syn, b"");
        raw.seq += 1;
        let answer = raw.recv().await;
        assert_eq!(answer.header.options.user_timeout, None);
        raw.ack = answer.header.seq + 1;
        let mut ack = raw.header(TcpFlags::ACK);
        ack.options.user_timeout = UserTimeout::from_secs(proposed);
        raw.send_header(&ack, b"");
        let (mut stream, _) = listener.accept().await.unwrap();
        if let Some(secs) = own {
            stream.set_user_timeout(Some(Duration::from_secs(secs))).unwrap();
        }
        assert_eq!(stream.user_timeout().unwrap(), Some(Duration::from_secs(ends)));
        stream.write_all(b"is anybody there?").await.unwrap();
        sleep(TICK).await;
        let start = Instant::now();
        let error = loop {
            tokio::select! {
                biased;
                seen = raw.recv() => assert_eq!(seen.header.options.user_timeout, None),
                read = stream.read_u8() => break read.unwrap_err(),
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let elapsed = start.elapsed().as_secs_f64().round() as u64;
        assert_eq!(elapsed, ends, "the peer proposed {proposed} s");
    }
}
