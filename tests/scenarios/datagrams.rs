//! What TCP and UDP each give an application on one lossy link.

use std::time::Duration;

use netstack_sim::LinkConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_netstack::{TcpConfig, UdpSocket};

use crate::world::{CLIENT, DELAY, SERVER, Two, addr, twice};

/// One message each 20 ms, as of a voice.
const MESSAGES: u32 = 200;
const INTERVAL: Duration = Duration::from_millis(20);

#[test]
fn tcp_is_complete_and_in_order_but_late_and_udp_at_once_with_gaps() {
    twice(async |seed| {
        let mut path = LinkConfig::new();
        path.delay(DELAY).loss(0.05);
        let mut tcp = TcpConfig::new();
        tcp.nodelay(true);
        let two = Two::with(seed, &tcp, &path);
        let (mut client, mut server) = two.connect().await;
        let (from, to) = (
            UdpSocket::bind(&two.client(), addr(CLIENT)).await.unwrap(),
            UdpSocket::bind(&two.server(), addr(SERVER)).await.unwrap(),
        );
        let start = Instant::now();
        let sender = tokio::spawn(async move {
            for number in 0..MESSAGES {
                client.write_all(&number.to_be_bytes()).await.unwrap();
                from.send_to(&number.to_be_bytes(), addr(SERVER)).await.unwrap();
                sleep(INTERVAL).await;
            }
            (client, from)
        });
        let datagrams = tokio::spawn(async move {
            let mut got = Vec::new();
            let mut buf = [0; 4];
            while let Ok(Ok(_)) = timeout(Duration::from_secs(1), to.recv_from(&mut buf)).await {
                got.push((u32::from_be_bytes(buf), start.elapsed()));
            }
            got
        });
        let mut stream = Vec::new();
        for _ in 0..MESSAGES {
            stream.push((server.read_u32().await.unwrap(), start.elapsed()));
        }
        let datagrams = datagrams.await.unwrap();
        let late =
            |got: &[(u32, Duration)]| got.iter().map(|&(number, at)| at - INTERVAL * number).max().unwrap();
        let numbers: Vec<u32> = stream.iter().map(|&(number, _)| number).collect();
        assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>(), "complete and in order");
        assert!(late(&stream) > 3 * DELAY, "{:?}", late(&stream));
        assert!(datagrams.len() < MESSAGES as usize && datagrams.len() > MESSAGES as usize * 8 / 10);
        assert!(late(&datagrams) <= DELAY + Duration::from_millis(2), "{:?}", late(&datagrams));
        drop(sender.await.unwrap());
        two.net
    });
}
