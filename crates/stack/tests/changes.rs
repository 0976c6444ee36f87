//! Addresses, routes and devices that change under live connections.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

use crate::common::*;
use netstack_wire::Protocol;
use netstack_wire::icmp::IcmpMessage;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::device::memory::{self, MemoryDevice};
use tokio_netstack::device::{Capabilities, Offloads};
use tokio_netstack::{IpNetwork, TcpConfig, TcpListener, TcpStream, UdpSocket};

const TICK: Duration = Duration::from_millis(2);
const SECOND: Duration = Duration::from_secs(1);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A device and its raw peer.
fn device() -> (MemoryDevice, Raw) {
    raw_device(Capabilities::ip(1500), 512)
}

/// `raw` goes on where `before` was, at the other end of another device.
fn take_over(raw: &mut Raw, before: &Raw) {
    (raw.local, raw.remote) = (before.local, before.remote);
    (raw.seq, raw.ack, raw.window) = (before.seq, before.ack, before.window);
}

// ---- Addresses ----

/// A new address answers at once, an old one no more; its listener hears again when it is back.
#[tokio::test(start_paused = true)]
async fn addresses_come_and_go() {
    let (stack, mut raw) = raw_pair();
    let new = "198.51.100.1";
    let error = TcpListener::bind(&stack, addr(new, PORT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    stack.add_address(format!("{new}/24").parse().unwrap(), 0).unwrap();
    let listener = TcpListener::bind(&stack, addr(new, PORT)).await.unwrap();
    raw.remote = addr(new, PORT);
    raw.open().await;
    listener.accept().await.unwrap();
    stack.remove_address(ip(new)).unwrap();
    assert_eq!(stack.addresses().len(), 2);
    raw.local.set_port(40001);
    raw.seq += 7777;
    raw.ack = netstack_wire::SeqNum(0);
    let before = stack.counters().drop_foreign;
    raw.send(TcpFlags::SYN, b"");
    raw.silence(TICK).await;
    assert_eq!(stack.counters().drop_foreign - before, 1);
    assert!(TcpListener::bind(&stack, addr(new, PORT + 1)).await.is_err());
    stack.add_address(format!("{new}/32").parse().unwrap(), 0).unwrap();
    raw.local.set_port(40002);
    raw.open().await;
    timeout(TICK, listener.accept()).await.expect("it hears again").unwrap();
}

/// A connection whose address is gone says nothing under it any more (R1122-5), and goes on if it comes back.
// req: R1122-5
#[tokio::test(start_paused = true)]
async fn a_connection_waits_for_its_address() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stack.remove_address(ip(SERVER)).unwrap();
    stream.write_all(b"unheard").await.unwrap();
    raw.silence(5 * SECOND).await;
    stack.add_address(format!("{SERVER}/24").parse().unwrap(), 0).unwrap();
    let seen = raw.recv_within(10 * SECOND).await.expect("it is sent again");
    assert_eq!((&seen.payload[..], seen.src), (&b"unheard"[..], ip(SERVER)));
    raw.ack += 7;
    raw.send(TcpFlags::ACK, b"heard");
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
}

/// Without its address for too long, a connection times out as over any path that leads nowhere.
#[tokio::test(start_paused = true)]
async fn a_connection_without_its_address_times_out() {
    let mut tcp = TcpConfig::new();
    tcp.user_timeout(Some(30 * SECOND));
    let (stack, mut raw) = raw_pair_with(|builder| builder.tcp_config(tcp));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stack.remove_address(ip(SERVER)).unwrap();
    stream.write_all(b"unheard").await.unwrap();
    let error = timeout(60 * SECOND, stream.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    raw.silence(TICK).await;
    assert_eq!(stack.connection_count(), 0);
}

// ---- Devices ----

/// Replaces the device between a server and a client again and again, while bytes pass both ways.
async fn replaced_under_transfer(old: (Capabilities, usize), new: (Capabilities, usize)) {
    let (a, b) = memory::pair_with_depth(old.0.clone(), old.0, old.1);
    let (server, client) = (builder(a, 1).build().unwrap(), builder(b, 2).build().unwrap());
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let data = pattern(6_000_000);
    let mut transfers = Vec::new();
    for _ in 0..4 {
        let (client, data) = (client.clone(), data.clone());
        transfers.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
            let (mut reader, mut writer) = stream.split();
            let mut got = Vec::new();
            let write = async {
                // Little by little, so that there is always more to come.
                for part in data.chunks(60_000) {
                    writer.write_all(part).await.unwrap();
                    sleep(TICK).await;
                }
                writer.shutdown().await.unwrap();
            };
            let (read, ()) = tokio::join!(reader.read_to_end(&mut got), write);
            read.unwrap();
            assert!(got == data);
        }));
        let (mut stream, _) = listener.accept().await.unwrap();
        transfers.push(tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.shutdown().await.unwrap();
        }));
    }
    for _ in 0..3 {
        sleep(20 * TICK).await;
        let (a, b) = memory::pair_with_depth(new.0.clone(), new.0.clone(), new.1);
        // The other way round, one is without a peer for a moment.
        server.replace_device(0, a).unwrap();
        client.replace_device(0, b).unwrap();
    }
    for transfer in transfers {
        timeout(300 * SECOND, transfer).await.expect("nothing hangs").unwrap();
    }
    assert!(client.device_counters(0).unwrap().tx_frames > 0);
}

