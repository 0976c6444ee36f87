//! How connections end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::world::{Two, twice};

/// Both ends close, the client first; everything that follows is over, but for TIME-WAIT.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn the_teardown_takes_four_segments() {
    // req: MUST-13, S-FIN-6
    twice(async |seed| {
        let two = Two::new(seed);
        let (mut client, mut server) = two.connect().await;
        two.tape.rewind();
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        // So late that the ACK of the client's FIN has gone by itself.
        sleep(Duration::from_millis(500)).await;
        server.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        drop((client, server));
        sleep(SOON).await;
        assert_eq!(
            two.tape.lines(),
            [
                "client F. seq 1 ack 1",
                "server . seq 1 ack 2",
                "server F. seq 1 ack 2",
                "client . seq 2 ack 2"
            ]
        );
        two.assert_over(1);
        sleep(Duration::from_secs(60)).await;
        two.assert_over(0);
        two.net
    });
}

#[test]
fn both_may_close_at_once_and_both_wait() {
    // req: S-FIN-5, S-ACK-9
    twice(async |seed| {
        let two = Two::new(seed);
        let (client, server) = two.connect().await;
        // The handshake's ACK has arrived.
        sleep(Duration::from_millis(100)).await;
        two.tape.rewind();
        drop((client, server));
        sleep(SOON).await;
        let mut lines = two.tape.lines();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "client . seq 2 ack 2",
                "client F. seq 1 ack 1",
                "server . seq 2 ack 2",
                "server F. seq 1 ack 1"
            ]
        );
        let waiting = [two.client(), two.server()].map(|stack| stack.time_wait_count());
        assert_eq!(waiting, [1, 1]);
        two.net
    });
}

#[test]
fn a_lost_last_ack_is_answered_from_time_wait() {
    // req: S-ACK-11, S-TMO-3
    twice(async |seed| {
        let two = Two::new(seed);
        let (mut client, mut server) = two.connect().await;
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        sleep(Duration::from_millis(500)).await;
        two.tape.rewind();
        two.net.drop_nth(two.link.there(), 1, |packet| packet.tcp().is_some());
        drop((client, server));
        sleep(SOON).await;
        assert_eq!(
            two.tape.lines(),
            [
                "server F. seq 1 ack 2",
                "client . seq 2 ack 2 lost",
                "server F. seq 1 ack 2",
                "client . seq 2 ack 2"
            ]
        );
        // TIME-WAIT has begun anew with the second FIN.
        two.assert_over(1);
        sleep(Duration::from_secs(61)).await;
        two.assert_over(0);
        two.net
    });
}

#[test]
fn one_half_closes_and_the_other_goes_on() {
    const LEN: usize = 200_000;
    twice(async |seed| {
        let two = Two::new(seed);
        let (mut client, mut server) = two.connect().await;
        client.write_all(b"all there is to say").await.unwrap();
        client.shutdown().await.unwrap();
        let mut request = String::new();
        server.read_to_string(&mut request).await.unwrap();
        assert_eq!(request, "all there is to say");
        sleep(Duration::from_secs(600)).await;
        let sender = tokio::spawn(async move {
            server.write_all(&vec![b'x'; LEN]).await.unwrap();
            server.shutdown().await.unwrap();
        });
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, vec![b'x'; LEN]);
        sender.await.unwrap();
        drop(client);
        sleep(SOON).await;
        two.assert_over(1);
        two.net
    });
}
