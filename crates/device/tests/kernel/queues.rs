//! Devices with several queues.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use netstack_device::SendError;
use netstack_device::tun::{OffloadMode, OpenMode, TunConfig, TunError};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{HOST, PORT, SOON, STACK, Tun, config};

const FLOWS: u32 = 32;

/// The kernel sends a flow's packets to the queue that wrote the flow last: where they arrive tells by which queue our
/// frames left.
pub(super) async fn a_flow_keeps_its_queue(queues: usize, offload: OffloadMode) {
    let mut tun = Tun::new(config("tun0").queues(queues).offload(offload).open().await.unwrap());
    assert_eq!(tun.rx.len(), queues);
    assert_eq!(tun.tx.capabilities().tx.tso4, offload == OffloadMode::Require);
    let mut sockets = Vec::new();
    for _ in 0..FLOWS {
        sockets.push(UdpSocket::bind((HOST, 0)).await.unwrap());
    }
    // The first packet of a flow may come by any queue.
    for (flow, socket) in (0..FLOWS).zip(&sockets) {
        socket.send_to(&flow.to_be_bytes(), (STACK, PORT)).await.unwrap();
        let (dst, from, payload) = tun.recv_udp().await;
        assert_eq!((dst, from), (STACK, socket.local_addr().unwrap()));
        assert_eq!(payload[..], flow.to_be_bytes());
    }
    let mut used = BTreeSet::new();
    for round in 0..3u32 {
        for (flow, socket) in (0..FLOWS).zip(&sockets) {
            // Not in the order of the queues.
            let flow = flow.wrapping_mul(2_654_435_761);
            let expected = Bytes::copy_from_slice(&[flow.to_be_bytes(), round.to_be_bytes()].concat());
            let to = socket.local_addr().unwrap();
            tun.send_udp_of(flow, STACK, to, std::slice::from_ref(&expected)).unwrap();
            let mut buf = [0; 64];
            let (n, from) = timeout(SOON, socket.recv_from(&mut buf)).await.unwrap().unwrap();
            assert_eq!((&buf[..n], from), (&expected[..], SocketAddr::new(STACK, PORT)));
            socket.send_to(&expected, (STACK, PORT)).await.unwrap();
            let (queue, (_, from, payload)) = tun.recv_udp_on().await;
            assert_eq!((from, &payload), (to, &expected));
            assert_eq!(queue, flow as usize % queues, "flow {flow} of round {round} left by its own queue");
            used.insert(queue);
        }
    }
    assert_eq!(used.len(), queues, "every queue carries some flow");
    let counters = tun.tx.counters();
    assert_eq!((counters.tx_frames, counters.tx_lost), (u64::from(FLOWS) * 3, 0));
    assert!(counters.rx_frames >= u64::from(FLOWS) * 4, "one set of counters for all queues: {counters:?}");
}

pub(super) async fn attach_with_several_queues(offload: OffloadMode) {
    drop(tokio_tun::Tun::builder().name("multi1").queues(2).persist().build().unwrap());
    let open =
        |queues| TunConfig::new("multi1").mode(OpenMode::Attach).queues(queues).offload(offload).open();
    for queues in [3, 1, 16] {
        let device = open(queues).await.unwrap();
        assert_eq!((device.queues(), device.offloads().tso4), (queues, offload == OffloadMode::Require));
        let error = open(2).await.unwrap_err();
        assert!(matches!(error, TunError::Busy(_)), "one program has all queues: {error:?}");
    }
}

pub(super) async fn a_single_queue_device_has_no_more() {
    drop(tokio_tun::Tun::builder().name("single1").persist().build().unwrap());
    for offload in [OffloadMode::Off, OffloadMode::Auto, OffloadMode::Require] {
        let error = TunConfig::new("single1").queues(2).offload(offload).open().await.unwrap_err();
        assert!(matches!(error, TunError::OneQueue(_)), "{error:?}");
        assert!(error.to_string().contains("multi_queue"), "{error} says what to do");
    }
    assert_eq!(TunConfig::new("single1").open().await.unwrap().queues(), 1);
}

pub(super) async fn a_removed_link_ends_every_queue(offload: OffloadMode) {
    let mut tun = Tun::new(config("tun0").queues(2).offload(offload).open().await.unwrap());
    // With nothing left to read, so that only the removal can wake the readers.
    let quiet = Duration::from_millis(100);
    while timeout(quiet, tun.recv()).await.is_ok_and(|frames| frames.is_ok()) {}
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    let task = tokio::spawn(connection);
    let index = nix::net::if_::if_nametoindex("tun0").unwrap();
    handle.link().del(index).execute().await.unwrap();
    while !tun.rx.is_empty() {
        let read = async { while tun.recv().await.is_ok() {} };
        timeout(SOON, read).await.expect("the readers are told");
        tun.rx.remove(0);
    }
    for flow in [0, 1] {
        let sent = tun.send_udp_of(flow, STACK, SocketAddr::new(HOST, PORT), &[]);
        assert!(matches!(sent, Err(SendError::Closed(_))), "{sent:?}");
    }
    task.abort();
}
