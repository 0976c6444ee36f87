//! Several devices: which one a packet leaves by, and from which address.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

use crate::common::*;
use netstack_wire::tcp::TcpFlags;
use tokio::time::sleep;
use tokio_netstack::device::Capabilities;
use tokio_netstack::{IpNetwork, Stack, StackBuilder, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

/// The address of the second device.
const OTHER: &str = "198.51.100.1";

/// A stack on two devices, `192.0.2.1` and `198.51.100.1`, and the raw peers at their other ends.
fn two_devices(change: impl FnOnce(StackBuilder) -> StackBuilder) -> (Stack, Raw, Raw) {
    let (a, raw_a) = raw_device(Capabilities::ip(1500), 512);
    let (b, mut raw_b) = raw_device(Capabilities::ip(1400), 512);
    raw_b.local = addr("198.51.100.2", 40000);
    raw_b.remote = addr(OTHER, PORT);
    let builder = builder(a, 1).device(b).address(format!("{OTHER}/24").parse().unwrap());
    (change(builder).build().unwrap(), raw_a, raw_b)
}

/// Starts a connection and returns the source of its SYN, which has to come by `expected` and not by `other`.
async fn dial(stack: &Stack, from: Option<&str>, to: &str, expected: &mut Raw, other: &mut Raw) -> IpAddr {
    let connect = tokio::spawn({
        let (stack, from, to) = (stack.clone(), from.map(|ip| addr(ip, 0)), addr(to, 80));
        async move {
            match from {
                Some(from) => TcpStream::connect_from(&stack, from, to).await,
                None => TcpStream::connect(&stack, to).await,
            }
        }
    });
    let syn = expected.recv_within(TICK).await.unwrap_or_else(|| panic!("no SYN to {to} by this device"));
    assert!(syn.has(TcpFlags::SYN));
    other.silence(TICK).await;
    connect.abort();
    let _ = connect.await;
    syn.src
}

/// The longest prefix picks the device, and the device the address (R1122-5); what no prefix holds leaves by the first.
// req: R1122-5
#[tokio::test(start_paused = true)]
async fn routes_pick_the_device_and_the_address() {
    let (stack, mut a, mut b) = two_devices(|builder| {
        builder
            .route("203.0.113.0/24".parse().unwrap(), 1)
            .route("203.0.113.128/25".parse().unwrap(), 0)
            .route("198.51.100.200/32".parse().unwrap(), 0)
    });
    for (to, by_b, source) in [
        (CLIENT, false, SERVER),
        ("198.51.100.9", true, OTHER),
        ("198.51.100.200", false, SERVER),
        ("203.0.113.9", true, OTHER),
        ("203.0.113.200", false, SERVER),
        ("8.8.8.8", false, SERVER),
        ("2001:db8:77::1", false, "2001:db8::1"),
    ] {
        let (expected, other) = if by_b { (&mut b, &mut a) } else { (&mut a, &mut b) };
        assert_eq!(dial(&stack, None, to, expected, other).await, addr(source, 0).ip(), "to {to}");
    }
    // Bound to an address, by its device, but for where only the other one leads.
    assert_eq!(dial(&stack, Some(OTHER), "8.8.8.8", &mut b, &mut a).await, addr(OTHER, 0).ip());
    assert_eq!(dial(&stack, Some(SERVER), "8.8.8.8", &mut a, &mut b).await, addr(SERVER, 0).ip());
}

/// A default route takes what goes nowhere else, and without one there is an error that says what to do.
#[tokio::test(start_paused = true)]
async fn default_routes_come_and_go() {
    let (stack, mut a, mut b) = two_devices(|builder| builder.route(IpNetwork::ALL_V4, 1));
    let v6 = (IpNetwork::ALL_V6, 0);
    assert_eq!(stack.routes(), [(IpNetwork::ALL_V4, 1), v6], "none is implied beside it");
    dial(&stack, None, "8.8.8.8", &mut b, &mut a).await;
    stack.add_route("8.0.0.0/8".parse().unwrap(), 0).unwrap();
    dial(&stack, None, "8.8.8.8", &mut a, &mut b).await;
    stack.remove_route("8.0.0.0/8".parse().unwrap(), 0).unwrap();
    stack.remove_route(IpNetwork::ALL_V4, 1).unwrap();
    assert_eq!(stack.routes(), [v6]);
    let error = TcpStream::connect(&stack, addr("8.8.8.8", 80)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    assert!(error.to_string().contains("add_route"), "{error}");
    dial(&stack, None, CLIENT, &mut a, &mut b).await;
}

/// An accepted connection answers by the device that it came in by, whatever the routes say, before and after a change.
#[tokio::test(start_paused = true)]
async fn answers_leave_by_the_device_of_the_question() {
    // Everything is routed by the first device.
    let (stack, mut a, mut b) = two_devices(|builder| builder.route("198.51.100.0/24".parse().unwrap(), 0));
    let listener = TcpListener::bind(&stack, addr("0.0.0.0", PORT)).await.unwrap();
    b.open().await;
    let (stream, _) = listener.accept().await.unwrap();
    stream.try_write(b"one").unwrap();
    assert_eq!(&b.recv().await.payload[..], b"one");
    stack.add_route("198.51.100.2/32".parse().unwrap(), 0).unwrap();
    b.ack += 3;
    b.send(TcpFlags::ACK, b"");
    stream.try_write(b"two").unwrap();
    assert_eq!(&b.recv().await.payload[..], b"two");
    // So do resets.
    b.remote.set_port(81);
    b.send(TcpFlags::SYN, b"");
    assert!(b.recv().await.has(TcpFlags::RST));
    a.silence(TICK).await;
}

/// A connection that the stack opened goes where a new route leads, with its address.
#[tokio::test(start_paused = true)]
async fn an_opened_connection_follows_the_routes() {
    let (stack, mut a, mut b) = two_devices(|builder| builder);
    let connect = tokio::spawn({
        let stack = stack.clone();
        async move { TcpStream::connect_from(&stack, addr(SERVER, 0), addr("203.0.113.9", 80)).await }
    });
    a.local = addr("203.0.113.9", 80);
    a.accept().await;
    let stream = connect.await.unwrap().unwrap();
    stream.try_write(b"one").unwrap();
    assert_eq!(&a.recv().await.payload[..], b"one");
    // The address's own device does not lead there any more.
    stack.remove_route(IpNetwork::ALL_V4, 0).unwrap();
    stack.add_route("203.0.113.0/24".parse().unwrap(), 1).unwrap();
    a.ack += 3;
    a.send(TcpFlags::ACK, b"");
    sleep(TICK).await;
    stream.try_write(b"two").unwrap();
    let seen = b.recv().await;
    assert_eq!((&seen.payload[..], seen.src), (&b"two"[..], addr(SERVER, 0).ip()));
    a.silence(TICK).await;
    // Back again.
    stack.remove_route("203.0.113.0/24".parse().unwrap(), 1).unwrap();
    stream.try_write(b"three").unwrap();
    // With no way at all nothing leaves.
    a.silence(TICK).await;
    b.silence(TICK).await;
    stack.add_route("203.0.113.9/32".parse().unwrap(), 0).unwrap();
    assert!(a.recv().await.payload.starts_with(b"two"), "the oldest is sent again");
}

/// A description that makes no sense is refused with words.
#[tokio::test(start_paused = true)]
async fn build_refuses_impossible_routes() {
    let explain = |change: fn(StackBuilder) -> StackBuilder| -> io::Error {
        let (device, _raw) = raw_device(Capabilities::ip(1500), 4);
        change(builder(device, 1)).build().unwrap_err()
    };
    for (error, word) in [
        (explain(|builder| builder.route(IpNetwork::ALL_V4, 1)), "device 1"),
        (explain(|builder| builder.route(IpNetwork::ALL_V4, 0).route(IpNetwork::ALL_V4, 0)), "0.0.0.0/0"),
        (explain(|builder| builder.address("192.0.2.1/32".parse().unwrap())), "192.0.2.1"),
        (explain(|builder| builder.address("127.0.0.1/8".parse().unwrap())), "127.0.0.1"),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// All forms of broadcast are known: they open no connection and are no source (R1122-11).
// req: R1122-11
#[tokio::test(start_paused = true)]
async fn broadcasts_of_every_network_are_known() {
    let (stack, mut a, mut b) = two_devices(|builder| builder);
    let _listener = TcpListener::bind(&stack, addr("0.0.0.0", PORT)).await.unwrap();
    let groups = ["255.255.255.255", "192.0.2.255", "198.51.100.255", "224.0.0.1"];
    for group in groups {
        let error = TcpStream::connect(&stack, addr(group, 80)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{group}");
        assert!(TcpListener::bind(&stack, addr(group, 81)).await.is_err(), "{group}");
        let header = a.header(TcpFlags::SYN);
        for (src, dst) in [(CLIENT, group), (group, SERVER)] {
            a.send_packet(&segment(src.parse().unwrap(), dst.parse().unwrap(), &header, b""));
        }
    }
    a.silence(TICK).await;
    b.silence(TICK).await;
    let counters = stack.counters();
    assert_eq!((counters.drop_group, counters.drop_bad_source), (4, 4));
    // The broadcast address follows the address.
    stack.remove_address(addr(OTHER, 0).ip()).unwrap();
    a.send_packet(&segment(
        CLIENT.parse().unwrap(),
        "198.51.100.255".parse().unwrap(),
        &a.header(TcpFlags::SYN),
        b"",
    ));
    sleep(TICK).await;
    assert_eq!(stack.counters().drop_foreign, 1);
}
