//! UDP sockets between two stacks.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::common::*;
use tokio::io::{Interest, ReadBuf};
use tokio::time::timeout;
use tokio_netstack::device::{self, Capabilities};
use tokio_netstack::{MessageTooLong, SendMsg, Stack, UdpConfig, UdpSocket};

const TICK: Duration = Duration::from_millis(5);

/// A socket of each stack, the client's connected to the server's.
async fn pair(server: &Stack, client: &Stack, ip: &str) -> (UdpSocket, UdpSocket) {
    let at = addr(ip, PORT);
    let any: IpAddr = if at.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let served = UdpSocket::bind(server, at).await.unwrap();
    let socket = UdpSocket::bind(client, (any, 0)).await.unwrap();
    socket.connect(at).await.unwrap();
    (served, socket)
}

fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// Every size that fits the MTU arrives whole and alone, in both families and both directions.
// req: R768-7
#[tokio::test(start_paused = true)]
async fn datagrams_keep_their_borders() {
    let (server, client) = stacks();
    for (ip, header) in [(SERVER, 28), ("2001:db8::1", 48)] {
        let (served, socket) = pair(&server, &client, ip).await;
        let sizes = [0, 1, 2, 511, 512, 1000, 1500 - header];
        for size in sizes {
            assert_eq!(socket.send(&pattern(size)).await.unwrap(), size);
        }
        let mut buf = vec![0xee; 65_536];
        for size in sizes {
            let (len, from) = served.recv_from(&mut buf).await.unwrap();
            assert_eq!((&buf[..len], from), (&pattern(size)[..], socket.local_addr().unwrap()));
            served.send_to(&buf[..len], from).await.unwrap();
        }
        for size in sizes {
            let len = socket.recv(&mut buf).await.unwrap();
            assert_eq!(buf[..len], pattern(size));
        }
        assert_eq!(kind(socket.try_recv(&mut buf)), ErrorKind::WouldBlock);
    }
}

/// A buffer that is too small loses the rest of its datagram and nothing of the next; `recv_msg` tells how much.
// req: R768-7
#[tokio::test(start_paused = true)]
async fn a_small_buffer_loses_the_rest_and_recv_msg_tells() {
    let (server, client) = stacks();
    let (served, socket) = pair(&server, &client, SERVER).await;
    for text in ["first", "second", "third", "fourth"] {
        socket.send(text.as_bytes()).await.unwrap();
    }
    let mut buf = [0; 3];
    assert_eq!(served.recv(&mut buf).await.unwrap(), 3);
    assert_eq!(&buf, b"fir");
    let msg = served.recv_msg(&mut buf).await.unwrap();
    assert_eq!((msg.len, msg.lost, msg.is_truncated(), &buf), (3, 3, true, b"sec"));
    let mut room = ReadBuf::new(&mut buf);
    poll_fn(|cx| served.poll_recv(cx, &mut room)).await.unwrap();
    assert_eq!(room.filled(), b"thi");
    let mut whole = Vec::new();
    assert_eq!(served.recv_buf(&mut whole).await.unwrap(), 6);
    assert_eq!(whole, b"fourth");
}

