//! Segments that become one.

use std::net::IpAddr;
use std::num::NonZeroU16;

use bytes::Bytes;
use netstack_wire::checksum::{checksum, pseudo_header};
use netstack_wire::ip::{self, IpPacket};
use netstack_wire::{Protocol, tcp};

use crate::{Capabilities, Checksum, Gso, GsoKind, Meta, RxFrame};

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
const ECE: u8 = 0x40;
/// In the byte of the data offset: the flag AE of Accurate ECN.
const AE: u8 = 0x01;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// Offsets in a TCP header.
const OFFSET: usize = 12;
const FLAGS: usize = 13;
const CHECKSUM: usize = 16;
/// Payloads that room is made for at once: with an Ethernet MTU the most that a frame holds.
const MANY: usize = 45;

/// Addresses and ports.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    src: IpAddr,
    dst: IpAddr,
    ports: [u8; 4],
}

/// A segment that others may join, or that may join another: text, verified, plain IP header, of the flags ACK and perhaps
/// PSH, AE and ECE.
#[derive(Copy, Clone, Debug)]
struct Text {
    /// Bytes of the IP header, and of both headers.
    ip_len: usize,
    head_len: usize,
    push: bool,
}

/// A frame, and the segments that have joined it.
pub(super) struct Run {
    frame: RxFrame,
    flow: Option<Flow>,
    text: Option<Text>,
    /// Payloads that joined, and bytes of payload in all.
    more: Vec<Bytes>,
    len: usize,
    /// The IPv4 identification of the last segment, and how it goes on once there are two.
    id: u16,
    step: Option<u16>,
    /// Others may join.
    grows: bool,
}

impl Run {
    pub(super) fn new(mut frame: RxFrame) -> Self {
        let (flow, text) = look(&mut frame);
        let len = text.map_or(0, |text| frame.data.len() - text.head_len);
        let id = if text.is_some() { u16_at(&frame.data, 4) } else { 0 };
        let grows = text.is_some_and(|text| !text.push);
        Self { frame, flow, text, more: Vec::new(), len, id, step: None, grows }
    }

    /// The connection that it belongs to; `None` if it is no TCP segment.
    pub(super) fn flow(&self) -> Option<Flow> {
        self.flow
    }

    /// Whether it is of this flow, and others may join it.
    pub(super) fn grows(&self, flow: Flow) -> bool {
        self.grows && self.flow == Some(flow)
    }

    /// Takes in the next frame of its flow. If that does not fit, this one is at its end: the flow keeps its order.
    pub(super) fn join(&mut self, next: &Self) -> bool {
        let (Some(first), Some(text)) = (self.text, next.text) else {
            self.grows = false;
            return false;
        };
        let step = next.id.wrapping_sub(self.id);
        if !self.fits(first, next) || !self.takes_id(first, step) {
            self.grows = false;
            return false;
        }
        if self.more.is_empty() {
            self.more.reserve(MANY);
        }
        self.more.push(next.frame.data.slice(text.head_len..));
        self.step = Some(step);
        self.id = next.id;
        self.grows = next.len == self.frame.data.len() - first.head_len && !text.push;
        if text.push {
            self.text = Some(Text { push: true, ..first });
        }
        self.len += next.len;
        true
    }

    /// Whether `next` follows, with headers that are alike in all that does not change within a super-segment.
    fn fits(&self, first: Text, next: &Self) -> bool {
        let (a, b) = (&self.frame.data, &next.frame.data);
        let tcp = first.ip_len;
        let alike = |from: usize, to: usize| a[from..to] == b[from..to];
        let ip = if first.ip_len == IPV4_HEADER {
            // Version and length, DSCP and ECN; flags, TTL.
            alike(0, 2) && alike(6, 9)
        } else {
            // Version, DSCP, ECN, flow label; hop limit.
            alike(0, 4) && alike(7, 8)
        };
        ip && next.text.is_some_and(|text| text.head_len == first.head_len)
            && alike(tcp + 8, tcp + FLAGS)
            && (a[tcp + FLAGS] ^ b[tcp + FLAGS]) & !PSH == 0
            && alike(tcp + 14, tcp + CHECKSUM)
            && alike(tcp + 18, first.head_len)
            && u32_at(b, tcp + 4) == u32_at(a, tcp + 4).wrapping_add(self.len as u32)
            && next.len <= a.len() - first.head_len
            && first.head_len + self.len + next.len <= Capabilities::MAX_FRAME
    }

