//! The state of the kernel's own end of a connection, as the kernel tells it.

use std::io;
use std::net::SocketAddr;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};
use nix::errno::Errno;
use procfs::net::TcpState;

/// The kernel's state of the connection from `local` to `remote`, in RFC 9293's spelling.
///
/// `CLOSED` when the kernel knows no such connection, or cannot be asked.
pub(crate) fn kernel_state(local: SocketAddr, remote: SocketAddr) -> &'static str {
    let state = ask(local, remote).unwrap_or_else(|_| look_up(local, remote));
    state.map_or("CLOSED", |state| name(&state))
}

/// Asks for this one connection. Reading the whole table takes the kernel milliseconds, which would disturb what is being
/// watched.
fn ask(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<TcpState>> {
    let socket_id = SocketId {
        source_port: local.port(),
        destination_port: remote.port(),
        source_address: local.ip(),
        destination_address: remote.ip(),
        interface_id: 0,
        // Whichever it is.
        cookie: [0xff; 8],
    };
    let request = SockDiagMessage::InetRequest(InetRequest {
        family: if local.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id,
    });
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.send(&octets, 0)?;
    // The kernel answers before `send` returns.
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
            Ok(TcpState::from_u8(found.header.state))
        }
        NetlinkPayload::Error(error) if error.raw_code() == -(Errno::ENOENT as i32) => Ok(None),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Looks for it in the kernel's table, for a kernel that does not answer such questions.
fn look_up(local: SocketAddr, remote: SocketAddr) -> Option<TcpState> {
    let table = if local.is_ipv4() { procfs::net::tcp() } else { procfs::net::tcp6() };
    let mut sockets = table.ok()?.into_iter();
    let found = sockets.find(|socket| (socket.local_address, socket.remote_address) == (local, remote));
    Some(found?.state)
}

fn name(state: &TcpState) -> &'static str {
    match state {
        TcpState::Established => "ESTABLISHED",
        TcpState::SynSent => "SYN-SENT",
        TcpState::SynRecv | TcpState::NewSynRecv => "SYN-RECEIVED",
        TcpState::FinWait1 => "FIN-WAIT-1",
        TcpState::FinWait2 => "FIN-WAIT-2",
        TcpState::TimeWait => "TIME-WAIT",
        TcpState::Close => "CLOSED",
        TcpState::CloseWait => "CLOSE-WAIT",
        TcpState::LastAck => "LAST-ACK",
        TcpState::Listen => "LISTEN",
        TcpState::Closing => "CLOSING",
    }
}