/// A socket on all addresses sees which one was written to, and answers from there.
// req: R768-6
#[tokio::test(start_paused = true)]
async fn the_address_written_to_is_seen_and_answers_come_from_it() {
    let caps = Capabilities::ip(1500);
    let (a, b) = device::memory::pair(caps.clone(), caps);
    let server = builder(a, 1).address("192.0.2.10/24".parse().unwrap()).build().unwrap();
    let client = builder(b, 2).build().unwrap();
    let served = UdpSocket::bind(&server, (Ipv4Addr::UNSPECIFIED, PORT)).await.unwrap();
    let socket = UdpSocket::bind(&client, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let mut buf = [0; 64];
    for ip in [SERVER, "192.0.2.10"] {
        let asked = addr(ip, PORT);
        socket.send_to(b"question", asked).await.unwrap();
        let query = served.recv_msg(&mut buf).await.unwrap();
        assert_eq!((query.to, query.lost, query.hop_limit), (asked, 0, 64));
        let answer = SendMsg::new().to(query.from).from(query.to.ip());
        served.send_msg(b"answer", &answer).await.unwrap();
        assert_eq!(socket.recv_from(&mut buf).await.unwrap(), (6, asked));
    }
    let foreign = SendMsg::new().to(addr(CLIENT, 1)).from([192, 0, 2, 99]);
    assert_eq!(kind(served.send_msg(b"x", &foreign).await), ErrorKind::AddrNotAvailable);
}

/// A connected socket hears its peer alone; others' datagrams go to the socket that takes anyone's.
#[tokio::test(start_paused = true)]
async fn a_connected_socket_hears_its_peer_alone() {
    let (server, client) = stacks();
    let mut config = UdpConfig::new();
    config.reuse_address(true);
    let anyone = UdpSocket::bind_with(&server, addr(SERVER, PORT), config.clone()).await.unwrap();
    let connected = UdpSocket::bind_with(&server, addr(SERVER, PORT), config).await.unwrap();
    let [a, b] = [addr(CLIENT, 1001), addr(CLIENT, 1002)];
    let (from_a, from_b) =
        (UdpSocket::bind(&client, a).await.unwrap(), UdpSocket::bind(&client, b).await.unwrap());
    connected.connect(a).await.unwrap();
    assert_eq!((connected.peer_addr().unwrap(), connected.local_addr().unwrap()), (a, addr(SERVER, PORT)));
    from_a.send_to(b"a", addr(SERVER, PORT)).await.unwrap();
    from_b.send_to(b"b", addr(SERVER, PORT)).await.unwrap();
    let mut buf = [0; 8];
    assert_eq!(connected.recv_from(&mut buf).await.unwrap(), (1, a));
    assert_eq!(anyone.recv_from(&mut buf).await.unwrap(), (1, b));
    assert!(timeout(TICK, connected.recv(&mut buf)).await.is_err());
    // Another peer, in the place of the first.
    connected.connect(b).await.unwrap();
    from_a.send_to(b"a", addr(SERVER, PORT)).await.unwrap();
    from_b.send_to(b"b", addr(SERVER, PORT)).await.unwrap();
    assert_eq!(connected.recv_from(&mut buf).await.unwrap(), (1, b));
    assert_eq!(anyone.recv_from(&mut buf).await.unwrap(), (1, a));
    drop(connected);
    from_b.send_to(b"b", addr(SERVER, PORT)).await.unwrap();
    assert_eq!(anyone.recv_from(&mut buf).await.unwrap(), (1, b));
}

/// Peeking leaves the datagram; readiness comes with it.
#[tokio::test(start_paused = true)]
async fn peeking_leaves_the_datagram() {
    let (server, client) = stacks();
    let (served, socket) = pair(&server, &client, SERVER).await;
    let from = socket.local_addr().unwrap();
    let mut buf = [0; 8];
    assert_eq!(kind(served.try_peek(&mut buf)), ErrorKind::WouldBlock);
    assert_eq!(
        served.ready(Interest::WRITABLE | Interest::READABLE).await.unwrap(),
        tokio::io::Ready::WRITABLE
    );
    assert!(timeout(TICK, served.readable()).await.is_err());
    socket.send(b"hello").await.unwrap();
    served.readable().await.unwrap();
    assert!(served.ready(Interest::READABLE).await.unwrap().is_readable());
    poll_fn(|cx| served.poll_recv_ready(cx)).await.unwrap();
    assert_eq!(served.peek_sender().await.unwrap(), from);
    assert_eq!(served.try_peek_from(&mut buf[..2]).unwrap(), (2, from));
    assert_eq!(served.peek(&mut buf).await.unwrap(), 5);
    let mut room = ReadBuf::new(&mut buf);
    assert_eq!(poll_fn(|cx| served.poll_peek_from(cx, &mut room)).await.unwrap(), from);
    assert_eq!(served.try_recv_from(&mut buf).unwrap(), (5, from));
    assert_eq!(kind(served.try_recv_msg(&mut buf)), ErrorKind::WouldBlock);
}

/// A receiver that is given up leaves the datagram to the next.
#[tokio::test(start_paused = true)]
async fn a_cancelled_receive_loses_nothing() {
    let (server, client) = stacks();
    let (served, socket) = pair(&server, &client, SERVER).await;
    let mut buf = [0; 8];
    for serial in 0..20u8 {
        assert!(timeout(TICK, served.recv(&mut buf)).await.is_err());
        socket.send(&[serial]).await.unwrap();
        // Woken and dropped before it is polled again.
        let mut cancelled = Box::pin(served.recv_from(&mut buf));
        let _ = poll_fn(|cx| std::task::Poll::Ready(cancelled.as_mut().poll(cx).is_ready())).await;
        drop(cancelled);
        tokio::time::sleep(TICK).await;
        if let Ok(received) = timeout(TICK, served.recv(&mut buf)).await {
            assert_eq!((received.unwrap(), buf[0]), (1, serial));
        } else {
            panic!("datagram {serial} is lost");
        }
    }
}

/// Two tasks that wait on one socket get a datagram each.
#[tokio::test(start_paused = true)]
async fn every_waiting_task_is_served() {
    let (server, client) = stacks();
    let (served, socket) = pair(&server, &client, SERVER).await;
    let served = Arc::new(served);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let served = Arc::clone(&served);
            tokio::spawn(async move {
                let mut buf = [0; 8];
                let len = served.recv(&mut buf).await.unwrap();
                buf[..len].to_vec()
            })
        })
        .collect();
    tokio::time::sleep(TICK).await;
    for serial in 0..4u8 {
        socket.send(&[serial]).await.unwrap();
    }
    let mut got = Vec::new();
    for task in tasks {
        got.extend(task.await.unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3]);
}