/// Connections live through the replacement of their device by one like it.
#[tokio::test(start_paused = true)]
async fn transfers_survive_a_replaced_device() {
    let caps = Capabilities::ip(1500);
    replaced_under_transfer((caps.clone(), 512), (caps, 512)).await;
}

/// One of four slots, where all stand in the device's queue of senders.
#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_slot_move_to_the_new_device() {
    let caps = Capabilities::ip(1500);
    replaced_under_transfer((caps.clone(), 4), (caps, 4)).await;
}

/// From a device with every offload to one with none and a smaller MTU, and back.
#[tokio::test(start_paused = true)]
async fn transfers_survive_other_offloads_and_another_mtu() {
    let full = Capabilities::ip(9000).with_tx(Offloads::ALL).with_rx(Offloads::ALL);
    replaced_under_transfer((full.clone(), 64), (Capabilities::ip(1300), 512)).await;
    replaced_under_transfer((Capabilities::ip(1300), 512), (full, 64)).await;
}

/// A sender that waits in the FIFO of a device that takes nothing is woken, and sends by the next.
#[tokio::test(start_paused = true)]
async fn a_stalled_device_is_replaced() {
    let (device, mut old) = raw_device(Capabilities::ip(1500), 4);
    let stack = builder(device, 1).build().unwrap();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    old.open().await;
    let (stream, _) = listener.accept().await.unwrap();
    // Nobody reads the old device: four frames, and the fifth waits.
    stream.try_write(&pattern(14_000)).unwrap();
    sleep(TICK).await;
    assert!(stack.device_counters(0).unwrap().tx_full > 0, "it waits");
    let (device, mut new) = raw_device(Capabilities::ip(1500), 64);
    stack.replace_device(0, device).unwrap();
    take_over(&mut new, &old);
    let first = new.recv_within(TICK).await.expect("it is woken at once");
    assert!(!first.payload.is_empty());
    // The old device is let go: its other end hears of it, after what it had.
    let mut left = 0;
    while old.rx_error(TICK).await.is_none() {
        left += 1;
        assert!(left < 10, "the old device is still held");
    }
}

