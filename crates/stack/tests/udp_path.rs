//! Path MTU discovery of datagrams: which reports count, and what is sent afterwards.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::*;
use bytes::Bytes;
use netstack_wire::ip;
use tokio_netstack::device::{Capabilities, Offloads};
use tokio_netstack::{MessageTooLong, SendMsg, Stack, UdpSocket};

const TICK: Duration = Duration::from_millis(2);

/// The stack's address, its peer's, and the octets of IP and UDP headers.
const FAMILIES: [(&str, &str, usize); 2] = [(SERVER, CLIENT, 28), ("2001:db8::1", "2001:db8::2", 48)];

fn on(offloads: Offloads) -> (Stack, Raw) {
    raw_pair_on(Capabilities::ip(1500).with_tx(offloads), 512, |device| builder(device, 1).build().unwrap())
}

async fn flight(raw: &mut Raw) -> Vec<Bytes> {
    let mut packets = Vec::new();
    while let Some(packet) = raw.packet_within(TICK).await {
        packets.push(packet);
    }
    packets
}

/// Sends a datagram that must not be cut, and gives its packet.
async fn probe(raw: &mut Raw, socket: &UdpSocket, to: SocketAddr, len: usize) -> Bytes {
    socket.set_dont_fragment(true).unwrap();
    socket.send_to(&pattern(len), to).await.unwrap();
    socket.set_dont_fragment(false).unwrap();
    let mut sent = flight(raw).await;
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

/// A report about a datagram that has left holds for its destination, whatever the socket: the application can ask, what fits
/// leaves whole, and what does not leaves in fragments or is refused, also where the device finishes or cuts datagrams.
// req: R8201-1, R8201-6, R8085-1, R8899-1, R8200-10
#[tokio::test(start_paused = true)]
async fn a_report_about_a_datagram_counts() {
    let checksum = Offloads { checksum: true, ..Offloads::NONE };
    for offloads in [Offloads::NONE, checksum, Offloads::ALL] {
        for (ours, theirs, headers) in FAMILIES {
            let (stack, mut raw) = on(offloads);
            let to = addr(theirs, PORT);
            let socket = UdpSocket::bind(&stack, addr(ours, 53)).await.unwrap();
            let sent = probe(&mut raw, &socket, to, 1500 - headers).await;
            raw.send_packet(&too_big(&sent, 1300));
            flight(&mut raw).await;
            assert_eq!(socket.path_mtu(to).unwrap(), 1300, "{offloads:?}");
            assert_eq!(socket.max_unfragmented(to).unwrap(), 1300 - headers);
            assert_eq!(stack.counters().rx_icmp_errors, 1);

            socket.send_to(&pattern(1400), to).await.unwrap();
            let sent = flight(&mut raw).await;
            let lengths: Vec<_> = sent.iter().map(Bytes::len).collect();
            assert!(lengths.len() == 2 && lengths[0] <= 1300, "{lengths:?} over {offloads:?}");
            assert!(sent.iter().all(|packet| ip::parse(packet).unwrap().fragment.is_some()));
            socket.set_dont_fragment(true).unwrap();
            let error = socket.send_to(&pattern(1400), to).await.unwrap_err();
            let max = error.get_ref().unwrap().downcast_ref::<MessageTooLong>().unwrap().max;
            assert_eq!(max, 1300 - headers);
            socket.set_dont_fragment(false).unwrap();

            // Three of 1400 in a batch leave in two fragments each; such that fit leave whole.
            let batch = SendMsg::new().to(to).segment_size(1400);
            socket.send_msg(&pattern(4200), &batch).await.unwrap();
            let sent = flight(&mut raw).await;
            assert_eq!(sent.len(), 6, "{offloads:?}");
            assert!(sent.iter().all(|packet| packet.len() <= 1300));
            socket.send_msg(&pattern(2400), &batch.segment_size(1200)).await.unwrap();
            let whole = flight(&mut raw).await;
            assert!(whole.iter().all(|packet| ip::parse(packet).unwrap().fragment.is_none()));
        }
    }
}

/// A path that becomes narrower while a batch waits for room: the rest leaves in fragments.
// req: R8085-1
#[tokio::test(start_paused = true)]
async fn a_batch_survives_a_path_that_shrinks() {
    let (stack, mut raw) = raw_pair_of_depth(4, |device| builder(device, 1).build().unwrap());
    let to = addr(CLIENT, PORT);
    let socket = std::sync::Arc::new(UdpSocket::bind(&stack, addr(SERVER, 53)).await.unwrap());
    let sending = tokio::spawn({
        let socket = std::sync::Arc::clone(&socket);
        async move { socket.send_msg(&pattern(12_000), &SendMsg::new().to(to).segment_size(1200)).await }
    });
    let first = raw.packet().await;
    raw.send_packet(&too_big(&first, 1000));
    let rest = flight(&mut raw).await;
    assert_eq!(sending.await.unwrap().unwrap(), 12_000);
    let in_pieces = rest.iter().filter(|packet| ip::parse(packet).unwrap().fragment.is_some()).count();
    assert!(in_pieces >= 4, "{in_pieces} of {}", rest.len());
}

/// Only what has left can be too big, and each report counts once; nothing falls below the floor.
// req: R8201-3, R8899-1, R1191-3, R1191-4
#[tokio::test(start_paused = true)]
async fn what_never_left_is_not_too_big() {
    let (stack, mut raw) = on(Offloads::NONE);
    let to = addr(CLIENT, PORT);
    let socket = UdpSocket::bind(&stack, addr(SERVER, 53)).await.unwrap();
    let sent = probe(&mut raw, &socket, to, 1472).await;
    // Another source port, another destination port, another length.
    for at in [21, 23, 25] {
        let mut forged = sent.to_vec();
        forged[at] ^= 1;
        raw.send_packet(&too_big(&forged, 600));
    }
    // Routers cut what they may.
    socket.send_to(&pattern(1471), to).await.unwrap();
    let may_be_cut = flight(&mut raw).await.remove(0);
    raw.send_packet(&too_big(&may_be_cut, 600));
    flight(&mut raw).await;
    assert_eq!((socket.path_mtu(to).unwrap(), stack.counters().rx_icmp_unmatched), (1500, 4));

    raw.send_packet(&too_big(&sent, 0));
    flight(&mut raw).await;
    assert_eq!(socket.path_mtu(to).unwrap(), 1492, "a router that does not say");
    raw.send_packet(&too_big(&sent, 600));
    flight(&mut raw).await;
    assert_eq!(socket.path_mtu(to).unwrap(), 1492, "it was heard of already");
    let again = probe(&mut raw, &socket, to, 1400).await;
    raw.send_packet(&too_big(&again, 68));
    flight(&mut raw).await;
    assert_eq!(socket.path_mtu(to).unwrap(), 552, "the floor");
}
