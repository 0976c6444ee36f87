//! The kernel's clients at a listener whose table of half-open connections is kept full (RFC 4987).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_netstack::{ListenConfig, TcpListener};

use crate::bytes::echo;
use crate::forge::syn;
use crate::hostile::injector;
use crate::many::visit;
use crate::world::{CaseResult, World, ensure, print_counters, settle};

/// Handshakes that may be under way.
const HALF_OPEN: usize = 32;

const CLIENTS: u64 = 60;
const BYTES: u64 = 300_000;

/// With everything that this kernel offers: window scale, SACK and timestamps are in force behind a cookie.
// req: R4987-2, R4987-3, R4987-5
pub(crate) async fn with_timestamps(world: Arc<World>) -> CaseResult {
    serve_under_flood(&world, true).await
}

/// Of a kernel without timestamps only the MSS is kept.
// req: R4987-5
pub(crate) async fn without_timestamps(world: Arc<World>) -> CaseResult {
    // Of this namespace alone.
    std::fs::write("/proc/sys/net/ipv4/tcp_timestamps", "0")?;
    serve_under_flood(&world, false).await
}

async fn serve_under_flood(world: &Arc<World>, timestamps: bool) -> CaseResult {
    let mut config = ListenConfig::new();
    config.max_half_open(HALF_OPEN);
    let listener = TcpListener::bind_with(&world.stack, world.at_stack(7), config).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let injector = injector(world).await?;
    let (target, until, from) = (world.at_stack(7), stop.clone(), world.silent_ip());
    let flooding = world.kernel.spawn_blocking(move || -> io::Result<u64> {
        let mut sent = 0;
        while !until.load(Ordering::Relaxed) {
            for _ in 0..5 {
                // Nobody is there to answer the SYN-ACKs.
                let port = 1024 + (sent % 60_000) as u16;
                injector.send(&syn(SocketAddr::new(from, port), target))?;
                sent += 1;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(sent)
    });
    settle("the table fills", true, || world.stack.counters().syn_cookies_sent > 0).await?;
    let before = world.stack.counters().syn_cookies_accepted;
    let clients = world.on_kernel(async move {
        for number in 0..CLIENTS {
            visit(target, number, BYTES).await?;
        }
        io::Result::Ok(())
    });
    let mut echoes = JoinSet::new();
    for _ in 0..CLIENTS {
        let (stream, _) = listener.accept().await?;
        let info = stream.info().await?;
        let options = (info.timestamps, info.sack, info.snd_wscale > 0, info.rcv_wscale > 0);
        let expected = (timestamps, timestamps, timestamps, timestamps);
        ensure!(options == expected, "timestamps, SACK and both scales: {options:?}");
        ensure!(info.mss > 1200, "an MSS of {}", info.mss);
        echoes.spawn(echo(stream));
    }
    clients.await??;
    while let Some(echoed) = echoes.join_next().await {
        echoed??;
    }
    stop.store(true, Ordering::Relaxed);
    let sent = flooding.await??;
    let opened = world.stack.counters().syn_cookies_accepted - before;
    eprintln!("{sent} forged SYNs, {opened} of {CLIENTS} clients opened by cookie");
    print_counters(&world.stack);
    ensure!(opened == CLIENTS, "{opened} of {CLIENTS} clients opened by cookie");
    Ok(())
}
