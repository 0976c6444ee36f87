use std::task::{Context, Poll, Waker};

use netstack_device::{Capabilities, Device, RxBatch, RxQueue, memory};
use netstack_wire::ip;

use super::*;
use crate::Stack;

const MTU: usize = 1280;

/// A stack whose device holds `depth` frames, and the other end of the device.
fn stack(depth: usize) -> (Stack, Box<dyn RxQueue>) {
    let caps = Capabilities::ip(MTU);
    let (here, there) = memory::pair_with_depth(caps.clone(), caps, depth);
    let builder = Stack::builder().device(here).seed_for_test(1);
    let builder = builder.address("192.0.2.1/24".parse().unwrap());
    let stack = builder.address("2001:db8::1/64".parse().unwrap()).build().unwrap();
    (stack, Box::new(there).split().unwrap().0.remove(0))
}

fn frames(queue: &mut dyn RxQueue) -> Vec<Bytes> {
    let mut batch = RxBatch::new();
    let mut frames = Vec::new();
    while let Poll::Ready(Ok(())) = queue.poll_recv(&mut Context::from_waker(Waker::noop()), &mut batch) {
        frames.extend(batch.drain().map(|frame| frame.data));
    }
    frames
}

fn outgoing(v6: bool) -> Outgoing {
    let (src, dst) = if v6 { ("2001:db8::1", "2001:db8::2") } else { ("192.0.2.1", "192.0.2.2") };
    Outgoing::new(src.parse().unwrap(), dst.parse().unwrap(), Protocol::UDP, 7)
}

/// A datagram that finds the device full goes on where it stopped, and comes out with every octet once.
#[tokio::test]
async fn fragments_go_on_where_the_device_was_full() {
    for v6 in [false, true] {
        let (stack, mut queue) = stack(3);
        let data: Vec<u8> = (0..20_000u32).map(|i| (i / 7) as u8).collect();
        // Slices of odd lengths, and an empty one.
        let payload: Vec<_> = data.chunks(1777).chain([&[][..]]).map(Bytes::copy_from_slice).collect();
        let mut turn = Turn::new();
        let mut sent = stack.inner.send_packet(0, &outgoing(v6), b"8 octets", &payload, &mut turn);
        let mut received = Vec::new();
        while let Err(SendPacketError::Partly(rest)) = sent {
            received.extend(frames(&mut *queue));
            sent = stack.inner.send_rest(rest, &mut turn);
        }
        assert!(sent.is_ok(), "{sent:?}");
        received.extend(frames(&mut *queue));
        let mut whole = Vec::new();
        for (n, frame) in received.iter().enumerate() {
            let packet = ip::parse(frame).unwrap();
            let fragment = packet.fragment.unwrap();
            assert_eq!(usize::from(fragment.offset), whole.len());
            assert_eq!(fragment.more, n + 1 < received.len());
            whole.extend_from_slice(packet.payload);
        }
        assert_eq!(whole, [&b"8 octets"[..], &data].concat());
        assert_eq!(stack.counters().tx_fragments, received.len() as u64);
        assert_eq!(stack.counters().tx_fragmented, 1);
    }
}

/// A device that is full from the start takes nothing: the caller has the whole datagram yet.
#[tokio::test]
async fn nothing_has_left_when_the_device_is_full() {
    let (stack, mut queue) = stack(1);
    let payload = [Bytes::from(vec![0; 3000])];
    let mut turn = Turn::new();
    stack.inner.send_packet(0, &outgoing(false), b"", &[], &mut turn).unwrap();
    let sent = stack.inner.send_packet(0, &outgoing(false), b"", &payload, &mut turn);
    assert!(matches!(sent, Err(SendPacketError::Full)), "{sent:?}");
    assert_eq!((frames(&mut *queue).len(), stack.counters().tx_fragmented), (1, 0));
}

/// What may not be cut is refused with the length that fits, and what fits leaves as it is.
#[tokio::test]
async fn what_may_not_be_cut_is_refused() {
    for (v6, header) in [(false, 20), (true, 40)] {
        let (stack, mut queue) = stack(8);
        let outgoing = Outgoing { dont_fragment: true, ..outgoing(v6) };
        for (len, fits) in [(MTU - header, true), (MTU - header + 1, false)] {
            let sent = stack.inner.send_packet(0, &outgoing, b"", &[vec![0; len].into()], &mut Turn::new());
            match sent {
                Err(SendPacketError::TooBig { mtu }) => assert_eq!((mtu, fits), (MTU, false)),
                sent => assert!(sent.is_ok() && fits, "{sent:?}"),
            }
        }
        let frames = frames(&mut *queue);
        let packet = ip::parse(&frames[0]).unwrap();
        assert_eq!((frames.len(), packet.total_len, packet.dont_fragment), (1, MTU, true));
        // No packet of either version can be longer.
        let longest = if v6 { 65_535 } else { 65_515 };
        let fragmented = Outgoing { dont_fragment: false, ..outgoing };
        let sent =
            stack.inner.send_packet(0, &fragmented, b"", &[vec![0; longest + 1].into()], &mut Turn::new());
        assert!(matches!(sent, Err(SendPacketError::TooBig { .. })), "{sent:?}");
    }
}

// req: R1122-6
#[tokio::test]
async fn a_hop_limit_of_0_is_never_sent() {
    let (stack, mut queue) = stack(8);
    for v6 in [false, true] {
        let outgoing = Outgoing { hop_limit: 0, ..outgoing(v6) };
        stack.inner.send_packet(0, &outgoing, b"", &[], &mut Turn::new()).unwrap();
        assert_eq!(ip::parse(&frames(&mut *queue)[0]).unwrap().hop_limit, 1);
    }
}
