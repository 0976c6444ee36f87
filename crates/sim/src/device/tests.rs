use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use netstack_device::{
    Checksum, Device, Gso, GsoKind, HeadBuf, Meta, RxBatch, RxFrame, RxQueue, SendError, Turn, TxFrame,
    TxQueue,
};
use netstack_wire::ip::{IpHeader, Protocol};
use tokio::time::Instant;

use super::{Wire, pair};
use crate::heap::Side;
use crate::{Jitter, LinkConfig, QueueLimit};

/// Sends `len` bytes of `fill` as one finished frame.
fn send(tx: &dyn TxQueue, len: usize, fill: u8) -> Result<(), SendError> {
    let mut head = HeadBuf::new();
    head.push(1, |buf| buf[0] = fill);
    let payload = [Bytes::from(vec![fill; len - 1])];
    let frame = TxFrame { head: &mut head, payload: &payload, meta: Meta::default(), flow: 0 };
    tx.try_send(frame, &mut Turn::default())
}

async fn receive(rx: &mut dyn RxQueue) -> Vec<RxFrame> {
    let mut batch = RxBatch::new();
    poll_fn(|cx| rx.poll_recv(cx, &mut batch)).await.unwrap();
    batch.drain().collect()
}

fn split(device: super::SimDevice) -> (Box<dyn RxQueue>, std::sync::Arc<dyn TxQueue>) {
    let (mut rx, tx) = Box::new(device).split().unwrap();
    (rx.remove(0), tx)
}

#[tokio::test(start_paused = true)]
async fn frames_carry_their_exact_arrival_time() {
    let mut path = LinkConfig::new();
    path.rate(1_000_000_000).delay(Duration::from_micros(300));
    let (a, b, _) = pair(1, 1500, &path, &path);
    let ((_, tx), (mut rx, _)) = (split(a), split(b));
    let start = Instant::now();
    for fill in 0..3 {
        send(&*tx, 1_500, fill).unwrap();
    }
    let frames = receive(&mut *rx).await;
    // The last was due at 336 us, the tick came at 1 ms.
    assert_eq!(frames.len(), 3);
    assert_eq!(Instant::now() - start, Duration::from_millis(1));
    for (i, frame) in frames.iter().enumerate() {
        assert_eq!(frame.at - start, Duration::from_micros(300 + 12 * (i as u64 + 1)));
        assert_eq!(frame.data, vec![i as u8; 1_500]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_sleeps_is_woken_by_a_frame_that_overtakes() {
    let mut path = LinkConfig::new();
    path.reorder(0.5, Duration::from_secs(100));
    let (a, b, wire) = pair(3, 1500, &path, &path);
    let ((_, tx), (mut rx, _)) = (split(a), split(b));
    // Send until one frame is held back and is all that is under way.
    while wire.stats(Side::A).held_back == 0 {
        send(&*tx, 100, 0).unwrap();
    }
    let sent = wire.stats(Side::A).offered;
    let mut received = 0;
    while received < sent - 1 {
        received += receive(&mut *rx).await.len() as u64;
    }
    let reader = tokio::spawn(async move { (receive(&mut *rx).await, rx) });
    tokio::task::yield_now().await;
    let start = Instant::now();
    while wire.stats(Side::A).held_back == wire.stats(Side::A).offered - sent + 1 {
        send(&*tx, 200, 7).unwrap();
    }
    let (frames, _rx) = reader.await.unwrap();
    assert!(frames.iter().any(|frame| frame.data.len() == 200));
    assert!(Instant::now() - start < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_super_segment_is_cut_before_the_link() {
    let mut path = LinkConfig::new();
    path.rate(1_000_000).queue(QueueLimit::Packets(100));
    let (a, b, wire) = pair(1, 1500, &path, &path);
    let ((_, tx), (mut rx, _)) = (split(a), split(b));
    let mut head = HeadBuf::new();
    let [src, dst] = [1, 2].map(|host| IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)));
    let ip = IpHeader::new(src, dst, Protocol::TCP, 20 + 3_000);
    head.push(20, |buf| {
        ip.emit(buf);
    });
    head.push(20, |buf| {
        buf.fill(0);
        buf[12] = 0x50;
        buf[13] = 0x18;
    });
    let meta = Meta {
        checksum: Checksum::Partial { start: 20, offset: 16 },
        gso: Some(Gso { kind: GsoKind::Tcp4, size: NonZeroU16::new(1_400).unwrap(), ecn: false }),
    };
    let payload = [Bytes::from(vec![1; 3_000])];
    tx.try_send(TxFrame { head: &mut head, payload: &payload, meta, flow: 0 }, &mut Turn::default()).unwrap();
    assert_eq!(wire.stats(Side::A).offered, 3);
    assert_eq!(tx.counters().tx_gso, 1);
    let mut lens = Vec::new();
    while lens.len() < 3 {
        for frame in receive(&mut *rx).await {
            let packet = netstack_wire::ip::parse(&frame.data).unwrap();
            assert!(netstack_wire::tcp::checksum_ok(packet.src, packet.dst, packet.payload));
            lens.push(frame.data.len());
        }
    }
    assert_eq!(lens, [1_440, 1_440, 240]);
}

#[tokio::test(start_paused = true)]
async fn a_packet_beyond_the_mtu_is_lost_and_counted() {
    let (a, b, wire) = pair(1, 1280, &LinkConfig::new(), &LinkConfig::new());
    let ((_, tx), _b) = (split(a), split(b));
    assert!(matches!(send(&*tx, 1_281, 0), Err(SendError::Lost(_))));
    assert_eq!(tx.counters().tx_lost, 1);
    assert_eq!(wire.stats(Side::A).offered, 0);
}

#[tokio::test(start_paused = true)]
async fn the_other_side_gone_is_silence() {
    let (a, b, wire) = pair(1, 1500, &LinkConfig::new(), &LinkConfig::new());
    let (mut rx, tx) = split(a);
    drop(split(b));
    send(&*tx, 100, 0).unwrap();
    assert_eq!(wire.stats(Side::A).offered, 1);
    assert!(tokio::time::timeout(Duration::from_secs(60), receive(&mut *rx)).await.is_err());
}

async fn noisy_run(seed: u64) -> Wire {
    let mut path = LinkConfig::new();
    path.rate(5_000_000).delay(Duration::from_millis(3)).jitter(Jitter::Reordering(Duration::from_millis(2)));
    path.loss(0.1).duplicate(0.1).queue(QueueLimit::Bytes(20_000));
    let (a, b, wire) = pair(seed, 1500, &path, &path);
    let ((mut rx_a, tx_a), (mut rx_b, tx_b)) = (split(a), split(b));
    let echo = tokio::spawn(async move {
        loop {
            for frame in receive(&mut *rx_b).await {
                send(&*tx_b, frame.data.len(), frame.data[0]).unwrap();
            }
        }
    });
    for i in 0..200u64 {
        send(&*tx_a, 60 + i as usize, i as u8).unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(i % 4), receive(&mut *rx_a)).await;
    }
    echo.abort();
    wire
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_trace() {
    let first = noisy_run(5).await;
    let second = noisy_run(5).await;
    let other = noisy_run(6).await;
    assert!(first.trace().packets() > 300);
    assert_eq!(first.trace(), second.trace());
    assert_ne!(first.trace(), other.trace());
    assert!(first.stats(Side::A).lost > 0 && first.stats(Side::A).duplicated > 0);
}