/// Who may be bound to what, together with whom.
#[tokio::test(start_paused = true)]
async fn ports_are_shared_only_by_consent() {
    let (server, _client) = stacks();
    let any = (Ipv4Addr::UNSPECIFIED, PORT);
    let first = UdpSocket::bind(&server, addr(SERVER, PORT)).await.unwrap();
    for taken in [addr(SERVER, PORT), any.into()] {
        assert_eq!(kind(UdpSocket::bind(&server, taken).await), ErrorKind::AddrInUse);
    }
    let mut sharing = UdpConfig::new();
    sharing.reuse_address(true);
    assert_eq!(kind(UdpSocket::bind_with(&server, any, sharing.clone()).await), ErrorKind::AddrInUse);
    // The other family has ports of its own.
    let v6 = UdpSocket::bind(&server, addr("2001:db8::1", PORT)).await.unwrap();
    drop((first, v6));
    let one = UdpSocket::bind_with(&server, any, sharing.clone()).await.unwrap();
    let two = UdpSocket::bind_with(&server, addr(SERVER, PORT), sharing).await.unwrap();
    assert_eq!(kind(UdpSocket::bind(&server, any).await), ErrorKind::AddrInUse);
    drop((one, two));
    UdpSocket::bind(&server, any).await.unwrap();
    assert_eq!(kind(UdpSocket::bind(&server, addr("192.0.2.99", PORT)).await), ErrorKind::AddrNotAvailable);
}

/// Ports that nobody asked for by number are far apart, in their range, and run out with an error.
// req: R8085-2
#[tokio::test(start_paused = true)]
async fn ephemeral_ports_are_unpredictable() {
    let (server, _client) = stacks();
    let mut ports = Vec::new();
    for _ in 0..64 {
        let socket = UdpSocket::bind(&server, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        ports.push(socket.local_addr().unwrap().port());
    }
    assert!(ports.iter().all(|port| *port >= 49_152));
    assert!(ports.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 100).count() < 8, "{ports:?}");
    let (a, _b) = device::memory::pair(Capabilities::ip(1500), Capabilities::ip(1500));
    let few = builder(a, 1).ephemeral_ports(2000..=2001).build().unwrap();
    let one = UdpSocket::bind(&few, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let two = UdpSocket::bind(&few, addr(SERVER, 0)).await.unwrap();
    assert_eq!(kind(UdpSocket::bind(&few, addr(SERVER, 0)).await), ErrorKind::AddrInUse);
    drop((one, two));
}

/// Calls that cannot succeed say why, and send nothing.
#[tokio::test(start_paused = true)]
async fn impossible_sends_are_refused() {
    let (server, client) = stacks();
    let socket = UdpSocket::bind(&client, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    assert_eq!(kind(socket.send(b"x").await), ErrorKind::NotConnected);
    assert_eq!(kind(socket.peer_addr()), ErrorKind::NotConnected);
    for target in [addr(SERVER, 0), addr("0.0.0.0", 7), addr("2001:db8::1", 7)] {
        assert_eq!(kind(socket.send_to(b"x", target).await), ErrorKind::InvalidInput, "{target}");
        assert_eq!(kind(socket.connect(target).await), ErrorKind::InvalidInput, "{target}");
    }
    let error = socket.send_to(&vec![0; 65_508], addr(SERVER, PORT)).await.unwrap_err();
    let inner = error.get_ref().unwrap().downcast_ref::<MessageTooLong>().unwrap();
    assert_eq!((error.kind(), inner.max), (ErrorKind::InvalidInput, 65_507));
    let mapped: SocketAddr = "[::ffff:192.0.2.1]:7".parse().unwrap();
    let served = UdpSocket::bind(&server, mapped).await.unwrap();
    assert_eq!(socket.send_to(b"mapped", mapped).await.unwrap(), 6);
    assert_eq!(served.recv(&mut [0; 8]).await.unwrap(), 6);
    assert_eq!(server.counters().rx_packets, 1);
}

/// A connected socket keeps its own end: an address that would be nearer by now changes nothing, and one that is gone is an error.
// req: R768-6, R1122-5
#[tokio::test(start_paused = true)]
async fn a_connected_socket_keeps_its_address() {
    let (stack, mut raw) = raw_pair();
    let (far, near) = (addr("198.51.100.9", PORT), "198.51.100.1");
    let socket = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, 53)).await.unwrap();
    socket.connect(far).await.unwrap();
    stack.add_address(format!("{near}/24").parse().unwrap(), 0).unwrap();
    let other = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, 54)).await.unwrap();
    for (socket, from) in [(&socket, addr(SERVER, 53)), (&other, addr(near, 54))] {
        socket.send_to(b"hello", far).await.unwrap();
        assert_eq!(udp::parse_datagram(&raw.packet().await).from, from);
    }
    assert_eq!(socket.local_addr().unwrap(), addr(SERVER, 53));
    raw.send_packet(&udp::datagram(far, addr(SERVER, 53), b"answer"));
    assert_eq!(socket.recv(&mut [0; 16]).await.unwrap(), 6);
    stack.remove_address(SERVER.parse().unwrap()).unwrap();
    assert_eq!(kind(socket.send(b"from nowhere").await), ErrorKind::AddrNotAvailable);
}

