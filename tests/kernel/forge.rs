//! Packets that no honest sender makes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netstack_wire::checksum::pseudo_header;
use netstack_wire::ip::IpHeader;
use netstack_wire::tcp::{self, TcpFlags, TcpHeader};
use netstack_wire::{Protocol, SeqNum};

use crate::pattern::Pattern;

/// A frame and what is wrong with it.
#[derive(Debug)]
pub(crate) struct Forgery {
    pub(crate) name: &'static str,
    pub(crate) frame: Vec<u8>,
}

/// Frames that a stack must drop, most of them dressed as part of the connection from `peer` to `stack`.
pub(crate) fn forgeries(peer: SocketAddr, stack: SocketAddr) -> Vec<Forgery> {
    let mut all = vec![
        Forgery { name: "one byte", frame: vec![0x45] },
        Forgery { name: "noise", frame: noise(700) },
        Forgery { name: "version 15", frame: edited(data(peer, stack), |frame| frame[0] |= 0xf0) },
        Forgery { name: "cut within the IP header", frame: cut(data(peer, stack), 12) },
        Forgery { name: "shorter than it says", frame: shortened(data(peer, stack)) },
        Forgery { name: "TCP header cut", frame: packet(peer.ip(), stack.ip(), &[0; 10]) },
        Forgery {
            name: "TCP checksum wrong",
            frame: with_segment(peer, stack, |segment| segment[16] ^= 0x55),
        },
        Forgery {
            name: "TCP data offset beyond the segment",
            frame: finished(peer, stack, |s| s[12] = 0xf0),
        },
        Forgery { name: "TCP data offset of 4", frame: finished(peer, stack, |s| s[12] = 0x40) },
        Forgery {
            name: "TCP option of length 0",
            frame: finished(peer, stack, |s| s[20..24].copy_from_slice(&[2, 0, 0, 0])),
        },
        Forgery {
            name: "TCP option beyond the header",
            frame: finished(peer, stack, |s| s[20..24].copy_from_slice(&[8, 10, 0, 0])),
        },
        Forgery { name: "land packet", frame: syn(stack, stack) },
    ];
    let sources: &[IpAddr] = match stack.ip() {
        IpAddr::V4(_) => {
            all.push(Forgery {
                name: "IPv4 header length of 4 words",
                frame: edited(data(peer, stack), |f| f[0] = 0x44),
            });
            all.push(Forgery {
                name: "IPv4 header checksum wrong",
                frame: edited(data(peer, stack), |f| f[10] ^= 0x55),
            });
            &[
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V4(Ipv4Addr::BROADCAST),
                IpAddr::V4(Ipv4Addr::new(192, 0, 2, 255)),
                IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)),
                IpAddr::V4(Ipv4Addr::LOCALHOST),
            ]
        }
        IpAddr::V6(_) => &[
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
        ],
    };
    for &source in sources {
        all.push(Forgery {
            name: "SYN from an impossible source",
            frame: syn(SocketAddr::new(source, 4000), stack),
        });
    }
    all
}

fn noise(len: usize) -> Vec<u8> {
    let mut frame = vec![0; len];
    Pattern::new(42).fill(&mut frame);
    // Version 0, so that it is not taken for IP by chance.
    frame[0] = 0;
    frame
}

fn edited(mut frame: Vec<u8>, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    edit(&mut frame);
    frame
}

fn cut(mut frame: Vec<u8>, len: usize) -> Vec<u8> {
    frame.truncate(len);
    frame
}

fn shortened(frame: Vec<u8>) -> Vec<u8> {
    let len = frame.len() - 5;
    cut(frame, len)
}

/// A plausible data segment from `src` to `dst`, with 4 octets of options and 11 of payload.
fn raw_segment(src: SocketAddr, dst: SocketAddr, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
    let header = TcpHeader {
        src_port: src.port(),
        dst_port: dst.port(),
        seq: SeqNum(0x1234_5678),
        ack: SeqNum(0x8765_4321),
        flags,
        window: 1000,
        urgent: 0,
        options: tcp::TcpOptions::default(),
    };
    let mut segment = vec![0; tcp::MIN_HEADER_LEN];
    header.emit(&mut segment);
    // Four NOPs, which an edit may turn into something worse.
    segment.extend_from_slice(&[1; 4]);
    segment[12] = 6 << 4;
    segment.extend_from_slice(payload);
    segment
}

fn set_checksum(src: SocketAddr, dst: SocketAddr, segment: &mut [u8]) {
    segment[tcp::CHECKSUM_OFFSET..][..2].fill(0);
    let mut sum = pseudo_header(src.ip(), dst.ip(), Protocol::TCP.0, segment.len() as u32);
    sum.add(segment);
    let sum = sum.finish();
    segment[tcp::CHECKSUM_OFFSET..][..2].copy_from_slice(&sum.to_be_bytes());
}

fn data(src: SocketAddr, dst: SocketAddr) -> Vec<u8> {
    with_segment(src, dst, |_| ())
}

/// A data segment edited after its checksum was made.
fn with_segment(src: SocketAddr, dst: SocketAddr, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut segment = raw_segment(src, dst, TcpFlags::ACK | TcpFlags::PSH, b"not for you");
    set_checksum(src, dst, &mut segment);
    edit(&mut segment);
    packet(src.ip(), dst.ip(), &segment)
}

/// A data segment edited before its checksum was made, so that the checksum holds.
fn finished(src: SocketAddr, dst: SocketAddr, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut segment = raw_segment(src, dst, TcpFlags::ACK | TcpFlags::PSH, b"not for you");
    edit(&mut segment);
    set_checksum(src, dst, &mut segment);
    packet(src.ip(), dst.ip(), &segment)
}

/// A SYN without options.
pub(crate) fn syn(src: SocketAddr, dst: SocketAddr) -> Vec<u8> {
    let mut segment = raw_segment(src, dst, TcpFlags::SYN, &[]);
    set_checksum(src, dst, &mut segment);
    packet(src.ip(), dst.ip(), &segment)
}

fn packet(src: IpAddr, dst: IpAddr, payload: &[u8]) -> Vec<u8> {
    let header = IpHeader::new(src, dst, Protocol::TCP, payload.len());
    let mut frame = vec![0; header.header_len()];
    header.emit(&mut frame);
    frame.extend_from_slice(payload);
    frame
}