/// A ping and a datagram that wait for a slot of a device leave by the one in its place; what is sent to a dead one is lost, and
/// no word of a stack that has stopped.
#[tokio::test(start_paused = true)]
async fn pings_and_datagrams_outlive_a_device() {
    let (device, old) = raw_device(Capabilities::ip(1500), 1);
    let stack = builder(device, 1).outlive_devices(true).build().unwrap();
    let socket = std::sync::Arc::new(UdpSocket::bind(&stack, addr(SERVER, PORT)).await.unwrap());
    socket.send_to(b"fills the device", addr(CLIENT, 9)).await.unwrap();
    let ping = tokio::spawn(stack.ping(ip(CLIENT)).timeout(10 * SECOND).send());
    sleep(TICK).await;
    let sending = tokio::spawn({
        let socket = std::sync::Arc::clone(&socket);
        async move { socket.send_to(b"waits", addr(CLIENT, 9)).await }
    });
    sleep(TICK).await;
    let (device, mut new) = raw_device(Capabilities::ip(1500), 1);
    stack.replace_device(0, device).unwrap();
    for _ in 0..2 {
        let packet = new.packet_within(TICK).await.expect("both leave");
        let seen = netstack_wire::ip::parse(&packet).unwrap();
        if seen.protocol == Protocol::ICMP
            && let IcmpMessage::EchoRequest { id, seq, data } = read_icmp(&seen)
        {
            new.send_packet(&icmp(CLIENT, SERVER, &IcmpMessage::EchoReply { id, seq, data }));
        }
    }
    assert_eq!(sending.await.unwrap().unwrap(), 5);
    ping.await.unwrap().unwrap();
    drop(old);
    // Nobody has noticed yet that this one is dead.
    drop(new);
    assert_eq!(socket.try_send_to(b"lost", addr(CLIENT, 9)).unwrap(), 4);
    let error = stack.ping(ip(CLIENT)).timeout(SECOND).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

/// With several devices the death of one ends no connection, not even its own ones; another takes its place.
#[tokio::test(start_paused = true)]
async fn one_device_of_two_dies() {
    let (a, mut raw_a) = device();
    let (b, mut raw_b) = device();
    let stack = builder(a, 1).device(b).address("198.51.100.1/24".parse().unwrap()).build().unwrap();
    let listener = TcpListener::bind(&stack, addr("0.0.0.0", PORT)).await.unwrap();
    raw_a.open().await;
    let (mut on_a, _) = listener.accept().await.unwrap();
    (raw_b.local, raw_b.remote) = (addr("198.51.100.2", 40000), addr("198.51.100.1", PORT));
    raw_b.open().await;
    let (mut on_b, _) = listener.accept().await.unwrap();
    let (device, mut new) = device();
    take_over(&mut new, &raw_a);
    drop(raw_a);
    let lost = timeout(TICK, stack.device_lost()).await.expect("it is told").unwrap();
    assert_eq!((lost.device, lost.error.kind()), (0, ErrorKind::UnexpectedEof));
    assert_eq!(stack.device_lost().await.unwrap().device, 0, "and told again");
    on_b.write_all(b"here").await.unwrap();
    assert_eq!(&raw_b.recv().await.payload[..], b"here");
    raw_b.ack += 4;
    raw_b.send(TcpFlags::ACK, b"");
    on_a.write_all(b"there").await.unwrap();
    raw_b.silence(SECOND).await;
    // Its routes do not count.
    let error = TcpStream::connect(&stack, addr(CLIENT, 80)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{error}");
    stack.replace_device(0, device).unwrap();
    assert!(timeout(SECOND, stack.device_lost()).await.is_err(), "none is lost any more");
    assert_eq!(&new.recv_within(10 * SECOND).await.expect("sent again").payload[..], b"there");
    new.ack += 5;
    new.send(TcpFlags::ACK, b"back");
    let mut text = [0; 4];
    on_a.read_exact(&mut text).await.unwrap();
}

/// The last device ends the sockets; with another one the stack runs again, and new ones are made.
#[tokio::test(start_paused = true)]
async fn the_last_device_dies_and_is_replaced() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    drop(raw);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::NetworkDown);
    assert_eq!(listener.accept().await.unwrap_err().kind(), ErrorKind::NetworkDown);
    let connect = TcpStream::connect(&stack, addr(CLIENT, 80)).await;
    assert_eq!(connect.unwrap_err().kind(), ErrorKind::NetworkDown);
    let lost = stack.device_lost().await.unwrap();
    let (device, mut raw) = device();
    stack.replace_device(lost.device, device).unwrap();
    drop(listener);
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    timeout(TICK, listener.accept()).await.unwrap().unwrap();
}

/// A stack that outlives its devices keeps listeners and connections until there is one again.
#[tokio::test(start_paused = true)]
async fn sockets_outlive_the_last_device() {
    let (stack, mut raw) = raw_pair_with(|builder| builder.outlive_devices(true));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let keeper = tokio::spawn({
        let stack = stack.clone();
        async move {
            let lost = stack.device_lost().await.unwrap();
            sleep(3 * SECOND).await;
            let (device, raw) = device();
            stack.replace_device(lost.device, device).unwrap();
            raw
        }
    });
    let (_device, mut new) = device();
    take_over(&mut new, &raw);
    drop(raw);
    sleep(TICK).await;
    stream.write_all(b"patience").await.unwrap();
    let mut raw = keeper.await.unwrap();
    take_over(&mut raw, &new);
    assert_eq!(&raw.recv_within(10 * SECOND).await.expect("sent again").payload[..], b"patience");
    raw.local.set_port(40009);
    (raw.seq, raw.ack) = (raw.seq + 9999, netstack_wire::SeqNum(0));
    raw.send(TcpFlags::SYN, b"");
    timeout(SECOND, async { while !raw.recv().await.has(TcpFlags::SYN | TcpFlags::ACK) {} })
        .await
        .expect("the listener is still there");
}

