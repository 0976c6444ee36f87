//! Explicit congestion notification agreed on with the kernel, in both roles.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio_netstack::{EcnMode, EcnPolicy, TcpConfig, TcpStream};

use crate::bytes::{CHUNK, check, check_end, echo, send};
use crate::world::{CaseResult, World, ensure};

const BYTES: u64 = 5_000_000;

pub(crate) fn asking(config: &mut TcpConfig) {
    config.ecn(EcnPolicy::On);
}

pub(crate) fn accurate(config: &mut TcpConfig) {
    config.ecn(EcnPolicy::Accurate);
}

/// The kernel asks, or answers: what is sent bears ECT, also in super-segments, and arrives whole.
// req: R3168-1, R3168-4
pub(crate) async fn both_roles(world: Arc<World>) -> CaseResult {
    // 1: ask, and agree. Of the namespace that the case made for itself.
    std::fs::write("/proc/sys/net/ipv4/tcp_ecn", "1")?;
    let (kernel, stream) = world.pair(7).await?;
    let answering = world.on_kernel(echo(kernel));
    transfer(stream).await?;
    answering.await??;

    let ip = world.kernel_ip();
    let listener = world.on_kernel(tokio::net::TcpListener::bind((ip, 0))).await??;
    let target = listener.local_addr()?;
    let server = world.on_kernel(async move {
        let (stream, _) = listener.accept().await?;
        echo(stream).await?;
        io::Result::Ok(())
    });
    transfer(TcpStream::connect(&world.stack, target).await?).await?;
    server.await??;
    Ok(())
}

/// Sends to an echo, and looks at what was agreed on.
async fn transfer(mut stream: TcpStream) -> CaseResult {
    let info = stream.info().await?;
    ensure!(info.ecn == EcnMode::Classic && info.ecn_sending, "no ECN: {info:?}");
    let (mut reader, mut writer) = stream.split();
    let sending = async {
        send(&mut writer, 1, BYTES, CHUNK).await?;
        writer.shutdown().await
    };
    tokio::try_join!(sending, check(&mut reader, 1, BYTES, CHUNK))?;
    check_end(&mut reader).await?;
    let stats = stream.info().await?.stats;
    ensure!(stats.ce_received == 0 && stats.ecn_reductions == 0, "marks from nowhere: {stats:?}");
    Ok(())
}
