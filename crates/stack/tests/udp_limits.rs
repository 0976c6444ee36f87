//! What the sockets of a stack may take together.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::udp::*;
use crate::common::*;
use tokio_netstack::{UdpConfig, UdpSocket};

const TICK: Duration = Duration::from_millis(2);

/// There are so many sockets and no more; one that is dropped makes room.
// req: R8085-3
#[tokio::test(start_paused = true)]
async fn sockets_are_bounded() {
    let (stack, _raw) = raw_pair_with(|builder| builder.max_udp_sockets(3));
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(UdpSocket::bind(&stack, addr(SERVER, 0)).await.unwrap());
    }
    let error = UdpSocket::bind(&stack, addr(SERVER, 0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert!(error.to_string().contains("max_udp_sockets"), "{error}");
    sockets.pop();
    let last = UdpSocket::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    // An attempt that fails takes no place.
    drop(sockets.pop());
    assert_eq!(UdpSocket::bind(&stack, addr(SERVER, PORT)).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    UdpSocket::bind(&stack, addr(SERVER, 0)).await.unwrap();
    drop(last);
}

/// The queues of all sockets share a bound, whatever each of them may hold; what is read or dropped makes room.
// req: R8085-3
#[tokio::test(start_paused = true)]
async fn queues_share_a_bound() {
    let (stack, mut raw) = raw_pair_with(|builder| builder.udp_memory(20_000));
    let mut config = UdpConfig::new();
    config.recv_buffer(1 << 20);
    let mut sockets = Vec::new();
    for port in [1, 2] {
        sockets.push(UdpSocket::bind_with(&stack, addr(SERVER, port), config.clone()).await.unwrap());
    }
    let from = addr(CLIENT, 4000);
    let mut flood = |port, count| {
        (0..count).for_each(|_| raw.send_packet(&datagram(from, addr(SERVER, port), &[7; 1000])));
    };
    flood(1, 30);
    tokio::time::sleep(TICK).await;
    let dropped = stack.counters().drop_udp_queue_full;
    assert!((10..20).contains(&dropped), "{dropped}");
    assert!((15_000..=20_000).contains(&stack.udp_buffered()), "{}", stack.udp_buffered());
    flood(2, 1);
    tokio::time::sleep(TICK).await;
    assert_eq!(stack.counters().drop_udp_queue_full, dropped + 1, "nothing is left for the other");
    let mut buf = [0; 2000];
    for _ in 0..3 {
        assert_eq!(sockets[0].recv(&mut buf).await.unwrap(), 1000);
    }
    flood(2, 2);
    assert_eq!(sockets[1].recv(&mut buf).await.unwrap(), 1000);
    assert_eq!(stack.buffered(), 0, "connections have a budget of their own");
    sockets.clear();
    assert_eq!(stack.udp_buffered(), 0);
}
