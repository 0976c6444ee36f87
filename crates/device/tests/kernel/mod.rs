//! The cases, run one after another on one runtime.

mod fast;
mod queues;

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use netstack_device::tun::{OffloadMode, OpenMode, TunConfig, TunDevice, TunError};
use netstack_device::{
    Checksum, Device, HeadBuf, Meta, Offloads, RxBatch, RxFrame, RxQueue, SendError, Turn, TxFrame, TxQueue,
    complete_checksum,
};
use netstack_wire::ip::{self, IpHeader};
use netstack_wire::{Protocol, checksum};
use rtnetlink::packet_route::link::LinkAttribute;
use tokio::net::UdpSocket;
use tokio::time::timeout;

const STACK: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const STACK6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));
const HOST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const PORT: u16 = 9000;
const SOON: Duration = Duration::from_secs(10);

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let node = runtime.block_on(TunConfig::new("probe").open());
    if let Err(error @ (TunError::NoNode | TunError::NodePermission)) = node {
        println!("skipped: {error}");
        return;
    }
    drop(node.unwrap());
    let run = |name, case: Pin<Box<dyn Future<Output = ()>>>| {
        let limited = async { timeout(6 * SOON, case).await.unwrap_or_else(|_| panic!("{name}: hangs")) };
        runtime.block_on(limited);
        println!("ok: {name}");
    };
    for offload in [OffloadMode::Off, OffloadMode::Require] {
        run("datagrams in both directions", Box::pin(datagrams_in_both_directions(offload)));
    }
    run("without offload where there is none", Box::pin(a_single_queue_device_is_plain_or_refused()));
    run("a frame in many slices", Box::pin(a_frame_in_many_slices()));
    run("a bad frame is lost and counted", Box::pin(a_bad_frame_is_lost_and_counted()));
    run("the configuration is in force", Box::pin(the_configuration_is_in_force()));
    run("the stack's network is routed in", Box::pin(the_network_of_the_stack_is_routed_in()));
    run("link down and up", Box::pin(link_down_and_up_loses_frames_only()));
    run("link removed", Box::pin(a_removed_link_ends_the_device()));
    run("device in use", Box::pin(a_device_in_use_is_named_as_such()));
    run("attach leaves the configuration alone", Box::pin(attach_leaves_the_configuration_alone()));
    run("attach to a multi-queue device", Box::pin(attach_to_a_multi_queue_device()));
    run("not a TUN device", Box::pin(what_is_not_a_tun_device_is_refused()));
    for offload in [OffloadMode::Off, OffloadMode::Require] {
        for n in [2, 4] {
            run("a flow keeps its queue", Box::pin(queues::a_flow_keeps_its_queue(n, offload)));
        }
        run(
            "several queues of a device that is there",
            Box::pin(queues::attach_with_several_queues(offload)),
        );
        run("link removed, several queues", Box::pin(queues::a_removed_link_ends_every_queue(offload)));
    }
    for offload in [OffloadMode::Off, OffloadMode::Require] {
        run("a woken reader", Box::pin(fast::a_woken_reader_reads_until_nothing_is_left(offload)));
    }
    run("a refused super-segment", Box::pin(fast::a_refused_super_segment_ends_the_offer_of_them()));
    run("plain after offload", Box::pin(fast::plain_mode_gives_plain_frames_after_a_user_with_offload()));
    run("several queues of a device with one", Box::pin(queues::a_single_queue_device_has_no_more()));
    run("bad configurations", Box::pin(bad_configurations_are_refused_before_the_kernel_is_asked()));
}

struct Tun {
    rx: Vec<Box<dyn RxQueue>>,
    tx: Arc<dyn TxQueue>,
}

impl Tun {
    fn new(device: TunDevice) -> Self {
        let queues = device.queues();
        let (rx, tx) = Box::new(device).split().unwrap();
        assert_eq!((rx.len(), tx.capabilities().queues), (queues, queues));
        Self { rx, tx }
    }

    async fn recv(&mut self) -> io::Result<Vec<RxFrame>> {
        Ok(self.recv_on().await?.1)
    }

    /// Frames, and the queue that gave them.
    async fn recv_on(&mut self) -> io::Result<(usize, Vec<RxFrame>)> {
        let mut batch = RxBatch::new();
        let queue = poll_fn(|cx| {
            for (queue, rx) in self.rx.iter_mut().enumerate() {
                while let Poll::Ready(read) = rx.poll_recv(cx, &mut batch) {
                    read?;
                    if !batch.is_empty() {
                        return Poll::Ready(io::Result::Ok(queue));
                    }
                }
            }
            Poll::Pending
        });
        Ok((queue.await?, batch.drain().collect()))
    }

