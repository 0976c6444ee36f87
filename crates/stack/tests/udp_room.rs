//! Sending with a device that is full.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::common::udp::parse_datagram;
use crate::common::*;
use tokio::time::timeout;
use tokio_netstack::{Stack, UdpSocket};

const TICK: Duration = Duration::from_millis(5);
const DEPTH: usize = 4;

async fn full_device() -> (Stack, Raw, UdpSocket) {
    let (stack, raw) = raw_pair_of_depth(DEPTH, |device| builder(device, 1).build().unwrap());
    let socket = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    socket.connect(addr(CLIENT, PORT)).await.unwrap();
    for serial in 0..DEPTH as u8 {
        assert_eq!(socket.try_send(&[serial]).unwrap(), 1);
    }
    (stack, raw, socket)
}

async fn serial(raw: &mut Raw) -> u8 {
    parse_datagram(&raw.packet_within(TICK).await.expect("a datagram")).data[0]
}

/// `try_send` says that the device is full, `send` waits, and each datagram arrives once, in order.
#[tokio::test(start_paused = true)]
async fn a_full_device_makes_send_wait() {
    let (_stack, mut raw, socket) = full_device().await;
    assert_eq!(socket.try_send(&[99]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let socket = Arc::new(socket);
    let sender = tokio::spawn({
        let socket = Arc::clone(&socket);
        async move {
            for serial in 0..50u8 {
                socket.send(&[DEPTH as u8 + serial]).await.unwrap();
            }
        }
    });
    tokio::time::sleep(TICK).await;
    assert!(!sender.is_finished());
    for expected in 0..DEPTH as u8 + 50 {
        assert_eq!(serial(&mut raw).await, expected);
    }
    sender.await.unwrap();
    raw.quiet(TICK).await;
}

/// A send that is given up has no place in the device's queue any more: others go ahead, and the datagram is never sent.
#[tokio::test(start_paused = true)]
async fn a_cancelled_send_leaves_no_hole() {
    let (_stack, mut raw, socket) = full_device().await;
    for _ in 0..DEPTH + 1 {
        assert!(timeout(TICK, socket.send(&[99])).await.is_err());
    }
    for expected in 0..DEPTH as u8 {
        assert_eq!(serial(&mut raw).await, expected);
    }
    for serial in 0..DEPTH as u8 {
        assert_eq!(socket.try_send(&[serial]).unwrap(), 1);
    }
    for expected in 0..DEPTH as u8 {
        assert_eq!(serial(&mut raw).await, expected);
    }
    raw.quiet(TICK).await;
}

/// `writable` and `poll_send` wake once there is room, and the slot is then theirs.
#[tokio::test(start_paused = true)]
async fn pollers_are_woken_by_room() {
    let (_stack, mut raw, socket) = full_device().await;
    assert!(timeout(TICK, socket.writable()).await.is_err());
    let sent = Arc::new(AtomicUsize::new(0));
    let socket = Arc::new(socket);
    let task = tokio::spawn({
        let (socket, sent) = (Arc::clone(&socket), Arc::clone(&sent));
        async move {
            for serial in 0..20u8 {
                poll_fn(|cx| socket.poll_send(cx, &[DEPTH as u8 + 2 * serial])).await.unwrap();
                loop {
                    socket.writable().await.unwrap();
                    match socket.try_send(&[DEPTH as u8 + 2 * serial + 1]) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                        result => break assert_eq!(result.unwrap(), 1),
                    }
                }
                sent.fetch_add(2, Relaxed);
            }
        }
    });
    tokio::time::sleep(TICK).await;
    assert_eq!(sent.load(Relaxed), 0);
    for expected in 0..DEPTH as u8 + 40 {
        assert_eq!(serial(&mut raw).await, expected);
    }
    task.await.unwrap();
}

/// A poller that never comes back holds no slot for long: others have it.
#[tokio::test(start_paused = true)]
async fn a_poller_that_went_away_blocks_nobody() {
    let (stack, mut raw, socket) = full_device().await;
    let gone = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    gone.connect(addr(CLIENT, PORT)).await.unwrap();
    for _ in 0..2 {
        let polled = poll_fn(|cx| std::task::Poll::Ready(gone.poll_send(cx, &[99]).is_pending())).await;
        assert!(polled);
    }
    for expected in 0..DEPTH as u8 {
        assert_eq!(serial(&mut raw).await, expected);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    for serial in 0..DEPTH as u8 {
        assert_eq!(socket.try_send(&[serial]).unwrap(), 1, "slot {serial} is held for nobody");
    }
    assert_eq!(socket.try_send(&[0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Sockets that wait are served in turn.
#[tokio::test(start_paused = true)]
async fn waiting_sockets_are_served_in_turn() {
    let (stack, mut raw, _socket) = full_device().await;
    for id in 10..14u8 {
        let socket = UdpSocket::bind(&stack, (Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        tokio::spawn(async move {
            for _ in 0..25 {
                socket.send_to(&[id], addr(CLIENT, PORT)).await.unwrap();
            }
        });
        tokio::task::yield_now().await;
    }
    for expected in 0..DEPTH as u8 {
        assert_eq!(serial(&mut raw).await, expected);
    }
    let mut counts = [0i32; 4];
    for _ in 0..100 {
        counts[usize::from(serial(&mut raw).await - 10)] += 1;
        let most = counts.iter().max().unwrap() - counts.iter().min().unwrap();
        assert!(most <= 2 * DEPTH as i32, "{counts:?}");
    }
    assert_eq!(counts, [25; 4]);
}
