//! The header of IFF_VNET_HDR (linux/virtio_net.h): how to finish a frame, in front of each.
//!
//! ```text
//! off  0 u8  flags        1: the checksum is partial, 2: it was verified
//!      1 u8  gso_type     0 none, 1 TCP over IPv4, 4 TCP over IPv6, 5 UDP; | 0x80 with CWR
//!      2 u16 hdr_len      bytes of all headers
//!      4 u16 gso_size     payload bytes per packet
//!      6 u16 csum_start   where summing starts
//!      8 u16 csum_offset  where the checksum lies behind that
//! ```
//!
//! Numbers are in the byte order of the machine.

use std::num::NonZeroU16;

use crate::{Checksum, Gso, GsoKind, Meta, Offloads};

/// Length of the header.
pub(super) const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

// TUN_F_* of linux/if_tun.h.
const OFFLOAD_CSUM: u32 = 0x01;
const OFFLOAD_TSO4: u32 = 0x02;
const OFFLOAD_TSO6: u32 = 0x04;
const OFFLOAD_TSO_ECN: u32 = 0x08;
const OFFLOAD_USO4: u32 = 0x20;
const OFFLOAD_USO6: u32 = 0x40;

/// What to ask the kernel for, the most first.
pub(super) const WISHES: [u32; 3] = [
    // Super-datagrams are known from Linux 6.2 on.
    OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_TSO_ECN | OFFLOAD_USO4 | OFFLOAD_USO6,
    OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_TSO_ECN,
    OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6,
];

/// What a granted wish means.
pub(super) fn offloads(mask: u32) -> Offloads {
    Offloads {
        checksum: mask & OFFLOAD_CSUM != 0,
        tso4: mask & OFFLOAD_TSO4 != 0,
        tso6: mask & OFFLOAD_TSO6 != 0,
        tso_ecn: mask & OFFLOAD_TSO_ECN != 0,
        uso: mask & OFFLOAD_USO4 != 0 && mask & OFFLOAD_USO6 != 0,
    }
}

/// Writes the header of a frame whose protocol headers are `head_len` bytes long.
pub(super) fn encode(meta: Meta, head_len: usize, out: &mut [u8]) {
    let (flags, start, offset) = match meta.checksum {
        Checksum::Partial { start, offset } => (NEEDS_CSUM, start, offset),
        Checksum::Complete | Checksum::Trusted => (0, 0, 0),
    };
    let (gso_type, size) = match meta.gso {
        Some(gso) => (kind_number(gso.kind) | if gso.ecn { GSO_ECN } else { 0 }, gso.size.get()),
        None => (GSO_NONE, 0),
    };
    out[0] = flags;
    out[1] = gso_type;
    // Headers of a frame fit a `HeadBuf`.
    for (at, value) in [(2, head_len as u16), (4, size), (6, start), (8, offset)] {
        out[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    }
}

/// Reads the header in front of `frame`; `None` if the two contradict each other.
pub(super) fn decode(header: &[u8; LEN], frame: &[u8]) -> Option<Meta> {
    let number = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let checksum = if header[0] & NEEDS_CSUM != 0 {
        let (start, offset) = (number(6), number(8));
        if usize::from(start) + usize::from(offset) + 2 > frame.len() {
            return None;
        }
        Checksum::Partial { start, offset }
    } else if header[0] & DATA_VALID != 0 {
        Checksum::Trusted
    } else {
        Checksum::Complete
    };
    let kind = match header[1] & !GSO_ECN {
        GSO_NONE => return Some(Meta { checksum, gso: None }),
        GSO_TCPV4 => GsoKind::Tcp4,
        GSO_TCPV6 => GsoKind::Tcp6,
        GSO_UDP_L4 => GsoKind::Udp,
        _ => return None,
    };
    let version = frame.first()? >> 4;
    let fits = match kind {
        GsoKind::Tcp4 => version == 4,
        GsoKind::Tcp6 => version == 6,
        GsoKind::Udp => true,
    };
    // What is not one packet of the wire has no checksum to verify.
    if !fits || checksum == Checksum::Complete {
        return None;
    }
    let size = NonZeroU16::new(number(4))?;
    Some(Meta { checksum, gso: Some(Gso { kind, size, ecn: header[1] & GSO_ECN != 0 }) })
}

fn kind_number(kind: GsoKind) -> u8 {
    match kind {
        GsoKind::Tcp4 => GSO_TCPV4,
        GsoKind::Tcp6 => GSO_TCPV6,
        GsoKind::Udp => GSO_UDP_L4,
    }
}

#[cfg(test)]
mod tests;
