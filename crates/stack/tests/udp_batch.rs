//! Several datagrams in one call, datagrams in fragments, and what is left to the device.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::common::udp::*;
use crate::common::*;
use netstack_wire::ip;
use tokio::time::timeout;
use tokio_netstack::device::{Capabilities, Offloads};
use tokio_netstack::{SendMsg, Stack, UdpConfig, UdpSocket};

const TICK: Duration = Duration::from_millis(5);

/// Two stacks whose devices leave to each other what they say.
fn stacks_of(offloads: Offloads) -> (Stack, Stack) {
    let caps = Capabilities::ip(1500).with_tx(offloads).with_rx(offloads);
    stacks_with(&Default::default(), caps, 512)
}

async fn pair(server: &Stack, client: &Stack, ip: &str) -> (UdpSocket, UdpSocket) {
    let mut config = UdpConfig::new();
    config.recv_buffer(8 << 20);
    let served = UdpSocket::bind_with(server, addr(ip, PORT), config).await.unwrap();
    let any = if served.local_addr().unwrap().is_ipv4() { addr("0.0.0.0", 0) } else { addr("::", 0) };
    let socket = UdpSocket::bind(client, any).await.unwrap();
    socket.connect(addr(ip, PORT)).await.unwrap();
    (served, socket)
}

async fn receive(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    let mut buf = vec![0; 65_536];
    while let Ok(received) = timeout(TICK, socket.recv(&mut buf)).await {
        datagrams.push(buf[..received.unwrap()].to_vec());
    }
    datagrams
}

async fn receive_in_batches(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    let mut buf = vec![0; 65_536];
    while let Ok(received) = timeout(TICK, socket.recv_batch(&mut buf)).await {
        let batch = received.unwrap();
        assert_eq!(batch.lost, 0);
        datagrams.extend(buf[..batch.len].chunks(batch.segment_size.max(1)).map(<[u8]>::to_vec));
    }
    datagrams
}

/// One call's datagrams arrive as they were cut, whatever the device does of it; where it cuts them itself it gets them in few
/// frames, and never a fragment.
// req: R768-7
#[tokio::test(start_paused = true)]
async fn a_batch_arrives_as_single_datagrams() {
    let checksum = Offloads { checksum: true, ..Offloads::NONE };
    for offloads in [Offloads::NONE, checksum, Offloads::ALL] {
        let (server, client) = stacks_of(offloads);
        for ip in [SERVER, "2001:db8::1"] {
            let (served, socket) = pair(&server, &client, ip).await;
            for (len, size) in [(0, 5), (5, 5), (6, 5), (4, 5), (100_000, 1200), (65_507, 1452), (3000, 1)] {
                let data = pattern(len);
                let before = client.device_counters(0).unwrap();
                let msg = SendMsg::new().segment_size(size);
                assert_eq!(socket.send_msg(&data, &msg).await.unwrap(), len);
                let mut expected: Vec<_> = data.chunks(size).map(<[u8]>::to_vec).collect();
                if len == 0 {
                    expected.push(Vec::new());
                }
                let received =
                    if len % 2 == 0 { receive(&served).await } else { receive_in_batches(&served).await };
                assert!(received == expected, "{len} octets in pieces of {size} over {offloads:?}");
                let after = client.device_counters(0).unwrap();
                let frames = after.tx_frames - before.tx_frames;
                let most = if offloads.uso { expected.len().div_ceil(64) + 1 } else { expected.len() };
                assert!(frames <= most as u64, "{frames} frames for {} datagrams", expected.len());
                let unfinished = after.tx_partial - before.tx_partial;
                assert_eq!(unfinished, if offloads.checksum { frames } else { 0 });
            }
        }
        let counters = client.counters();
        assert_eq!(
            (counters.tx_datagrams, server.counters().drop_bad_checksum),
            (2 * (1 + 1 + 2 + 1 + 84 + 46 + 3000), 0)
        );
    }
}

