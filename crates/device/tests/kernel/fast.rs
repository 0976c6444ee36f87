//! The fast path: readers that writers wake, super-segments that the kernel refuses.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use netstack_device::tun::{OffloadMode, OpenMode, TunConfig};
use netstack_device::{
    Checksum, Gso, GsoKind, HeadBuf, Meta, Offloads, RxBatch, SendError, Turn, TxFrame, segment,
};
use netstack_wire::ip::{self, IpHeader};
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::{Protocol, SeqNum, checksum};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{HOST, PORT, STACK, Tun, config};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// All datagrams that a reader whom writers have woken finds at once: epoll is not asked in between.
pub(super) async fn a_woken_reader_reads_until_nothing_is_left(offload: OffloadMode) {
    let mut tun = Tun::new(config("tun0").offload(offload).open().await.unwrap());
    let socket = std::net::UdpSocket::bind((HOST, 0)).unwrap();
    let to = socket.local_addr().unwrap();
    // More than a batch holds.
    const PACKETS: usize = 200;
    poll_fn(|_| {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let cx = &mut Context::from_waker(&waker);
        let mut batch = RxBatch::new();
        while tun.rx[0].poll_recv(cx, &mut batch).is_ready() {
            batch.clear();
        }
        let before = wakes.0.load(Relaxed);
        for _ in 0..PACKETS {
            socket.send_to(b"waits", (STACK, PORT)).unwrap();
        }
        for _ in 0..64 {
            tun.send_udp(STACK, to, &[Bytes::from_static(b"wakes")]).unwrap();
        }
        assert_eq!(wakes.0.load(Relaxed), before + 1, "one wake for a burst of writes");
        let mut read = 0;
        while tun.rx[0].poll_recv(cx, &mut batch).is_ready() {
            let frames = batch.drain();
            read += frames.filter(|f| ip::parse(&f.data).unwrap().protocol == Protocol::UDP).count();
        }
        assert_eq!(read, PACKETS);
        Poll::Ready(())
    })
    .await;
}

/// Text of `len` bytes to the kernel, to be cut into segments of `size`.
fn super_segment(len: usize, size: u16) -> (HeadBuf, Vec<Bytes>, Meta) {
    let header = TcpHeader {
        src_port: PORT,
        dst_port: 9,
        seq: SeqNum(1),
        ack: SeqNum(1),
        flags: TcpFlags::ACK,
        ..TcpHeader::default()
    };
    let mut head = HeadBuf::new();
    let ip = IpHeader::new(STACK, HOST, Protocol::TCP, header.header_len() + len);
    head.push(ip.header_len(), |buf| {
        ip.emit(buf);
    });
    head.push(header.header_len(), |buf| {
        header.emit(buf);
        let sum = checksum::pseudo_header(STACK, HOST, 6, (20 + len) as u32).fold();
        buf[16..18].copy_from_slice(&sum.to_be_bytes());
    });
    let gso = Gso { kind: GsoKind::Tcp4, size: NonZeroU16::new(size).unwrap(), ecn: false };
    let meta = Meta { checksum: Checksum::Partial { start: 20, offset: 16 }, gso: Some(gso) };
    (head, vec![Bytes::from(vec![0; len])], meta)
}

/// The kernel takes no super-segment that says 0xFFFF of its pieces, which stands for something else there.
pub(super) async fn a_refused_super_segment_ends_the_offer_of_them() {
    let tun = Tun::new(config("tun0").offload(OffloadMode::Require).open().await.unwrap());
    let send = |(mut head, payload, meta): (HeadBuf, Vec<Bytes>, Meta)| {
        let frame = TxFrame { head: &mut head, payload: &payload, meta, flow: 0 };
        tun.tx.try_send(frame, &mut Turn::new())
    };
    let refused = |result| matches!(result, Err(SendError::Offload));
    send(super_segment(3000, 1000)).unwrap();
    let before = tun.tx.capabilities();
    assert!(before.tx.tso4);
    assert!(refused(send(super_segment(1000, u16::MAX))));
    let after = tun.tx.capabilities();
    let left = Offloads { checksum: true, uso: before.tx.uso, ..Offloads::NONE };
    assert_eq!(after.tx, left, "what is offered has shrunk, and super-datagrams are another matter");
    assert_eq!((after.rx, after.mtu, after.queues), (before.rx, before.mtu, before.queues));
    assert!(refused(send(super_segment(3000, 1000))), "none goes to the kernel any more");
    // Cut, it leaves.
    let (head, payload, meta) = super_segment(3000, 1000);
    let mut pieces = segment(head.as_slice(), payload, meta).unwrap();
    let (mut head, mut payload) = (HeadBuf::new(), Vec::new());
    while pieces.next_into(&mut head, &mut payload) {
        let frame = TxFrame { head: &mut head, payload: &payload, meta: Meta::default(), flow: 0 };
        tun.tx.try_send(frame, &mut Turn::new()).unwrap();
    }
    let counters = tun.tx.counters();
    assert_eq!((counters.tx_offload_refused, counters.tx_lost, counters.tx_frames), (2, 0, 4));
}

/// A device that outlives its users: one has it with offload, and the next without gets finished frames all the same.
pub(super) async fn plain_mode_gives_plain_frames_after_a_user_with_offload() {
    let IpAddr::V4(host) = HOST else { unreachable!("an address of IPv4") };
    let kept = tokio_tun::Tun::builder().name("multi2").queues(2).persist();
    drop(kept.address(host).netmask(Ipv4Addr::new(255, 255, 255, 0)).up().build().unwrap());
    let config = || TunConfig::new("multi2").mode(OpenMode::Attach);
    let socket = UdpSocket::bind((HOST, 0)).await.unwrap();
    for offload in [OffloadMode::Require, OffloadMode::Off] {
        let mut tun = Tun::new(config().offload(offload).open().await.unwrap());
        assert_eq!(tun.tx.capabilities().rx.any_segmentation(), offload == OffloadMode::Require);
        // The kernel takes its time to see that the device has a user again, and drops what is sent before.
        let payload = loop {
            socket.send_to(b"to the stack", (STACK, PORT)).await.unwrap();
            // It looks at the checksum.
            if let Ok((_, _, payload)) = timeout(Duration::from_millis(200), tun.recv_udp()).await {
                break payload;
            }
        };
        assert_eq!(payload[..], *b"to the stack");
        let unfinished = tun.tx.counters().rx_partial;
        assert_eq!(unfinished > 0, offload == OffloadMode::Require, "{unfinished} unfinished checksums");
    }
    drop(socket);
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    let task = tokio::spawn(connection);
    let index = nix::net::if_::if_nametoindex("multi2").unwrap();
    handle.link().del(index).execute().await.unwrap();
    task.abort();
}
