use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use netstack_wire::{ip, tcp};
use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::{Block, PcapNgReader};

use super::*;
use crate::Offloads;
use crate::memory::{pair, pair_with_depth};
use crate::testing::{conformance, packet};

/// A file in memory that many may look at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const IP: Capabilities = Capabilities::ip(1500);

#[tokio::test(start_paused = true)]
async fn a_captured_device_conforms() {
    conformance(|slots| {
        let (a, b) = pair_with_depth(IP.with_tx(Offloads::ALL), IP, slots);
        let capture = |device, name| Tee::new(device, name, io::sink()).unwrap();
        (Box::new(capture(a, "a")), Box::new(capture(b, "b")))
    })
    .await;
}

async fn recv(rx: &mut dyn RxQueue, frames: usize) {
    let mut batch = RxBatch::new();
    while batch.len() < frames {
        std::future::poll_fn(|cx| rx.poll_recv(cx, &mut batch)).await.unwrap();
    }
}

fn send(tx: &dyn TxQueue, payload: &[Bytes], mss: Option<NonZeroU16>) {
    let (mut head, meta) = packet::tcp(false, payload, mss);
    tx.try_send(TxFrame { head: &mut head, payload, meta, flow: 0 }, &mut Turn::new()).unwrap();
}

fn packets(file: &Shared) -> Vec<EnhancedPacketBlock<'static>> {
    let data = file.0.lock().unwrap().clone();
    let mut reader = PcapNgReader::new(&data[..]).unwrap();
    let mut packets = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap() {
            packets.push(packet.into_owned());
        }
    }
    let interface = &reader.interfaces()[0];
    assert_eq!(interface.linktype, DataLink::RAW);
    packets
}

#[tokio::test(start_paused = true)]
async fn shows_finished_packets_of_both_directions_with_their_times() {
    let file = Shared::default();
    let all = IP.with_tx(Offloads::ALL).with_rx(Offloads::ALL);
    let (device, peer) = pair(all.clone(), all);
    let captured = Tee::new(device, "memory0", file.clone()).unwrap();
    let (mut rx, tx) = Box::new(captured).split().unwrap();
    let (_peer_rx, peer_tx) = Box::new(peer).split().unwrap();
    let payload = [Bytes::from(vec![1; 2000]), Bytes::from(vec![2; 1001])];
    send(&*tx, &payload, NonZeroU16::new(1000));
    tokio::time::sleep(Duration::from_nanos(2_000_000)).await;
    send(&*peer_tx, &payload, NonZeroU16::new(1000));
    send(&*peer_tx, &payload[1..], None);
    recv(&mut *rx[0], 2).await;
    assert_eq!(tx.counters().capture_lost, 0);
    drop((rx, tx));

    let packets = packets(&file);
    let lengths: Vec<usize> = packets.iter().map(|p| p.data.len() - 52).collect();
    assert_eq!(lengths, [1000, 1000, 1000, 1, 1000, 1000, 1000, 1, 1001]);
    for packet in &packets {
        let ip = ip::parse(&packet.data).unwrap();
        assert!(tcp::checksum_ok(ip.src, ip.dst, ip.payload));
        assert_eq!(packet.original_len as usize, packet.data.len());
    }
    let directions: Vec<_> = packets.iter().map(|p| p.options.clone()).collect();
    let flags = |flags| vec![EnhancedPacketOption::Flags(flags)];
    assert_eq!(directions, [2, 2, 2, 2, 1, 1, 1, 1, 1].map(flags));
    assert_eq!(packets[4].timestamp - packets[0].timestamp, Duration::from_millis(2));
}

/// Writes some, then fails.
struct Failing(usize);

impl Write for Failing {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(data.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_error_of_the_writer_ends_the_capture_and_nothing_else() {
    let (device, peer) = pair(IP.with_tx(Offloads::ALL), IP);
    let (_rx, tx) = Box::new(Tee::new(device, "memory0", Failing(1000)).unwrap()).split().unwrap();
    let (mut rx, _tx) = Box::new(peer).split().unwrap();
    let payload = [Bytes::from(vec![1; 1000])];
    for sent in 1..=100 {
        send(&*tx, &payload, None);
        assert_eq!(tx.counters().tx_frames, sent);
        recv(&mut *rx[0], 1).await;
    }
    // The writer is a thread of its own: it counts when it gets to it.
    let counted = async {
        while tx.counters().capture_lost < 99 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), counted).await.expect("what was not recorded is counted");
    assert!(tx.counters().capture_lost <= 100);
}

/// Never comes back, until told.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_stuck_writer_holds_nothing_up_and_its_backlog_is_bounded() {
    let (release, stuck) = std::sync::mpsc::channel();
    let (device, peer) = pair(IP.with_tx(Offloads::ALL), IP.with_rx(Offloads::ALL));
    let (_rx, tx) = Box::new(Tee::new(device, "memory0", Stuck(stuck)).unwrap()).split().unwrap();
    let (mut rx, _tx) = Box::new(peer).split().unwrap();
    let payload = [Bytes::from(vec![1; 60_000])];
    for _ in 0..1000 {
        send(&*tx, &payload, NonZeroU16::new(1000));
        recv(&mut *rx[0], 1).await;
    }
    let counters = tx.counters();
    assert_eq!(counters.tx_frames, 1000);
    // 16 MiB are 278 frames of this size; one is with the writer.
    assert!((700..=730).contains(&counters.capture_lost), "{counters:?}");
    drop(release);
}
