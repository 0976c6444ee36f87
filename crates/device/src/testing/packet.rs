//! Packets for tests, between 192.0.2.2 and 192.0.2.1 or 2001:db8::2 and 2001:db8::1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use bytes::Bytes;
use netstack_wire::checksum::pseudo_header;
use netstack_wire::ip::IpHeader;
use netstack_wire::tcp::{TcpFlags, TcpHeader, TcpOptions, Timestamps};
use netstack_wire::{Protocol, SeqNum};

use crate::{Checksum, Gso, GsoKind, HeadBuf, Meta};

/// The addresses of sender and receiver.
pub fn addresses(v6: bool) -> (IpAddr, IpAddr) {
    if v6 {
        let address = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
        (address(2), address(1))
    } else {
        (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
    }
}

/// A finished UDP datagram over IPv4 of `len` bytes in all, at least 36, that carries a serial number.
pub fn datagram(serial: u64, len: usize) -> (HeadBuf, Bytes) {
    let mut payload = serial.to_be_bytes().to_vec();
    payload.resize(len - 28, serial as u8);
    let (src, dst) = addresses(false);
    let mut head = ip_head(src, dst, Protocol::UDP, 8 + payload.len());
    // UDP without a checksum, which IPv4 allows (RFC 768).
    let udp_len = (8 + payload.len()) as u16;
    head.push(8, |buf| buf.copy_from_slice(&[0x9c, 0x40, 0, 9, (udp_len >> 8) as u8, udp_len as u8, 0, 0]));
    (head, payload.into())
}

/// The serial number of a [`datagram`].
///
/// # Panics
/// If it is none.
pub fn serial(data: &[u8]) -> u64 {
    let bytes = data[28..36].try_into().expect("eight bytes were cut out");
    u64::from_be_bytes(bytes)
}

/// A TCP segment with a partial checksum and every flag that segmentation treats apart (FIN, PSH, CWR), and its
/// metadata; a super-segment if `mss` is given and the payload is longer.
pub fn tcp(v6: bool, payload: &[Bytes], mss: Option<NonZeroU16>) -> (HeadBuf, Meta) {
    let (src, dst) = addresses(v6);
    let len: usize = payload.iter().map(Bytes::len).sum();
    let tcp = TcpHeader {
        src_port: 40_000,
        dst_port: 9,
        seq: SeqNum(u32::MAX - 1000),
        ack: SeqNum(77),
        flags: TcpFlags::ACK | TcpFlags::PSH | TcpFlags::FIN | TcpFlags::CWR,
        window: 1000,
        urgent: 0,
        options: TcpOptions { timestamps: Some(Timestamps { val: 1, ecr: 2 }), ..TcpOptions::default() },
    };
    let tcp_len = tcp.header_len() + len;
    let mut head = ip_head(src, dst, Protocol::TCP, tcp_len);
    let start = head.len() as u16;
    head.push(tcp.header_len(), |buf| {
        tcp.emit(buf);
        let sum = pseudo_header(src, dst, 6, tcp_len as u32).fold();
        buf[16..18].copy_from_slice(&sum.to_be_bytes());
    });
    let kind = if v6 { GsoKind::Tcp6 } else { GsoKind::Tcp4 };
    let gso = mss.filter(|mss| len > usize::from(mss.get())).map(|size| Gso { kind, size, ecn: true });
    (head, Meta { checksum: Checksum::Partial { start, offset: 16 }, gso })
}

/// UDP datagrams of `size` bytes of data each with a partial checksum, and their metadata.
pub fn super_datagram(v6: bool, payload: &[Bytes], size: NonZeroU16) -> (HeadBuf, Meta) {
    let (src, dst) = addresses(v6);
    let len = 8 + payload.iter().map(Bytes::len).sum::<usize>();
    let mut head = ip_head(src, dst, Protocol::UDP, len);
    let start = head.len() as u16;
    head.push(8, |buf| {
        let sum = pseudo_header(src, dst, 17, len as u32).fold();
        for (at, word) in [40_000, 9, len as u16, sum].into_iter().enumerate() {
            buf[2 * at..2 * at + 2].copy_from_slice(&word.to_be_bytes());
        }
    });
    let gso = Some(Gso { kind: GsoKind::Udp, size, ecn: false });
    (head, Meta { checksum: Checksum::Partial { start, offset: 6 }, gso })
}

fn ip_head(src: IpAddr, dst: IpAddr, protocol: Protocol, payload_len: usize) -> HeadBuf {
    let mut head = HeadBuf::new();
    let n = IpHeader::new(src, dst, protocol, payload_len).emit(head.space());
    head.set_len(n);
    head
}