    /// The next UDP datagram, past what the kernel says by itself (IPv6 router solicitations).
    async fn recv_udp(&mut self) -> (IpAddr, SocketAddr, Bytes) {
        self.recv_udp_on().await.1
    }

    /// The same, with the queue that gave it.
    async fn recv_udp_on(&mut self) -> (usize, (IpAddr, SocketAddr, Bytes)) {
        let wait = async {
            loop {
                let (queue, frames) = self.recv_on().await.unwrap();
                for frame in frames {
                    let (mut data, mut meta) = (frame.data.to_vec(), frame.meta);
                    let offloaded = meta != Meta::default();
                    assert!(
                        !offloaded || self.tx.capabilities().rx.accept(meta),
                        "{meta:?} was never asked for"
                    );
                    complete_checksum(&mut data, &[], &mut meta).unwrap();
                    let packet = ip::parse(&data).unwrap();
                    if packet.protocol != Protocol::UDP {
                        continue;
                    }
                    let segment = packet.payload;
                    let mut sum = checksum::pseudo_header(packet.src, packet.dst, 17, segment.len() as u32);
                    sum.add(segment);
                    assert_eq!(
                        sum.finish(),
                        0,
                        "the checksum is finished, or finished from what the metadata says"
                    );
                    let port = u16::from_be_bytes([segment[0], segment[1]]);
                    let payload = Bytes::copy_from_slice(&segment[8..]);
                    return (queue, (packet.dst, SocketAddr::new(packet.src, port), payload));
                }
            }
        };
        timeout(SOON, wait).await.expect("a datagram of the kernel arrives")
    }

    fn send_udp(&self, src: IpAddr, dst: SocketAddr, payload: &[Bytes]) -> Result<(), SendError> {
        self.send_udp_of(0, src, dst, payload)
    }

    /// The same, as a part of this flow.
    fn send_udp_of(
        &self,
        flow: u32,
        src: IpAddr,
        dst: SocketAddr,
        payload: &[Bytes],
    ) -> Result<(), SendError> {
        let len: usize = payload.iter().map(Bytes::len).sum();
        let mut udp = [0; 8];
        udp[..2].copy_from_slice(&PORT.to_be_bytes());
        udp[2..4].copy_from_slice(&dst.port().to_be_bytes());
        udp[4..6].copy_from_slice(&(len as u16 + 8).to_be_bytes());
        let mut sum = checksum::pseudo_header(src, dst.ip(), 17, len as u32 + 8);
        let mut head = HeadBuf::new();
        let ip = IpHeader::new(src, dst.ip(), Protocol::UDP, len + 8);
        let n = ip.emit(head.space());
        head.set_len(n);
        let meta = if self.tx.capabilities().tx.checksum {
            udp[6..].copy_from_slice(&sum.fold().to_be_bytes());
            Meta { checksum: Checksum::Partial { start: n as u16, offset: 6 }, gso: None }
        } else {
            sum.add(&udp);
            payload.iter().for_each(|slice| sum.add(slice));
            udp[6..].copy_from_slice(&sum.finish().to_be_bytes());
            Meta::default()
        };
        assert!(head.extend_from_slice(&udp));
        self.tx.try_send(TxFrame { head: &mut head, payload, meta, flow }, &mut Turn::new())
    }
}

fn config(name: &str) -> TunConfig {
    TunConfig::new(name).address(STACK, 24).host_address(HOST, 24).address(STACK6, 64).host_address(HOST6, 64)
}

async fn open(name: &str) -> Tun {
    Tun::new(config(name).open().await.unwrap())
}

async fn datagrams_in_both_directions(offload: OffloadMode) {
    let mut tun = Tun::new(config("tun0").offload(offload).open().await.unwrap());
    let expected = offload == OffloadMode::Require;
    assert_eq!(tun.tx.capabilities().tx.tso4, expected);
    assert_eq!(tun.tx.capabilities().rx.checksum, expected);
    for (host, stack) in [(HOST, STACK), (HOST6, STACK6)] {
        let socket = UdpSocket::bind((host, 0)).await.unwrap();
        socket.send_to(b"to the stack", (stack, PORT)).await.unwrap();
        let (dst, from, payload) = tun.recv_udp().await;
        assert_eq!((dst, from, &payload[..]), (stack, socket.local_addr().unwrap(), &b"to the stack"[..]));
        tun.send_udp(stack, from, &[Bytes::from_static(b"to the kernel")]).unwrap();
        let mut buf = [0; 64];
        let (n, from) = timeout(SOON, socket.recv_from(&mut buf)).await.unwrap().unwrap();
        assert_eq!((&buf[..n], from), (&b"to the kernel"[..], SocketAddr::new(stack, PORT)));
    }
    let counters = tun.tx.counters();
    assert_eq!((counters.tx_frames, counters.tx_lost), (2, 0));
    assert!(counters.rx_frames >= 2);
    assert_eq!(counters.tx_partial, if expected { 2 } else { 0 });
    assert!(!expected || counters.rx_partial >= 2, "a local kernel leaves its checksums unfinished");
}

