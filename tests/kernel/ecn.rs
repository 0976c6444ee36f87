//! Explicit congestion notification agreed on with the kernel, in both roles.

use std::io;
use std::sync::Arc;

use tokio_netstack::{EcnMode, EcnPolicy, TcpConfig, TcpStream};

use crate::bytes::{CHUNK, check, echo, exchange, send};
use crate::world::{CaseResult, Refused, World, ensure};

const BYTES: u64 = 5_000_000;

pub(crate) fn asking(config: &mut TcpConfig) {
    config.ecn(EcnPolicy::On);
}

pub(crate) fn accurate(config: &mut TcpConfig) {
    config.ecn(EcnPolicy::Accurate);
}

/// The kernel asks, or answers: what is sent bears ECT, also in super-segments, and arrives whole. A stack that would like
/// accurate feedback makes do with the classic.
// req: R3168-1, R3168-4, R9768-2
pub(crate) async fn both_roles(world: Arc<World>) -> CaseResult {
    agree("1")?;
    transfers(&world, EcnMode::Classic).await
}

/// A kernel that asks for accurate feedback, and answers with it; skipped where it has none or does not let it be set.
// req: R9768-1, R9768-3
pub(crate) async fn accurate_both_roles(world: Arc<World>) -> CaseResult {
    let refused = |error| {
        let why = format!("the kernel offers no accurate ECN (tcp_ecn = 3): {error}");
        Refused(io::Error::new(io::ErrorKind::Unsupported, why))
    };
    agree("3").map_err(refused)?;
    transfers(&world, EcnMode::Accurate).await
}

/// Sets what the kernel does in the namespace that the case made for itself: 1 asks, and agrees; 3 the same, accurately.
fn agree(mode: &str) -> io::Result<()> {
    std::fs::write("/proc/sys/net/ipv4/tcp_ecn", mode)
}

async fn transfers(world: &World, mode: EcnMode) -> CaseResult {
    let (kernel, stream) = world.pair(7).await?;
    let answering = world.on_kernel(echo(kernel));
    transfer(stream, mode).await?;
    answering.await??;

    let ip = world.kernel_ip();
    let listener = world.on_kernel(tokio::net::TcpListener::bind((ip, 0))).await??;
    let target = listener.local_addr()?;
    let server = world.on_kernel(async move {
        let (stream, _) = listener.accept().await?;
        echo(stream).await?;
        io::Result::Ok(())
    });
    transfer(TcpStream::connect(&world.stack, target).await?, mode).await?;
    server.await??;
    Ok(())
}

/// Marks make the kernel echo, and the stack lower its window and say so, in super-segments too: the kernel takes them with
/// the ECN bit, cuts them, and stops to echo.
// req: R3168-6, R3168-7
pub(crate) async fn marked(world: Arc<World>) -> CaseResult {
    agree("1")?;
    let (kernel, mut stream) = world.pair(7).await?;
    let answering = world.on_kernel(echo(kernel));
    let (mut reader, mut writer) = stream.split();
    world.marks.every(64);
    let marking = async {
        send(&mut writer, 1, 4 * BYTES, CHUNK).await?;
        world.marks.every(0);
        send(&mut writer, 2, BYTES, CHUNK).await
    };
    let checking = async {
        check(&mut reader, 1, 4 * BYTES, CHUNK).await?;
        check(&mut reader, 2, BYTES, CHUNK).await
    };
    tokio::try_join!(marking, checking)?;
    let before = stream.info().await?.stats.ecn_reductions;
    ensure!(before > 0, "no mark came back");
    ensure!(world.marks.answers() > 0, "of {before} reductions none was told by a super-segment");
    exchange(&mut stream, 3, 3, BYTES).await?;
    let after = stream.info().await?.stats.ecn_reductions;
    ensure!(after == before, "reduced {after} times, {before} before: the kernel did not see the answer");
    answering.await??;
    Ok(())
}

/// Sends to an echo, and looks at what was agreed on.
async fn transfer(mut stream: TcpStream, mode: EcnMode) -> CaseResult {
    let info = stream.info().await?;
    ensure!(info.ecn == mode && info.ecn_sending, "not {mode:?}: {info:?}");
    exchange(&mut stream, 1, 1, BYTES).await?;
    let info = stream.info().await?;
    let stats = info.stats;
    ensure!(info.ecn_sending, "the feedback was not believed: {info:?}");
    ensure!(stats.ce_received == 0 && stats.ecn_reductions == 0, "marks from nowhere: {stats:?}");
    Ok(())
}
