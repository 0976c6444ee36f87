//! Many connections, one after another and at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_netstack::TcpStream;

use crate::bytes::{echo, exchange};
use crate::world::{CaseResult, World, ensure, settle};

const SEQUENTIAL: u64 = 1_000;
const CONCURRENT: u64 = 100;
const BYTES: u64 = 100_000;
const TRANSFERS: u64 = 16;
const TRANSFER_BYTES: u64 = 5_000_000;

/// 1,000 connections from the kernel, each opened after the one before it has closed.
// req: S-LISTEN-3, S-CLOSE-4, S-ACK-10
pub(crate) async fn sequential(world: Arc<World>) -> CaseResult {
    let server = serve(&world, SEQUENTIAL).await?;
    let target = world.at_stack(7);
    let clients = world.on_kernel(async move {
        for number in 0..SEQUENTIAL {
            visit(target, number, 100).await?;
        }
        io::Result::Ok(())
    });
    clients.await??;
    server.await??;
    settle("connections that the stack keeps", 0, || world.stack.connection_count()).await
}

/// 100 connections from the kernel at once, each with 100 kB both ways.
// req: S-LISTEN-3, MUST-41
pub(crate) async fn concurrent(world: Arc<World>) -> CaseResult {
    let server = serve(&world, CONCURRENT).await?;
    let target = world.at_stack(7);
    let clients = world.on_kernel(async move {
        let mut visits = JoinSet::new();
        for number in 0..CONCURRENT {
            visits.spawn(visit(target, number, BYTES));
        }
        all(visits).await
    });
    let done = clients.await??;
    ensure!(done == CONCURRENT, "{done} of {CONCURRENT} clients were served");
    server.await??;
    settle("connections that the stack keeps", 0, || world.stack.connection_count()).await
}

/// Over a device with several queues: 16 connections from the kernel and 16 to it at once, each with 5 MB both ways.
// req: MUST-41, S-TEXT-1
pub(crate) async fn queues(world: Arc<World>) -> CaseResult {
    let server = serve(&world, TRANSFERS).await?;
    let target = world.at_stack(7);
    let listener = tokio::net::TcpListener::bind((world.kernel_ip(), 7)).await?;
    let at_kernel = listener.local_addr()?;
    let kernel = world.on_kernel(async move {
        let mut tasks = JoinSet::new();
        for number in 0..TRANSFERS {
            tasks.spawn(visit(target, number, TRANSFER_BYTES));
        }
        for _ in 0..TRANSFERS {
            let (stream, _) = listener.accept().await?;
            tasks.spawn(echo(stream));
        }
        all(tasks).await
    });
    let mut visits = JoinSet::new();
    for number in 0..TRANSFERS {
        let stack = world.stack.clone();
        visits.spawn(async move {
            let stream = TcpStream::connect(&stack, at_kernel).await?;
            exchange(stream, TRANSFERS + number, TRANSFERS + number, TRANSFER_BYTES).await
        });
    }
    let done = (all(visits).await?, kernel.await??);
    ensure!(done == (TRANSFERS, 2 * TRANSFERS), "{done:?} transfers are done");
    server.await??;
    let lost = world.stack.counters().tx_lost;
    ensure!(lost == 0, "{lost} frames were lost at the device");
    Ok(())
}

/// Waits for all tasks, and tells how many there were.
async fn all(mut tasks: JoinSet<io::Result<()>>) -> io::Result<u64> {
    let mut done = 0;
    while let Some(result) = tasks.join_next().await {
        result.map_err(io::Error::other)??;
        done += 1;
    }
    Ok(done)
}

/// An echo service that ends once it has served `clients`.
async fn serve(world: &World, clients: u64) -> io::Result<tokio::task::JoinHandle<io::Result<()>>> {
    let listener = world.listen(7).await?;
    Ok(tokio::spawn(async move {
        let mut echoes = JoinSet::new();
        for _ in 0..clients {
            let (stream, _) = listener.accept().await?;
            echoes.spawn(echo(stream));
            while let Some(result) = echoes.try_join_next() {
                result.map_err(io::Error::other)??;
            }
        }
        all(echoes).await.map(drop)
    }))
}

/// One client of the echo service, on the kernel's side.
pub(crate) async fn visit(target: SocketAddr, seed: u64, bytes: u64) -> io::Result<()> {
    exchange(tokio::net::TcpStream::connect(target).await?, seed, seed, bytes).await
}