async fn a_single_queue_device_is_plain_or_refused() {
    drop(tokio_tun::Tun::builder().name("single0").persist().build().unwrap());
    let open = |offload| TunConfig::new("single0").offload(offload).open();
    let error = open(OffloadMode::Require).await.unwrap_err();
    assert!(matches!(error, TunError::NoOffload { .. }), "{error:?}");
    assert!(error.to_string().contains("multi_queue"), "{error} says what to do");
    assert_eq!(open(OffloadMode::Auto).await.unwrap().offloads(), Offloads::NONE);
}

async fn a_frame_in_many_slices() {
    let tun = open("tun0").await;
    let socket = UdpSocket::bind((HOST, 0)).await.unwrap();
    for slices in [0usize, 1, 63, 64, 65, 200] {
        let payload: Vec<Bytes> = (0..slices).map(|i| Bytes::from(vec![i as u8; 5])).collect();
        tun.send_udp(STACK, socket.local_addr().unwrap(), &payload).unwrap();
        let mut buf = [0; 2000];
        let (n, _) = timeout(SOON, socket.recv_from(&mut buf)).await.unwrap().unwrap();
        assert_eq!(buf[..n], payload.concat());
    }
}

async fn a_bad_frame_is_lost_and_counted() {
    let tun = open("tun0").await;
    let to = SocketAddr::new(HOST, PORT);
    let long = [Bytes::from(vec![0; 1500])];
    assert!(matches!(tun.send_udp(STACK, to, &long), Err(SendError::Lost(_))));
    // The kernel looks at the version nibble alone, and refuses this one.
    let mut head = HeadBuf::new();
    head.push(20, |buf| buf.fill(0));
    let frame = TxFrame { head: &mut head, payload: &[], meta: Meta::default(), flow: 0 };
    assert!(matches!(tun.tx.try_send(frame, &mut Turn::new()), Err(SendError::Lost(_))));
    assert_eq!(tun.tx.counters().tx_lost, 2);
    assert_eq!(tun.tx.counters().tx_frames, 0);
}

async fn link_attributes(name: &str) -> Vec<LinkAttribute> {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    let task = tokio::spawn(connection);
    let mut links = pin!(handle.link().get().match_name(name).execute());
    let link = poll_fn(|cx| links.as_mut().poll_next(cx)).await.unwrap().unwrap();
    task.abort();
    link.attributes
}

async fn the_configuration_is_in_force() {
    let device = config("tun0").mtu(1400).queue_len(2000).open().await.unwrap();
    assert_eq!((device.name(), device.mtu(), device.was_created()), ("tun0", 1400, true));
    let attributes = link_attributes("tun0").await;
    assert!(attributes.contains(&LinkAttribute::Mtu(1400)));
    assert!(attributes.contains(&LinkAttribute::TxQueueLen(2000)));
    assert_eq!(Tun::new(device).tx.capabilities().mtu, 1400);
}

async fn the_network_of_the_stack_is_routed_in() {
    let other: IpAddr = "203.0.113.7".parse().unwrap();
    let third: IpAddr = "198.51.100.9".parse().unwrap();
    let config = TunConfig::new("tun0")
        .host_address(HOST, 24)
        .address(other, 24)
        .route("198.51.100.0".parse().unwrap(), 24);
    let mut tun = Tun::new(config.open().await.unwrap());
    let socket = UdpSocket::bind((HOST, 0)).await.unwrap();
    for to in [other, third] {
        socket.send_to(b"x", (to, PORT)).await.unwrap();
        assert_eq!(tun.recv_udp().await.0, to);
    }
}

async fn link_down_and_up_loses_frames_only() {
    let mut tun = open("tun0").await;
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    let task = tokio::spawn(connection);
    let down = rtnetlink::LinkUnspec::new_with_name("tun0").down().build();
    handle.link().set(down).execute().await.unwrap();
    let to = SocketAddr::new(HOST, PORT);
    assert!(matches!(tun.send_udp(STACK, to, &[]), Err(SendError::Lost(_))), "EIO loses the frame");
    let read = async { while tun.recv().await.is_ok() {} };
    timeout(Duration::from_secs(5), read).await.expect_err("the reader waits");
    let up = rtnetlink::LinkUnspec::new_with_name("tun0").up().build();
    handle.link().set(up).execute().await.unwrap();
    let socket = UdpSocket::bind((HOST, 0)).await.unwrap();
    socket.send_to(b"again", (STACK, PORT)).await.unwrap();
    assert_eq!(&tun.recv_udp().await.2[..], b"again");
    tun.send_udp(STACK, socket.local_addr().unwrap(), &[Bytes::from_static(b"back")]).unwrap();
    let mut buf = [0; 16];
    assert_eq!(timeout(SOON, socket.recv(&mut buf)).await.unwrap().unwrap(), 4);
    let counters = tun.tx.counters();
    assert_eq!((counters.tx_lost, counters.tx_frames), (1, 1));
    assert!(counters.rx_errors < 20, "no spinning: {counters:?}");
    task.abort();
}

