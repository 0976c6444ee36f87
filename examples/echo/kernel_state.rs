//! The state of the kernel's own end of a connection, as the kernel tells it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// The kernel's state of the connection from `local` to `remote`, in RFC 9293's spelling.
///
/// `CLOSED` when the kernel knows no such connection, or cannot be asked.
pub(crate) fn kernel_state(local: SocketAddr, remote: SocketAddr) -> &'static str {
    match ask(local, remote) {
        Ok(state) => state,
        Err(_) => look_up(local, remote),
    }
    .unwrap_or("CLOSED")
}

// From the kernel's headers linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const ENOENT: i32 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// A netlink header, and the request for one socket behind it.
const HEADER_LEN: usize = 16;
const REQUEST_LEN: u32 = 72;

/// Asks for this one connection (`inet_diag_req_v2`). Reading the whole table takes the kernel milliseconds,
/// which would disturb what is being watched.
fn ask(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<&'static str>> {
    let mut socket =
        Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(Protocol::from(NETLINK_SOCK_DIAG)))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut request = Vec::with_capacity(REQUEST_LEN as usize);
    request.extend_from_slice(&REQUEST_LEN.to_ne_bytes());
    request.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and sender.
    request.extend_from_slice(&[0; 8]);
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    // No extensions, padding; all states.
    request.extend_from_slice(&[family, IPPROTO_TCP, 0, 0]);
    request.extend_from_slice(&u32::MAX.to_ne_bytes());
    request.extend_from_slice(&local.port().to_be_bytes());
    request.extend_from_slice(&remote.port().to_be_bytes());
    request.extend_from_slice(&octets(local.ip()));
    request.extend_from_slice(&octets(remote.ip()));
    // Any interface, any cookie.
    request.extend_from_slice(&[0; 4]);
    request.extend_from_slice(&[0xff; 8]);
    socket.write_all(&request)?;

    let mut answer = [0; 1024];
    let len = socket.read(&mut answer)?;
    let (header, body) = answer[..len].split_at_checked(HEADER_LEN).ok_or(io::ErrorKind::UnexpectedEof)?;
    match (u16::from_ne_bytes([header[4], header[5]]), body) {
        (SOCK_DIAG_BY_FAMILY, &[_, state, ..]) => Ok(name(state)),
        (NLMSG_ERROR, &[a, b, c, d, ..]) => match i32::from_ne_bytes([a, b, c, d]) {
            error if error == -ENOENT => Ok(None),
            error => Err(io::Error::from_raw_os_error(-error)),
        },
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&v4.octets());
            octets
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Looks for it in the kernel's table, for a kernel that does not answer such questions.
fn look_up(local: SocketAddr, remote: SocketAddr) -> Option<&'static str> {
    let path = if local.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let table = fs::read_to_string(path).ok()?;
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let ends = (parse_address(fields.next()?)?, parse_address(fields.next()?)?);
        if ends != (local, remote) {
            return None;
        }
        name(u8::from_str_radix(fields.next()?, 16).ok()?)
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
fn name(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "ESTABLISHED",
        2 => "SYN-SENT",
        3 | 12 => "SYN-RECEIVED",
        4 => "FIN-WAIT-1",
        5 => "FIN-WAIT-2",
        6 => "TIME-WAIT",
        7 => "CLOSED",
        8 => "CLOSE-WAIT",
        9 => "LAST-ACK",
        10 => "LISTEN",
        11 => "CLOSING",
        _ => return None,
    })
}