/// A device goes with its addresses and routes, another comes with an index of its own.
#[tokio::test(start_paused = true)]
async fn devices_are_added_and_removed() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr("0.0.0.0", PORT)).await.unwrap();
    let (b, mut raw_b) = device();
    let index = stack.add_device(b).unwrap();
    assert_eq!(index, 1);
    stack.add_address("198.51.100.1/24".parse().unwrap(), index).unwrap();
    stack.add_route("203.0.113.0/24".parse().unwrap(), index).unwrap();
    (raw_b.local, raw_b.remote) = (addr("198.51.100.2", 40000), addr("198.51.100.1", PORT));
    raw_b.open().await;
    let (stream, _) = listener.accept().await.unwrap();
    stack.remove_device(index).unwrap();
    assert_eq!(stack.addresses().len(), 2);
    assert!(!stack.routes().iter().any(|(_, device)| *device == index));
    // The connection is not sent another way.
    stream.try_write(b"lost").unwrap();
    raw.silence(SECOND).await;
    assert!(raw_b.rx_error(TICK).await.is_some(), "the device is let go, a connection or not");
    for error in [
        stack.remove_device(index).unwrap_err(),
        stack.replace_device(index, device().0).unwrap_err(),
        stack.set_mtu(index, 1400).unwrap_err(),
        stack.add_address("198.51.100.1/24".parse().unwrap(), index).unwrap_err(),
        stack.add_route(IpNetwork::ALL_V4, index).unwrap_err(),
        stack.add_route(IpNetwork::ALL_V4, 7).unwrap_err(),
        stack.replace_device(usize::from(u16::MAX), device().0).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    assert!(stack.device_counters(index).unwrap().tx_frames > 0, "its last word");
    assert_eq!(stack.add_device(device().0).unwrap(), 2, "no index is used twice");
    assert_eq!(stack.mtu(1), None);
    // Without any device the stack waits for the next.
    stack.remove_device(0).unwrap();
    stack.remove_device(2).unwrap();
    let (c, mut raw) = device();
    let index = stack.add_device(c).unwrap();
    stack.add_address("192.0.2.1/24".parse().unwrap(), index).unwrap();
    raw.open().await;
    listener.accept().await.unwrap();
}

/// What the new device cannot carry is refused, and the old one stays.
#[tokio::test(start_paused = true)]
async fn an_unfit_device_changes_nothing() {
    let (stack, mut raw) = raw_pair();
    let (small, _raw) = raw_device(Capabilities::ip(1279), 4);
    let error = stack.replace_device(0, small).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("1280"), "{error}");
    let (small, _raw_small) = raw_device(Capabilities::ip(1279), 4);
    let index = stack.add_device(small).unwrap();
    let error = stack.add_address("2001:db8:1::1/64".parse().unwrap(), index).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    listener.accept().await.unwrap();
}

/// A stack that was told to end takes no device, and tells those who wait for one to be lost.
#[tokio::test(start_paused = true)]
async fn a_stack_that_has_ended_takes_no_device() {
    let (stack, _raw) = raw_pair();
    let waiting = tokio::spawn({
        let stack = stack.clone();
        async move { stack.device_lost().await }
    });
    sleep(TICK).await;
    stack.shutdown().await;
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::NetworkDown);
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(stack.replace_device(0, device().0)), ErrorKind::NetworkDown);
    assert_eq!(kind(stack.add_device(device().0).map(|_| ())), ErrorKind::NetworkDown);
}

// ---- MTU ----

/// A lower MTU holds for segments from then on, a higher one up to what the device takes.
#[tokio::test(start_paused = true)]
async fn the_mtu_changes_under_a_connection() {
    let (stack, mut raw) = raw_pair();
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut longest = async |stream: &mut TcpStream| {
        stream.write_all(&pattern(20_000)).await.unwrap();
        let (mut left, mut longest) = (20_000, 0);
        while left > 0 {
            let seen = raw.recv().await;
            left -= seen.payload.len();
            longest = longest.max(seen.payload.len());
            raw.ack = seen.header.seq + seen.payload.len() as u32;
            raw.send(TcpFlags::ACK, b"");
        }
        longest
    };
    // The raw peer announces no MSS: 536.
    assert_eq!(longest(&mut stream).await, 536);
    stack.set_mtu(0, 400).unwrap_err();
    stack.remove_address(ip("2001:db8::1")).unwrap();
    stack.set_mtu(0, 400).unwrap();
    assert_eq!((stack.mtu(0), longest(&mut stream).await), (Some(400), 360));
    stack.set_mtu(0, 1500).unwrap();
    assert_eq!(longest(&mut stream).await, 536);
    for (mtu, word) in [(67, "68"), (1501, "1500")] {
        let error = stack.set_mtu(0, mtu).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// Two real stacks: the one that lowers its MTU keeps its promise both ways.
#[tokio::test(start_paused = true)]
async fn a_lower_mtu_loses_nothing() {
    let (server, client) = stacks();
    let (_listener, mut accepted, mut stream) = connected(&server, &client).await;
    for mtu in [1500, 1280, 1400, 1500] {
        client.set_mtu(0, mtu).unwrap();
        let data = pattern(500_000);
        let mut got = vec![0; data.len()];
        let (read, wrote) = tokio::join!(accepted.read_exact(&mut got), stream.write_all(&data));
        read.unwrap();
        wrote.unwrap();
        assert!(got == data);
        assert_eq!(stream.info().await.unwrap().mss as usize, mtu - 52, "timestamps take 12 octets");
    }
    assert_eq!(client.device_counters(0).unwrap().tx_lost, 0);
}
