//! Hosts that lose their memory, and paths that damage what they carry.

use std::io::ErrorKind;
use std::time::Duration;

use netstack_sim::{Jitter, LinkConfig, QueueLimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use tokio_netstack::{TcpConfig, TcpListener, TcpStream};

use crate::world::{DELAY, SERVER, Two, addr, twice};

#[test]
fn a_restarted_server_answers_what_it_does_not_know_with_a_reset() {
    // req: S-TMO-4
    // RFC 9293 3.5.1, figure 10: a half-open connection is found out by the side that speaks.
    twice(async |seed| {
        let two = Two::new(seed);
        let (mut client, mut server) = two.connect().await;
        client.write_all(b"before").await.unwrap();
        server.read_exact(&mut [0; 6]).await.unwrap();
        two.net.restart(two.server).unwrap();
        server.read(&mut [0; 1]).await.unwrap_err();
        two.tape.rewind();
        client.write_all(b"after").await.unwrap();
        let error = client.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(two.tape.lines(), ["client P. seq 7 ack 1 len 5", "server R seq 1"]);
        two.assert_over(0);
        two.net
    });
}

#[test]
fn a_restarted_client_calls_again_from_the_same_port() {
    // RFC 9293 3.5.1, figure 9: the SYN meets the old connection, is challenged, and the answer ends the old one.
    twice(async |seed| {
        // So slow that the SYN behind the reset comes milliseconds after it, when the old connection has gone.
        let slow = LinkConfig::new().delay(DELAY).rate(100_000).clone();
        let two = Two::with(seed, &TcpConfig::new(), &slow);
        let (client, mut server) = two.connect().await;
        // The listener of `connect` is gone; another takes the next call.
        let listener = TcpListener::bind(&two.server(), addr(SERVER)).await.unwrap();
        two.net.restart(two.client).unwrap();
        drop(client);
        two.tape.rewind();
        let mut client =
            TcpStream::connect_from(&two.client(), addr(crate::world::CLIENT), addr(SERVER)).await.unwrap();
        assert_eq!(server.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let flags: Vec<_> = two.tape.segments().iter().map(|seen| seen.header.flags.to_string()).collect();
        assert_eq!(flags, ["S", ".", "R", "S", "S.", "."], "{:#?}", two.tape.lines());
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"again").await.unwrap();
        let mut text = [0; 5];
        server.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"again");
        two.net
    });
}

#[test]
fn damaged_duplicated_and_disordered_packets_make_a_whole_stream() {
    const LEN: usize = 2_000_000;
    twice(async |seed| {
        let mut path = LinkConfig::new();
        path.rate(50_000_000).delay(DELAY).queue(QueueLimit::Bytes(100_000));
        path.loss_bursts(0.01, 3.0).corrupt(0.01).duplicate(0.02).reorder(0.02, DELAY);
        path.jitter(Jitter::Reordering(Duration::from_millis(2)));
        let two = Two::with(seed, &TcpConfig::new(), &path);
        let (mut client, mut server) = two.connect().await;
        let sent: Vec<u8> = (0..LEN).map(|i| (i % 251) as u8).collect();
        let message = sent.clone();
        let sender = tokio::spawn(async move {
            client.write_all(&message).await.unwrap();
            client.shutdown().await.unwrap();
            client
        });
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert!(got == sent, "the stream differs from what was sent");
        drop((sender.await.unwrap(), server));
        sleep(Duration::from_secs(120)).await;
        two.assert_over(0);
        let stats = two.net.stats(two.link.there());
        assert!(stats.corrupted > 5 && stats.lost > 5 && stats.duplicated > 5, "{stats:?}");
        two.net
    });
}