/// What does not fit the path is refused where fragments are forbidden, and the application can ask what fits.
// req: R8085-1
#[tokio::test(start_paused = true)]
async fn a_datagram_beyond_the_mtu_is_refused_where_fragments_are_forbidden() {
    let (server, client) = stacks();
    for (ip, most) in [(SERVER, 1472), ("2001:db8::1", 1452)] {
        let (served, socket) = pair(&server, &client, ip).await;
        let at = addr(ip, PORT);
        assert_eq!((socket.path_mtu(at).unwrap(), socket.max_unfragmented(at).unwrap()), (1500, most));
        socket.set_dont_fragment(true).unwrap();
        assert!(socket.dont_fragment().unwrap());
        let error = socket.send(&vec![1; most + 1]).await.unwrap_err();
        assert_eq!(error.get_ref().unwrap().downcast_ref::<MessageTooLong>().unwrap().max, most);
        assert_eq!(socket.send(&vec![1; most]).await.unwrap(), most);
        let mut buf = vec![0; 2000];
        assert_eq!(served.recv(&mut buf).await.unwrap(), most);
        assert!(timeout(TICK, served.recv(&mut buf)).await.is_err());
    }
}

/// Sockets fail with an error once the stack has stopped, after what had come is read.
#[tokio::test(start_paused = true)]
async fn a_stopped_stack_ends_its_sockets() {
    let (server, client) = stacks();
    let (served, socket) = pair(&server, &client, SERVER).await;
    socket.send(b"last").await.unwrap();
    served.readable().await.unwrap();
    let waiting = tokio::spawn(async move { socket.recv(&mut [0; 8]).await });
    tokio::time::sleep(TICK).await;
    server.shutdown().await;
    client.abort().await;
    assert_eq!(kind(waiting.await.unwrap()), ErrorKind::NetworkDown);
    let mut buf = [0; 8];
    assert_eq!(served.recv(&mut buf).await.unwrap(), 4);
    assert_eq!(kind(served.recv(&mut buf).await), ErrorKind::NetworkDown);
    assert_eq!(kind(served.send_to(b"x", addr(CLIENT, 1)).await), ErrorKind::NetworkDown);
    assert_eq!(kind(UdpSocket::bind(&server, addr(SERVER, 9)).await), ErrorKind::NetworkDown);
}

/// TTL and type of service are set for the socket, hop limit and ECN for a single datagram too, and the receiver sees them.
#[tokio::test(start_paused = true)]
async fn header_fields_are_as_they_are_set() {
    let (server, client) = stacks();
    for ip in [SERVER, "2001:db8::1"] {
        let (served, socket) = pair(&server, &client, ip).await;
        socket.set_ttl(9).unwrap();
        socket.set_tos(0xb9).unwrap();
        assert_eq!((socket.ttl().unwrap(), socket.tos().unwrap()), (9, 0xb9));
        socket.send(b"set").await.unwrap();
        let mut buf = [0; 8];
        let msg = served.recv_msg(&mut buf).await.unwrap();
        assert_eq!((msg.hop_limit, msg.ecn), (9, 1));
        socket.send_msg(b"said", &SendMsg::new().hop_limit(77).ecn(2)).await.unwrap();
        let msg = served.recv_msg(&mut buf).await.unwrap();
        assert_eq!((msg.hop_limit, msg.ecn), (77, 2));
    }
    let (served, _socket) = pair(&server, &client, SERVER).await;
    for out in [0, 256] {
        assert_eq!(kind(served.set_ttl(out)), ErrorKind::InvalidInput);
    }
    assert_eq!(kind(served.set_tos(256)), ErrorKind::InvalidInput);
}