async fn a_removed_link_ends_the_device() {
    let mut tun = open("tun0").await;
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    let task = tokio::spawn(connection);
    let index = nix::net::if_::if_nametoindex("tun0").unwrap();
    // With nothing left to read, so that only the removal can wake the reader.
    let quiet = Duration::from_millis(100);
    while timeout(quiet, tun.recv()).await.is_ok_and(|frames| frames.is_ok()) {}
    handle.link().del(index).execute().await.unwrap();
    let read = async { while tun.recv().await.is_ok() {} };
    timeout(SOON, read).await.expect("the reader is told");
    let sent = tun.send_udp(STACK, SocketAddr::new(HOST, PORT), &[]);
    assert!(matches!(sent, Err(SendError::Closed(_))), "{sent:?}");
    task.abort();
}

async fn a_device_in_use_is_named_as_such() {
    let tun = open("tun0").await;
    let error = config("tun0").open().await.unwrap_err();
    assert!(matches!(error, TunError::Busy(_)), "{error:?}");
    assert!(error.to_string().contains("in use by another program"));
    let error = config("tun0").mode(OpenMode::Create).open().await.unwrap_err();
    assert!(matches!(error, TunError::Exists(_)), "{error:?}");
    drop(tun);
    let error = config("tun0").mode(OpenMode::Attach).open().await.unwrap_err();
    assert!(matches!(error, TunError::Missing(_)), "a device is gone with its last half: {error:?}");
}

async fn attach_leaves_the_configuration_alone() {
    drop(
        tokio_tun::Tun::builder()
            .name("kept0")
            .mtu(1350)
            .address(Ipv4Addr::new(192, 0, 2, 1))
            .up()
            .persist()
            .build(),
    );
    let before = link_attributes("kept0").await;
    let device = config("kept0").mtu(9000).queue_len(7).open().await.unwrap();
    assert_eq!((device.mtu(), device.was_created()), (1350, false));
    let after = link_attributes("kept0").await;
    let settings = |attributes: &[LinkAttribute]| {
        let of_interest =
            |a: &&LinkAttribute| matches!(a, LinkAttribute::Mtu(_) | LinkAttribute::TxQueueLen(_));
        attributes.iter().filter(of_interest).cloned().collect::<Vec<_>>()
    };
    assert_eq!(settings(&before).len(), 2);
    assert_eq!(settings(&before), settings(&after));
    drop(device);
    assert_eq!(
        settings(&link_attributes("kept0").await),
        settings(&before),
        "it outlives this program's use"
    );
}

async fn attach_to_a_multi_queue_device() {
    drop(tokio_tun::Tun::builder().name("multi0").queues(2).persist().build().unwrap());
    for (offload, expected) in
        [(OffloadMode::Auto, true), (OffloadMode::Off, false), (OffloadMode::Require, true)]
    {
        let config = TunConfig::new("multi0").mode(OpenMode::Attach).offload(offload);
        let device = config.open().await.unwrap();
        assert_eq!((device.name(), device.offloads().tso6), ("multi0", expected));
    }
}

async fn what_is_not_a_tun_device_is_refused() {
    drop(tokio_tun::Tun::builder().name("tap0").tap().persist().build().unwrap());
    for name in ["tap0", "lo"] {
        let error = TunConfig::new(name).open().await.unwrap_err();
        assert!(matches!(error, TunError::NotTun { .. }), "{error:?}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
    }
}

async fn bad_configurations_are_refused_before_the_kernel_is_asked() {
    for name in ["", "a-name-of-16-byt", "tün0", "a b", "a/b", "tun%d", ".."] {
        let error = TunConfig::new(name).open().await.unwrap_err();
        assert!(matches!(error, TunError::BadName { .. }), "{name:?}: {error:?}");
    }
    let bad = [
        config("tun0").queues(0),
        config("tun0").queues(17),
        config("tun0").mtu(67),
        config("tun0").mtu(65_536),
        config("tun0").mtu(1279),
        TunConfig::new("tun0").address(STACK, 33),
        TunConfig::new("tun0").host_address("224.0.0.1".parse().unwrap(), 24),
    ];
    for config in bad {
        let error = config.open().await.unwrap_err();
        assert!(matches!(error, TunError::BadConfig(_)), "{error:?}");
    }
}
