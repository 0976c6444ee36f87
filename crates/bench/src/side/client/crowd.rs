//! Very many connections that were used once and are idle now.

use std::io;
use std::time::Duration;

use netstack_bench::memory::resident_of;
use tokio::task::JoinSet;

use super::super::server::Server;
use super::connect;
use super::turns::turn;

/// Connections opened at a time.
const AT_ONCE: usize = 32;

/// Connections that warm allocator and stack up before counting starts.
const WARM_UP: usize = 64;

/// Bytes sent before they are awaited back.
const PIECE: usize = 16 << 10;

/// Delayed ACKs and window updates are over after this.
const SETTLE: Duration = Duration::from_secs(1);

/// Resident bytes of the server's process per connection, with `count` of them that echoed `bytes` each and are idle.
/// A server that allocates for all of them `ahead` does not grow: all that it has counts.
pub(in super::super) async fn resident_per_connection(
    server: &Server,
    count: usize,
    bytes: usize,
    ahead: bool,
) -> io::Result<f64> {
    let mut streams = open(server, WARM_UP, bytes).await?;
    let before = if ahead { 0 } else { resident_of(server.process())? };
    streams.extend(open(server, count, bytes).await?);
    tokio::time::sleep(SETTLE).await;
    let grown = resident_of(server.process())?.saturating_sub(before);
    Ok(grown as f64 / count as f64)
}

async fn open(server: &Server, count: usize, bytes: usize) -> io::Result<Vec<tokio::net::TcpStream>> {
    let service = server.service();
    let mut tasks = JoinSet::new();
    let mut streams = Vec::with_capacity(count);
    for number in 0..count + AT_ONCE {
        if number >= AT_ONCE
            && let Some(opened) = tasks.join_next().await
        {
            streams.push(opened??);
        }
        if number < count {
            tasks.spawn(async move {
                let mut stream = connect(service).await?;
                let mut buffer = vec![0x5a; bytes.min(PIECE)];
                for _ in 0..bytes.div_ceil(PIECE) {
                    turn(&mut stream, &mut buffer).await?;
                }
                io::Result::Ok(stream)
            });
        }
    }
    while let Some(opened) = tasks.join_next().await {
        streams.push(opened??);
    }
    Ok(streams)
}
