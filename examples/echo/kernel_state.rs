//! The state of the kernel's own end of a connection, read from the kernel.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The kernel's state of the connection from `local` to `remote`, in RFC 9293's spelling.
///
/// `CLOSED` when the kernel knows no such connection, or when its table cannot be read.
pub(crate) fn kernel_state(local: SocketAddr, remote: SocketAddr) -> &'static str {
    let path = if local.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    fs::read_to_string(path).ok().and_then(|table| find(&table, local, remote)).unwrap_or("CLOSED")
}

fn find(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<&'static str> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let ends = (parse_address(fields.next()?)?, parse_address(fields.next()?)?);
        if ends != (local, remote) {
            return None;
        }
        name(fields.next()?)
    })
}

/// An address is hexadecimal: words of 32 bits, each as it lies in memory, then the port.
fn parse_address(field: &str) -> Option<SocketAddr> {
    let (address, port) = field.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut octets = [0; 16];
    let words = address.len() / 8;
    for (word, out) in octets.chunks_exact_mut(4).take(words).enumerate() {
        let digits = address.get(word * 8..word * 8 + 8)?;
        out.copy_from_slice(&u32::from_str_radix(digits, 16).ok()?.to_ne_bytes());
    }
    let ip: IpAddr = match words {
        1 => Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into(),
        4 => Ipv6Addr::from(octets).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The numbers are those of the kernel's `tcp_states.h`.
fn name(number: &str) -> Option<&'static str> {
    Some(match number {
        "01" => "ESTABLISHED",
        "02" => "SYN-SENT",
        "03" | "0C" => "SYN-RECEIVED",
        "04" => "FIN-WAIT-1",
        "05" => "FIN-WAIT-2",
        "06" => "TIME-WAIT",
        "07" => "CLOSED",
        "08" => "CLOSE-WAIT",
        "09" => "LAST-ACK",
        "0A" => "LISTEN",
        "0B" => "CLOSING",
        _ => return None,
    })
}
