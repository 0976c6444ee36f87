//! Opening connections in both directions, and the ways in which that fails.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_netstack::{TcpConfig, TcpStream};

use crate::bytes::{echo, exchange};
use crate::world::{CaseResult, World, ensure};

const BYTES: u64 = 300_000;

/// The kernel connects, sends, closes its half, and reads back what it sent.
// req: S-LISTEN-3, S-ACK-2, S-FIN-4, MUST-2
pub(crate) async fn from_kernel(world: Arc<World>) -> CaseResult {
    let listener = world.listen(7).await?;
    let target = world.at_stack(7);
    let client = world.on_kernel(async move {
        let mut stream = tokio::net::TcpStream::connect(target).await?;
        let ends = (stream.local_addr()?, stream.peer_addr()?);
        exchange(&mut stream, 1, 1, BYTES).await?;
        io::Result::Ok(ends)
    });
    let (stream, peer) = listener.accept().await?;
    let ends = (stream.peer_addr()?, stream.local_addr()?);
    echo(stream).await?;
    let kernel_ends = client.await??;
    ensure!(kernel_ends == ends, "the kernel says {kernel_ends:?}, the stack says {ends:?}");
    ensure!(peer == ends.0, "accept() says {peer}, peer_addr() says {}", ends.0);
    Ok(())
}

/// The stack connects to a listener of the kernel's.
// req: S-OPEN-1, S-SYNSENT-4, S-CLOSE-1
pub(crate) async fn to_kernel(world: Arc<World>) -> CaseResult {
    let ip = world.kernel_ip();
    let listener = world.on_kernel(tokio::net::TcpListener::bind((ip, 0))).await??;
    let target = listener.local_addr()?;
    let server = world.on_kernel(async move {
        let (stream, peer) = listener.accept().await?;
        echo(stream).await?;
        io::Result::Ok(peer)
    });
    let mut stream = TcpStream::connect(&world.stack, target).await?;
    ensure!(stream.peer_addr()? == target, "connected to {}", stream.peer_addr()?);
    let local = stream.local_addr()?;
    exchange(&mut stream, 2, 2, BYTES).await?;
    let seen = server.await??;
    ensure!(seen == local, "the kernel accepted {seen}, the stack connected from {local}");
    Ok(())
}

/// Nobody listens on the kernel's port: its reset is an error at once.
// req: S-SYNSENT-2
pub(crate) async fn refused_by_kernel(world: Arc<World>) -> CaseResult {
    let began = Instant::now();
    let error = fails(TcpStream::connect(&world.stack, (world.kernel_ip(), 9)).await)?;
    ensure!(error.kind() == io::ErrorKind::ConnectionRefused, "not refused but {error:?}");
    ensure!(began.elapsed() < Duration::from_millis(500), "refused only after {:?}", began.elapsed());
    Ok(())
}

/// Nobody listens on the stack's port: the kernel gets a reset that it takes for one.
// req: S-CLOSED-2
pub(crate) async fn refused_by_stack(world: Arc<World>) -> CaseResult {
    let began = Instant::now();
    let error = fails(world.on_kernel(tokio::net::TcpStream::connect(world.at_stack(9))).await?)?;
    ensure!(error.kind() == io::ErrorKind::ConnectionRefused, "not refused but {error:?}");
    ensure!(began.elapsed() < Duration::from_millis(500), "refused only after {:?}", began.elapsed());
    Ok(())
}

const SYN_LIMIT: Duration = Duration::from_secs(3);

pub(crate) fn short_syn_limit(config: &mut TcpConfig) {
    config.syn_timeout(SYN_LIMIT);
}

/// An address that never answers: the attempt ends by the limit that the application set.
// req: MUST-20, MUST-21, MUST-22
pub(crate) async fn silent(world: Arc<World>) -> CaseResult {
    let began = Instant::now();
    let error = fails(TcpStream::connect(&world.stack, (world.silent_ip(), 80)).await)?;
    let took = began.elapsed();
    ensure!(error.kind() == io::ErrorKind::TimedOut, "not timed out but {error:?}");
    ensure!(
        took >= SYN_LIMIT && took < SYN_LIMIT * 2,
        "gave up after {took:?} with a limit of {SYN_LIMIT:?}"
    );
    let syns = world.stack.counters().tx_segments;
    // At once, after 1 s, and perhaps at the limit of 3 s (RFC 6298 2.1, 5.5).
    ensure!((2..=3).contains(&syns), "{syns} SYNs were sent");
    Ok(())
}

/// The kernel says by ICMP that there is no way there: such errors explain the failure and do not cause it.
// req: MUST-54, SHLD-25, R5927-3
pub(crate) async fn unreachable(world: Arc<World>) -> CaseResult {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    let began = Instant::now();
    let error = fails(TcpStream::connect(&world.stack, (world.unreachable_ip(), 80)).await)?;
    let took = began.elapsed();
    ensure!(error.kind() == io::ErrorKind::NetworkUnreachable, "not unreachable but {error:?}");
    ensure!(took >= SYN_LIMIT, "the first ICMP error ended the attempt, after {took:?}");
    Ok(())
}

/// Turns success, which these cases do not want, into a failure.
fn fails<T>(result: io::Result<T>) -> Result<io::Error, crate::world::Failure> {
    result.err().ok_or_else(|| "connected where nobody listens".into())
}
