//! One line per segment, in the manner of tcpdump.

use core::fmt;
use core::net::IpAddr;

use super::{TcpFlags, TcpHeader, TcpOptions};

/// Prints a segment on one line.
///
/// ```
/// use netstack_wire::tcp::{Pretty, TcpFlags, TcpHeader};
///
/// let header = TcpHeader { src_port: 40_000, dst_port: 7, flags: TcpFlags::SYN, window: 64, ..TcpHeader::default() };
/// let line = Pretty { src: [192, 0, 2, 1].into(), dst: [192, 0, 2, 2].into(), header: &header, payload_len: 0 };
/// assert_eq!(line.to_string(), "IP 192.0.2.1.40000 > 192.0.2.2.7: Flags [S], seq 0, win 64, length 0");
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Pretty<'a> {
    /// Source address of the packet.
    pub src: IpAddr,
    /// Destination address of the packet.
    pub dst: IpAddr,
    /// The segment's header.
    pub header: &'a TcpHeader,
    /// Octets of payload.
    pub payload_len: usize,
}

impl fmt::Display for Pretty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header;
        let family = if self.src.is_ipv4() { "IP" } else { "IP6" };
        write!(f, "{family} {}.{} > {}.{}: ", self.src, header.src_port, self.dst, header.dst_port)?;
        write!(f, "Flags [{}]", header.flags)?;
        if self.payload_len > 0 {
            write!(f, ", seq {}:{}", header.seq, header.seq + self.payload_len as u32)?;
        } else if header.flags.intersects(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
            write!(f, ", seq {}", header.seq)?;
        }
        if header.flags.contains(TcpFlags::ACK) {
            write!(f, ", ack {}", header.ack)?;
        }
        write!(f, ", win {}", header.window)?;
        if header.flags.contains(TcpFlags::URG) {
            write!(f, ", urg {}", header.urgent)?;
        }
        if header.options != TcpOptions::default() {
            write!(f, ", options [{}]", header.options)?;
        }
        write!(f, ", length {}", self.payload_len)
    }
}

impl fmt::Display for TcpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut item = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>| {
            f.write_str(core::mem::replace(&mut separator, ","))?;
            f.write_fmt(text)
        };
        if let Some(mss) = self.mss {
            item(f, format_args!("mss {mss}"))?;
        }
        if self.sack_permitted {
            item(f, format_args!("sackOK"))?;
        }
        if let Some(timestamps) = self.timestamps {
            item(f, format_args!("TS val {} ecr {}", timestamps.val, timestamps.ecr))?;
        }
        if let Some(shift) = self.window_scale {
            item(f, format_args!("wscale {shift}"))?;
        }
        if let Some(cookie) = &self.fast_open {
            item(f, format_args!("tfo {} octets", cookie.as_slice().len()))?;
        }
        if let Some(timeout) = self.user_timeout {
            item(f, format_args!("uto {} s", timeout.as_secs()))?;
        }
        if !self.sack.is_empty() {
            item(f, format_args!("sack {} ", self.sack.len()))?;
            for block in self.sack.iter() {
                write!(f, "{{{}:{}}}", block.left, block.right)?;
            }
        }
        if let Some(counts) = &self.acc_ecn {
            item(f, format_args!("accecn {}", counts.counters().len()))?;
        }
        Ok(())
    }
}
