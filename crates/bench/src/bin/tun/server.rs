//! The services that the client measures by, the same over each system.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_netstack::Stack;

use crate::bench::RUNS;
use crate::client::use_cubic;

/// Takes bytes.
pub(crate) const DISCARD: u16 = 9;
/// Sends bytes.
pub(crate) const SOURCE: u16 = 19;
/// The first of the ports that give bytes back, two for each run.
pub(crate) const ECHO: u16 = 7000;

const CHUNK: usize = 256 << 10;

/// Connections that wait for `accept` at most.
const BACKLOG: u32 = 1024;

fn ports() -> impl Iterator<Item = u16> {
    [DISCARD, SOURCE].into_iter().chain(ECHO..ECHO + 2 * RUNS)
}

/// Starts the services of a stack.
pub(crate) async fn over_stack(stack: &Stack, address: IpAddr) -> io::Result<()> {
    for port in ports() {
        let listener = tokio_netstack::TcpListener::bind(stack, (address, port)).await?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    stream.set_nodelay(true)?;
                    serve(port, stream).await
                });
            }
        });
    }
    Ok(())
}

/// Starts the services of the kernel, sending by cubic.
pub(crate) fn over_kernel(address: IpAddr) -> io::Result<()> {
    for port in ports() {
        let socket = tokio::net::TcpSocket::new_v4()?;
        use_cubic(SockRef::from(&socket))?;
        socket.bind(SocketAddr::new(address, port))?;
        let listener = socket.listen(BACKLOG)?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    stream.set_nodelay(true)?;
                    serve(port, stream).await
                });
            }
        });
    }
    Ok(())
}

/// Serves one connection until the client leaves, which ends as an error where it leaves in the middle.
async fn serve(port: u16, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    match port {
        DISCARD => {
            let mut buffer = vec![0; CHUNK];
            while stream.read(&mut buffer).await? > 0 {}
        }
        SOURCE => {
            let data = vec![0x5a; CHUNK];
            loop {
                stream.write_all(&data).await?;
            }
        }
        _ => {
            let mut buffer = [0; 1024];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => break,
                    n => stream.write_all(&buffer[..n]).await?,
                }
            }
        }
    }
    Ok(())
}
