//! The client: sockets of the kernel on one thread, the same for every server.

pub(super) mod bulk;
pub(super) mod crowd;
pub(super) mod turns;
pub(super) mod verify;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);

/// How long one of the first attempts to reach a server may take, and how many there are.
const ATTEMPT: Duration = Duration::from_millis(250);
const ATTEMPTS: usize = 40;

/// Connects to a server that has just started, again and again until it can be reached: the kernel lets a new veth pair
/// carry packets only after up to a second, and the measurement is not to begin with a lost SYN.
pub(super) async fn reach(server: SocketAddr) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        if let Ok(Ok(_)) = timeout(ATTEMPT, connect(server)).await {
            return Ok(());
        }
    }
    Err(io::Error::other(format!("cannot be reached in {:?}", ATTEMPT * ATTEMPTS as u32)))
}

/// A connection whose sending the kernel does by cubic. A namespace cannot make it its default everywhere, so each
/// socket is told, and asked.
async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    use_congestion(SockRef::from(&socket), "cubic")?;
    let stream = timeout(CONNECT, socket.connect(server)).await;
    let stream = stream.map_err(|_| io::Error::other(format!("no connection within {CONNECT:?}")))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sets the congestion control of a socket of the kernel, and checks.
pub(super) fn use_congestion(socket: SockRef<'_>, wanted: &str) -> io::Result<()> {
    socket.set_tcp_congestion(wanted.as_bytes())?;
    let name = socket.tcp_congestion()?;
    let name = String::from_utf8_lossy(&name);
    if name.trim_end_matches('\0') != wanted {
        return Err(io::Error::other(format!("congestion control is {name}, not {wanted}")));
    }
    Ok(())
}
