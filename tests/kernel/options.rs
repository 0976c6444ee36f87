//! Options of a socket that show on the wire, as a packet socket of the kernel sees them.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::{Protocol, ip};
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, socket};
use tokio::net::{TcpListener as KernelListener, TcpStream as KernelStream};
use tokio::task::JoinHandle;
use tokio_netstack::TcpSocket;

use crate::cases::Family;
use crate::world::{CaseResult, Failure, World, ensure};

/// What a SYN shows of its sender's options.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    mss: Option<u16>,
    hop_limit: u8,
    dscp: u8,
    source: SocketAddr,
}

const MSS: u16 = 900;
const HOPS: u8 = 33;
/// Assured forwarding, class 1, low drop precedence.
const DSCP: u8 = 10;

/// The socket's port, MSS, TTL and type of service are on its SYN, and on the SYN-ACK of what it listens to; the kernel's
/// segments keep to the MSS.
// req: MUST-14, MUST-48, MUST-49
pub(crate) async fn of_a_socket(world: Arc<World>) -> CaseResult {
    let shown = |port| Shown {
        mss: Some(MSS),
        hop_limit: HOPS,
        dscp: DSCP,
        source: SocketAddr::new(world.stack_ip(), port),
    };
    let kernel = world.on_kernel(KernelListener::bind((world.kernel_ip(), 0))).await??;
    let target = kernel.local_addr()?;
    let seen = sniff(&world, TcpFlags::SYN)?;
    let client = make(&world)?;
    client.bind(world.at_stack(4321))?;
    let accepting = world.on_kernel(async move { kernel.accept().await });
    let stream = client.connect(target).await?;
    ensure!(stream.ttl()? == u32::from(HOPS) && stream.tos()? == u32::from(DSCP) << 2, "{stream:?}");
    let (accepted, peer) = accepting.await??;
    ensure!(peer == world.at_stack(4321), "the kernel accepted {peer}");
    let seen = seen.await??;
    ensure!(seen == shown(4321), "the SYN shows {seen:?}");
    // Less the timestamps.
    let mss = socket2::SockRef::from(&accepted).tcp_mss()?;
    ensure!(mss == u32::from(MSS) - 12, "the kernel sends segments of {mss}");

    let seen = sniff(&world, TcpFlags::SYN | TcpFlags::ACK)?;
    let server = make(&world)?;
    server.bind(world.at_stack(80))?;
    let listener = server.listen(16)?;
    let connecting = world.on_kernel(KernelStream::connect(world.at_stack(80)));
    listener.accept().await?;
    connecting.await??;
    let seen = seen.await??;
    ensure!(seen == shown(80), "the SYN-ACK shows {seen:?}");
    Ok(())
}

fn make(world: &World) -> Result<TcpSocket, Failure> {
    let tos = u32::from(DSCP) << 2;
    let socket = match world.family {
        Family::V4 => TcpSocket::new_v4(&world.stack)?,
        Family::V6 => TcpSocket::new_v6(&world.stack)?,
    };
    match world.family {
        Family::V4 => socket.set_tos_v4(tos)?,
        Family::V6 => socket.set_tclass_v6(tos)?,
    }
    socket.set_mss(MSS)?;
    socket.set_ttl(HOPS.into())?;
    Ok(socket)
}

/// Waits for a segment of the stack's with exactly these flags.
fn sniff(world: &World, flags: TcpFlags) -> Result<JoinHandle<Result<Shown, Failure>>, Failure> {
    let stack = world.stack_ip();
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
    Ok(world.kernel.spawn_blocking(move || {
        let mut frame = [0; 2048];
        loop {
            let (len, _) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame)?;
            let Ok(packet) = ip::parse(&frame[..len]) else { continue };
            if packet.src != stack || packet.protocol != Protocol::TCP {
                continue;
            }
            let Ok((header, _)) = TcpHeader::parse(packet.payload) else { continue };
            if header.flags == flags {
                return Ok(Shown {
                    mss: header.options.mss,
                    hop_limit: packet.hop_limit,
                    dscp: packet.dscp,
                    source: SocketAddr::new(packet.src, header.src_port),
                });
            }
        }
    }))
}
