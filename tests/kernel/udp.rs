//! The stack's UDP sockets against the kernel's.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_netstack::{SendMsg, UdpSocket};

use crate::cases::Family;
use crate::pattern::Pattern;
use crate::world::{CaseResult, Failure, World, ensure};

const PATIENCE: Duration = Duration::from_secs(2);

fn pattern(seed: usize, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    Pattern::new(seed as u64).fill(&mut data);
    data
}

/// The most data that a datagram carries in one packet of the device.
fn most_in_one(world: &World) -> usize {
    match world.family {
        Family::V4 => 1500 - 28,
        Family::V6 => 1500 - 48,
    }
}

/// A socket of the kernel that gives back what it receives.
async fn kernel_echo(world: &World) -> Result<SocketAddr, Failure> {
    kernel_echo_at(world, world.kernel_ip()).await
}

/// The same at an address of the kernel's.
pub(crate) async fn kernel_echo_at(world: &World, ip: IpAddr) -> Result<SocketAddr, Failure> {
    let socket = world.on_kernel(tokio::net::UdpSocket::bind(SocketAddr::new(ip, 0))).await??;
    let at = socket.local_addr()?;
    world.on_kernel(async move {
        let mut buf = vec![0; 65_536];
        while let Ok((len, peer)) = socket.recv_from(&mut buf).await {
            if socket.send_to(&buf[..len], peer).await.is_err() {
                break;
            }
        }
    });
    Ok(at)
}

/// Datagrams of `sizes` to the kernel and back.
async fn echo_of(world: &World, sizes: &[usize]) -> CaseResult {
    let echo = kernel_echo(world).await?;
    let socket = UdpSocket::bind(&world.stack, world.at_stack(0)).await?;
    socket.connect(echo).await?;
    let mut buf = vec![0; 65_536];
    for &size in sizes {
        let data = pattern(size, size);
        socket.send(&data).await?;
        let len = timeout(PATIENCE, socket.recv(&mut buf))
            .await
            .map_err(|_| format!("no echo of {size} octets"))??;
        ensure!(buf[..len] == data, "{size} octets came back as {len}, or changed");
    }
    Ok(())
}

/// Each size that fits a packet comes back from the kernel's socket as it was sent.
// req: R768-2, R768-7
pub(crate) async fn echo(world: Arc<World>) -> CaseResult {
    let most = most_in_one(&world);
    echo_of(&world, &[0, 1, 2, 3, 100, 511, 512, 513, 1000, most - 1, most]).await
}

/// Datagrams beyond the MTU, up to the longest of IPv4, go and come in fragments.
// req: R768-2, R768-7
pub(crate) async fn echo_in_fragments(world: Arc<World>) -> CaseResult {
    let most = most_in_one(&world);
    echo_of(&world, &[most + 1, most + 8, 2 * most, 9000, 32_768, 65_000, 65_506, 65_507]).await
}

/// What the stack says of its sockets holds for those of the kernel: each learns that the other's port is closed.
// req: R768-4, R768-5
pub(crate) async fn refused(world: Arc<World>) -> CaseResult {
    let socket = UdpSocket::bind(&world.stack, world.at_stack(0)).await?;
    socket.connect(SocketAddr::new(world.kernel_ip(), 9)).await?;
    socket.send(b"anybody?").await?;
    match timeout(PATIENCE, socket.recv(&mut [0; 8])).await? {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        other => return Err(format!("{other:?} instead of the kernel's refusal").into()),
    }

    let bound = UdpSocket::bind(&world.stack, world.at_stack(0)).await?;
    let target = bound.local_addr()?;
    let local: IpAddr = world.kernel_ip();
    let probe = world.on_kernel(async move {
        let socket = tokio::net::UdpSocket::bind((local, 0)).await?;
        socket.connect(target).await?;
        socket.send(b"somebody").await?;
        Ok::<_, std::io::Error>(socket)
    });
    let kernel = probe.await??;
    ensure!(timeout(PATIENCE, bound.recv(&mut [0; 16])).await?? == 8, "the bound port heard nothing");
    drop(bound);
    let probe = world.on_kernel(async move {
        kernel.send(b"anybody?").await?;
        kernel.recv(&mut [0; 8]).await
    });
    match timeout(PATIENCE, probe).await?? {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => Err(format!("{other:?} instead of the stack's refusal").into()),
    }
}

/// Datagrams that are sent in one call arrive one by one at the kernel's socket.
pub(crate) async fn batch(world: Arc<World>) -> CaseResult {
    let at = SocketAddr::new(world.kernel_ip(), 0);
    let kernel = world.on_kernel(tokio::net::UdpSocket::bind(at)).await??;
    let to = kernel.local_addr()?;
    let socket = UdpSocket::bind(&world.stack, world.at_stack(0)).await?;
    let data = pattern(7, 20 * 1200 + 34);
    socket.send_msg(&data, &SendMsg::new().to(to).segment_size(1200)).await?;
    let received = world.on_kernel(async move {
        let mut datagrams = Vec::new();
        let mut buf = vec![0; 65_536];
        while datagrams.len() < 21 {
            let Ok(received) = timeout(PATIENCE, kernel.recv(&mut buf)).await else { break };
            datagrams.push(buf[..received?].to_vec());
        }
        Ok::<_, std::io::Error>(datagrams)
    });
    let received = received.await??;
    let expected: Vec<_> = data.chunks(1200).map(<[u8]>::to_vec).collect();
    ensure!(received == expected, "{} datagrams instead of {}", received.len(), expected.len());
    Ok(())
}

/// The kernel's batches arrive whole, whether it cuts them or the stack does, singly and as one.
pub(crate) async fn kernel_batch(world: Arc<World>) -> CaseResult {
    let socket = UdpSocket::bind(&world.stack, world.at_stack(0)).await?;
    let (target, local) = (socket.local_addr()?, world.kernel_ip());
    let data = pattern(8, 20 * 1200 + 34);
    let sent = data.clone();
    let send = move || {
        let kernel = std::net::UdpSocket::bind((local, 0))?;
        nix::sys::socket::setsockopt(&kernel, nix::sys::socket::sockopt::UdpGsoSegment, &1200)
            .map_err(std::io::Error::from)?;
        kernel.send_to(&sent, target)
    };
    world.kernel.spawn_blocking(send).await??;
    let mut received = Vec::new();
    let mut buf = vec![0; 65_536];
    let first = timeout(PATIENCE, socket.recv(&mut buf)).await??;
    received.push(buf[..first].to_vec());
    while received.len() < 21 {
        let batch = timeout(PATIENCE, socket.recv_batch(&mut buf)).await??;
        received.extend(buf[..batch.len].chunks(batch.segment_size).map(<[u8]>::to_vec));
    }
    let expected: Vec<_> = data.chunks(1200).map(<[u8]>::to_vec).collect();
    ensure!(received == expected, "{} datagrams instead of {}", received.len(), expected.len());
    Ok(())
}
