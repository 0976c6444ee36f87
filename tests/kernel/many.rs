//! Many connections, one after another and at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::bytes::{CHUNK, check, check_end, echo, send};
use crate::world::{CaseResult, World, ensure, settle};

const SEQUENTIAL: u64 = 1_000;
const CONCURRENT: u64 = 100;
const BYTES: u64 = 100_000;

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
        let mut done = 0;
        while let Some(result) = visits.join_next().await {
            result.map_err(io::Error::other)??;
            done += 1;
        }
        io::Result::Ok(done)
    });
    let done: u64 = clients.await??;
    ensure!(done == CONCURRENT, "{done} of {CONCURRENT} clients were served");
    server.await??;
    settle("connections that the stack keeps", 0, || world.stack.connection_count()).await
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
        while let Some(result) = echoes.join_next().await {
            result.map_err(io::Error::other)??;
        }
        Ok(())
    }))
}

/// One client of the echo service, on the kernel's side.
async fn visit(target: SocketAddr, seed: u64, bytes: u64) -> io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(target).await?;
    let (mut reader, mut writer) = stream.split();
    let sending = async {
        send(&mut writer, seed, bytes, CHUNK).await?;
        writer.shutdown().await
    };
    tokio::try_join!(sending, check(&mut reader, seed, bytes, CHUNK))?;
    check_end(&mut reader).await
}
