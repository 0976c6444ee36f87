//! Transfers through bad links, the same on each run.

use std::time::Duration;

use netstack_sim::heap::Side;
use netstack_sim::{Jitter, LinkConfig, LinkStats, QueueLimit, SimRng, Trace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{TcpConfig, TcpStream};

use crate::world::{SERVER, World};

/// What a run has put on the link.
#[derive(Debug, PartialEq)]
struct Run {
    trace: Trace,
    stats: [LinkStats; 2],
    took: Duration,
}

/// Echoes `len` bytes over `path` in a runtime of its own.
fn echo(seed: u64, path: &LinkConfig, len: usize) -> Run {
    echo_with(&TcpConfig::new(), seed, path, len)
}

fn echo_with(config: &TcpConfig, seed: u64, path: &LinkConfig, len: usize) -> Run {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let start = tokio::time::Instant::now();
        let world = World::new(seed, path, config);
        world.serve_echo().await;
        let mut rng = SimRng::new(seed, 0);
        let message: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        let stream = TcpStream::connect(&world.client, SERVER).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let sent = message.clone();
        let sender = tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
            writer
        });
        let mut back = Vec::new();
        reader.read_to_end(&mut back).await.unwrap();
        assert!(back == message, "the echo differs from what was sent");
        drop((reader, sender.await.unwrap()));
        // TIME-WAIT and what is still under way belong to the run.
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(world.client.connection_count() + world.server.connection_count(), 0);
        assert_eq!(world.client.time_wait_count() + world.server.time_wait_count(), 0);
        let stats = [Side::A, Side::B].map(|side| world.wire.stats(side));
        Run { trace: world.wire.trace(), stats, took: start.elapsed() }
    })
}

fn bad_path() -> LinkConfig {
    let mut path = LinkConfig::new();
    path.rate(50_000_000).delay(Duration::from_millis(10)).queue(QueueLimit::Bytes(128 * 1024));
    path.jitter(Jitter::Reordering(Duration::from_millis(1)));
    path.loss(0.01).duplicate(0.005).reorder(0.01, Duration::from_millis(3));
    path
}

#[test]
fn a_megabyte_through_a_bad_link_comes_back_and_the_same_seed_gives_the_same_packets() {
    const LEN: usize = 1_000_000;
    let (first, second) = (echo(11, &bad_path(), LEN), echo(11, &bad_path(), LEN));
    assert_eq!(first, second);
    for stats in first.stats {
        assert!(stats.lost > 0 && stats.duplicated > 0 && stats.held_back > 0, "{stats:?}");
    }
    assert!(first.trace.packets() > 2 * LEN as u64 / 1_460);
    assert_ne!(first.trace, echo(12, &bad_path(), LEN).trace);
}

#[test]
fn ten_megabytes_over_a_good_link_takes_about_as_long_as_its_rate_says() {
    const LEN: usize = 10_000_000;
    let mut path = LinkConfig::new();
    path.rate(100_000_000).delay(Duration::from_millis(1));
    // The queue has no bound, so that no loss slows the senders: what fills it is the window, and the last byte stands behind
    // all of it.
    let mut config = TcpConfig::new();
    config.recv_buffer(1 << 20);
    let run = echo_with(&config, 1, &path, LEN);
    let ideal = Duration::from_secs_f64(LEN as f64 * 8.0 / 1e8);
    let took = run.took - Duration::from_secs(120);
    assert!(took < ideal.mul_f64(1.25), "{took:?}, ideally {ideal:?}");
    assert_eq!(run.stats[0].lost + run.stats[0].queue_full, 0);
}
