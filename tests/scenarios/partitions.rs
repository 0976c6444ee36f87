//! Ends that do not hear each other for a while.

use std::io::ErrorKind;
use std::time::Duration;

use netstack_sim::LinkConfig;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_netstack::{KeepAlive, State, TcpConfig};

use crate::world::{DELAY, Two, twice};

const LEN: usize = 300_000;

fn patient_for(limit: Duration) -> TcpConfig {
    let mut tcp = TcpConfig::new();
    tcp.user_timeout(Some(limit));
    tcp
}

fn path() -> LinkConfig {
    let mut path = LinkConfig::new();
    path.delay(DELAY).rate(10_000_000);
    path
}

#[test]
fn a_partition_healed_within_the_user_timeout_costs_time_and_no_byte() {
    twice(async |seed| {
        let two = Two::with(seed, &patient_for(Duration::from_secs(120)), &path());
        let (mut client, mut server) = two.connect().await;
        let sender = tokio::spawn(async move {
            client.write_all(&vec![7; LEN]).await.unwrap();
            client.shutdown().await.unwrap();
            client
        });
        sleep(Duration::from_millis(100)).await;
        two.net.partition(&[&[two.client], &[two.server]]);
        sleep(Duration::from_secs(60)).await;
        two.net.reunite();
        let healed = Instant::now();
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, vec![7; LEN]);
        // The next retransmission comes at the latest as long after it as the silence had lasted.
        assert!(healed.elapsed() < Duration::from_secs(61), "{:?}", healed.elapsed());
        drop((sender.await.unwrap(), server));
        two.net
    });
}

#[test]
fn a_partition_longer_than_the_user_timeout_ends_the_connection_and_the_peer_hears_a_reset() {
    // req: MUST-20, MUST-21, S-TMO-4
    const LIMIT: Duration = Duration::from_secs(20);
    twice(async |seed| {
        let two = Two::with(seed, &patient_for(LIMIT), &path());
        let (mut client, mut server) = two.connect().await;
        // Nothing is under way.
        sleep(Duration::from_secs(1)).await;
        two.net.cut(two.link);
        let cut = Instant::now();
        client.write_all(b"into the dark").await.unwrap();
        let error = client.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!((LIMIT..LIMIT * 2).contains(&cut.elapsed()), "{:?}", cut.elapsed());
        drop(client);
        sleep(Duration::from_secs(40)).await;
        two.net.heal(two.link);
        // The server knows nothing of it until it speaks.
        assert_eq!(two.server().connection_count(), 1);
        server.write_all(b"still there?").await.unwrap();
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        two.assert_over(0);
        two.net
    });
}

#[test]
fn keep_alive_finds_out_that_an_idle_peer_is_gone() {
    // req: MUST-24, MUST-27
    twice(async |seed| {
        let mut tcp = TcpConfig::new();
        tcp.keepalive(Some(KeepAlive {
            idle: Duration::from_secs(30),
            interval: Duration::from_secs(5),
            count: 3,
        }));
        let two = Two::with(seed, &tcp, &path());
        let (mut client, server) = two.connect().await;
        sleep(Duration::from_secs(300)).await;
        assert_eq!(two.client().connection_count(), 1, "the probes are answered");
        two.net.cut(two.link);
        let found = timeout(Duration::from_secs(60), client.read(&mut [0; 1])).await.unwrap();
        assert_eq!(found.unwrap_err().kind(), ErrorKind::TimedOut);
        drop(server);
        two.net
    });
}

#[test]
fn an_end_whose_peers_reset_was_lost_lasts_until_keep_alive_asks() {
    const DAY: Duration = Duration::from_secs(86_400);
    for keepalive in [None, Some(KeepAlive::default())] {
        twice(async |seed| {
            let mut tcp = TcpConfig::new();
            tcp.keepalive(keepalive);
            let two = Two::with(seed, &tcp, &path());
            let (client, mut server) = two.connect().await;
            two.net.drop_nth(two.link.there(), 1, |packet| {
                packet.tcp().is_some_and(|header| header.flags.contains(TcpFlags::RST))
            });
            client.set_zero_linger().unwrap();
            drop(client);
            let read = timeout(30 * DAY, server.read(&mut [0; 1])).await;
            assert_eq!(two.tape.matching("client R")[0].line, "client R seq 1 lost");
            assert_eq!(two.client().connection_count(), 0, "the peer has forgotten it");
            match keepalive {
                None => {
                    assert!(read.is_err(), "{read:?}");
                    assert_eq!(two.server().connections()[0].state(), State::Established);
                    server.set_zero_linger().unwrap();
                    drop(server);
                    sleep(DELAY).await;
                }
                // The first probe finds nobody there, who says so.
                Some(_) => assert_eq!(read.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset),
            }
            two.assert_over(0);
            two.net
        });
    }
}
