//! Bulk transfers in both directions at once, every byte compared.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio_netstack::{EcnMode, TcpConfig, TcpStream};

use crate::bytes::{CHUNK, check, check_end, send};
use crate::world::{CaseResult, World, ensure, print_counters};

const FULL: u64 = 1_000_000_000;
const SHORT: u64 = 200_000_000;

/// 1 GB each way at once.
// req: S-TEXT-1, S-ACK-4, MUST-2
pub(crate) async fn full(world: Arc<World>) -> CaseResult {
    both_ways(&world, FULL, CHUNK, false).await
}

/// 200 MB each way at once.
// req: S-TEXT-1, S-ACK-4, MUST-2
pub(crate) async fn short(world: Arc<World>) -> CaseResult {
    both_ways(&world, SHORT, CHUNK, false).await
}

/// Buffers of 4 KiB at both ends.
const TINY: usize = 4096;

pub(crate) fn tiny_buffers(config: &mut TcpConfig) {
    config.recv_buffer(TINY).send_buffer(TINY);
}

/// 1 GB each way through tiny buffers, whose windows close all the time: neither end may drop the ACKs that
/// the other sends at its edge.
// req: S-SEQ-1, S-SEQ-2, S-SEQ-3
pub(crate) async fn tiny_full(world: Arc<World>) -> CaseResult {
    both_ways(&world, FULL, TINY, true).await
}

/// 200 MB each way through tiny buffers.
// req: S-SEQ-1, S-SEQ-2, S-SEQ-3
pub(crate) async fn tiny_short(world: Arc<World>) -> CaseResult {
    both_ways(&world, SHORT, TINY, true).await
}

/// 200 MB from the kernel, which the device's wrapper puts together.
// req: S-TEXT-1, S-ACK-4
pub(crate) async fn coalesced(world: Arc<World>) -> CaseResult {
    let (kernel, stream) = world.pair(7).await?;
    upload(&world, kernel, stream).await
}

/// The same with ECN; where the kernel has Accurate ECN, every segment bears its counter.
pub(crate) async fn coalesced_with_ecn(world: Arc<World>) -> CaseResult {
    // 3: ask for Accurate ECN. A kernel that knows it not refuses the value, and agrees on the other.
    let sysctl = "/proc/sys/net/ipv4/tcp_ecn";
    std::fs::write(sysctl, "3").or_else(|_| std::fs::write(sysctl, "1"))?;
    let (kernel, stream) = world.pair(7).await?;
    let ecn = stream.info().await?.ecn;
    eprintln!("ECN: {ecn:?}");
    ensure!(ecn != EcnMode::Off, "no ECN was agreed on");
    upload(&world, kernel, stream).await
}

async fn upload(world: &World, mut kernel: tokio::net::TcpStream, mut stream: TcpStream) -> CaseResult {
    let sending = world.on_kernel(async move {
        send(&mut kernel, 1, SHORT, CHUNK).await?;
        kernel.shutdown().await
    });
    check(&mut stream, 1, SHORT, CHUNK).await?;
    check_end(&mut stream).await?;
    sending.await??;
    print_counters(&world.stack);
    let device = world.stack.device_counters(0).map_or(0, |device| device.rx_frames);
    let packets = world.stack.counters().rx_packets;
    ensure!(2 * packets < device, "{device} frames came in as {packets}: none were put together");
    Ok(())
}

/// So many bytes each way at once, over a connection that the kernel opens.
pub(crate) async fn both_ways(world: &World, total: u64, chunk: usize, tiny: bool) -> CaseResult {
    let listener = world.listen(7).await?;
    let target = world.at_stack(7);
    let began = Instant::now();
    let client = world.on_kernel(async move {
        let socket =
            if target.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
        if tiny {
            // The kernel doubles these for its own book-keeping.
            SockRef::from(&socket).set_recv_buffer_size(TINY)?;
            SockRef::from(&socket).set_send_buffer_size(TINY)?;
        }
        let (mut reader, mut writer) = socket.connect(target).await?.into_split();
        let sending = tokio::spawn(async move {
            send(&mut writer, 1, total, chunk).await?;
            writer.shutdown().await
        });
        check(&mut reader, 2, total, chunk).await?;
        check_end(&mut reader).await?;
        sending.await.map_err(io::Error::other)?
    });
    let (stream, _) = listener.accept().await?;
    let (mut reader, mut writer) = stream.into_split();
    let sending = tokio::spawn(async move {
        send(&mut writer, 2, total, chunk).await?;
        writer.shutdown().await
    });
    check(&mut reader, 1, total, chunk).await?;
    check_end(&mut reader).await?;
    sending.await??;
    client.await??;
    let seconds = began.elapsed().as_secs_f64();
    let megabits = total as f64 * 8.0 / 1e6 / seconds;
    print_counters(&world.stack);
    eprintln!("{total} bytes each way in {seconds:.1} s: {megabits:.0} Mbit/s each way");
    // What the window promised room for is never dropped for want of room.
    let refused = world.stack.counters().drop_mailbox_full;
    ensure!(refused == 0, "{refused} segments found the connection's mailbox full");
    Ok(())
}