    /// Identifications go up by one; or stay, where DF makes them meaningless (RFC 6864).
    fn takes_id(&self, first: Text, step: u16) -> bool {
        let dont_fragment = self.frame.data[6] & 0x40 != 0;
        first.ip_len != IPV4_HEADER
            || match self.step {
                Some(before) => step == before,
                None => step == 1 || (step == 0 && dont_fragment),
            }
    }

    /// What it holds, as one frame.
    pub(super) fn into_frame(self) -> RxFrame {
        let (Some(text), Some(flow), false) = (self.text, self.flow, self.more.is_empty()) else {
            return self.frame;
        };
        let mut data = Vec::with_capacity(text.head_len + self.len);
        data.extend_from_slice(&self.frame.data);
        for payload in &self.more {
            data.extend_from_slice(payload);
        }
        let total = data.len();
        let size = self.frame.data.len() - text.head_len;
        // `fits` has checked that the whole is within 16 bits.
        let kind = if text.ip_len == IPV4_HEADER {
            put_u16(&mut data, 2, total as u16);
            put_u16(&mut data, 10, 0);
            let sum = checksum(&data[..IPV4_HEADER]);
            put_u16(&mut data, 10, sum);
            GsoKind::Tcp4
        } else {
            put_u16(&mut data, 4, (total - IPV6_HEADER) as u16);
            GsoKind::Tcp6
        };
        if text.push {
            data[text.ip_len + FLAGS] |= PSH;
        }
        // The parts were verified; the whole is left as the kernel leaves what never was on a wire.
        let len = (total - text.ip_len) as u32;
        let sum = pseudo_header(flow.src, flow.dst, Protocol::TCP.0, len).fold();
        put_u16(&mut data, text.ip_len + CHECKSUM, sum);
        let checksum = Checksum::Partial { start: text.ip_len as u16, offset: CHECKSUM as u16 };
        let gso = NonZeroU16::new(size as u16).map(|size| Gso { kind, size, ecn: false });
        RxFrame { data: data.into(), meta: Meta { checksum, gso }, at: self.frame.at }
    }
}

/// Tells the flow of a TCP segment, and whether it is of the kind that is put together. Notes in its metadata that its
/// checksum was found right.
fn look(frame: &mut RxFrame) -> (Option<Flow>, Option<Text>) {
    let Ok(packet) = ip::parse(&frame.data) else { return (None, None) };
    if packet.protocol != Protocol::TCP || packet.fragment.is_some() {
        return (None, None);
    }
    let Some(ports) = packet.payload.first_chunk::<4>() else { return (None, None) };
    let flow = Flow { src: packet.src, dst: packet.dst, ports: *ports };
    let text = text(&frame.data, &packet).filter(|_| frame.meta.gso.is_none());
    let verified = match frame.meta.checksum {
        Checksum::Complete => text.is_some() && tcp::checksum_ok(packet.src, packet.dst, packet.payload),
        Checksum::Trusted => true,
        Checksum::Partial { .. } => false,
    };
    if verified {
        frame.meta.checksum = Checksum::Trusted;
    }
    (Some(flow), text.filter(|_| verified))
}

/// The rules for one segment alone.
fn text(data: &[u8], packet: &IpPacket<'_>) -> Option<Text> {
    let tcp = packet.payload.first_chunk::<20>()?;
    let tcp_len = usize::from(tcp[OFFSET] >> 4) * 4;
    let ip_len = if packet.src.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
    let head_len = ip_len + tcp_len;
    let plain = packet.header_len == ip_len
        && packet.total_len == data.len()
        && tcp_len >= tcp.len()
        && tcp[OFFSET] & 0x0f & !AE == 0
        && tcp[FLAGS] & !(PSH | ECE) == ACK
        && head_len < data.len();
    plain.then_some(Text { ip_len, head_len, push: tcp[FLAGS] & PSH != 0 })
}

fn u16_at(data: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([data[at], data[at + 1]])
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
}

fn put_u16(data: &mut [u8], at: usize, value: u16) {
    data[at..at + 2].copy_from_slice(&value.to_be_bytes());
}