/// Datagrams come in the largest runs that the buffer holds; another sender, size or address begins the next.
#[tokio::test(start_paused = true)]
async fn received_batches_are_of_one_sender_and_size() {
    let (server, client) = stacks();
    let (served, socket) = pair(&server, &client, SERVER).await;
    let other = UdpSocket::bind(&client, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    for len in [10, 10, 7, 10, 10] {
        socket.send(&pattern(len)).await.unwrap();
    }
    other.send_to(&pattern(10), addr(SERVER, PORT)).await.unwrap();
    tokio::time::sleep(TICK).await;
    let mut buf = [0; 25];
    let mut runs = Vec::new();
    while let Ok(batch) = served.try_recv_batch(&mut buf) {
        let mine = batch.from.port() == socket.local_addr().unwrap().port();
        runs.push((batch.len, batch.segment_size, batch.lost, mine));
    }
    // 10 and 10 fill 25 but for 5; 7 ends what could follow it.
    assert_eq!(runs, [(20, 10, 0, true), (7, 7, 0, true), (20, 10, 0, true), (10, 10, 0, false)]);
    socket.send(&pattern(30)).await.unwrap();
    tokio::time::sleep(TICK).await;
    let batch = served.try_recv_batch(&mut buf).unwrap();
    assert_eq!((batch.len, batch.lost, batch.segment_size), (25, 5, 25));
}

/// With the device full a batch that is tried tells how much of it has left, in whole datagrams, and the rest can follow.
#[tokio::test(start_paused = true)]
async fn a_batch_that_is_tried_stops_between_datagrams() {
    let (stack, mut raw) = raw_pair_of_depth(5, |device| builder(device, 1).build().unwrap());
    let socket = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    socket.connect(addr(CLIENT, PORT)).await.unwrap();
    let data = pattern(12 * 1000 + 1);
    let msg = SendMsg::new().segment_size(1000);
    let (mut sent, mut seen) = (0, Vec::new());
    while sent < data.len() {
        sent += match socket.try_send_msg(&data[sent..], &msg) {
            Ok(octets) => octets,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                for _ in 0..5 {
                    seen.extend_from_slice(&parse_datagram(&raw.packet().await).data);
                }
                0
            }
        };
        assert!(sent.is_multiple_of(1000) || sent == data.len());
    }
    while let Some(packet) = raw.packet_within(TICK).await {
        seen.extend_from_slice(&parse_datagram(&packet).data);
    }
    assert!(seen == data);
}

/// Every size up to the largest arrives whole, in fragments where it has to.
// req: R768-7
#[tokio::test(start_paused = true)]
async fn the_largest_datagrams_arrive() {
    for offloads in [Offloads::NONE, Offloads::ALL] {
        let (server, client) = stacks_of(offloads);
        for (ip, most) in [(SERVER, 65_507), ("2001:db8::1", 65_527)] {
            let (served, socket) = pair(&server, &client, ip).await;
            let mut buf = vec![0; 65_536];
            for size in [1452, 1453, 1472, 1473, 2952, 9000, 65_000, most - 1, most] {
                let data = pattern(size);
                socket.send(&data).await.unwrap();
                let received = timeout(TICK, served.recv(&mut buf)).await;
                assert!(received.is_ok_and(|len| buf[..len.unwrap()] == data), "{size} octets");
            }
            assert!(socket.send(&pattern(most + 1)).await.is_err());
        }
        assert_eq!(server.counters().drop_bad_checksum, 0);
    }
}

/// Once a part of a datagram has left, all of it does: whether the sender waits, only tries, or goes away.
#[tokio::test(start_paused = true)]
async fn a_datagram_in_fragments_is_finished() {
    let (stack, mut raw) = raw_pair_of_depth(2, |device| builder(device, 1).build().unwrap());
    let socket = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    socket.connect(addr(CLIENT, PORT)).await.unwrap();
    let data = pattern(10_000);
    for round in 0..3 {
        match round {
            0 => assert_eq!(socket.try_send(&data).unwrap(), data.len()),
            1 => assert!(timeout(TICK, socket.send(&data)).await.is_err()),
            _ => {
                assert_eq!(std::future::poll_fn(|cx| socket.poll_send(cx, &data)).await.unwrap(), data.len())
            }
        }
        let mut octets = 0;
        let mut ended = false;
        while let Some(packet) = raw.packet_within(TICK).await {
            let ip = ip::parse(&packet).unwrap();
            let fragment = ip.fragment.expect("a fragment");
            assert_eq!(usize::from(fragment.offset), octets);
            octets += ip.payload.len();
            ended = !fragment.more;
        }
        assert!(ended && octets == data.len() + 8, "round {round}: {octets} octets");
    }
}
