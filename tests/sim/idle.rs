//! A connection that has nothing to do costs no time.

use std::time::Duration;

use netstack_sim::LinkConfig;
use netstack_sim::heap::Side;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{TcpConfig, TcpStream};

use crate::world::{SERVER, World};

const CONNECTIONS: usize = 1_000;

// req: MUST-25
#[tokio::test(start_paused = true)]
async fn a_thousand_idle_connections_wake_at_most_once_each_and_then_never() {
    let mut path = LinkConfig::new();
    path.delay(Duration::from_millis(5)).rate(100_000_000);
    let world = World::new(1, &path, &TcpConfig::new());
    world.serve_echo().await;
    let mut streams = Vec::new();
    for i in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(&world.client, SERVER).await.unwrap();
        let message = i.to_string();
        stream.write_all(message.as_bytes()).await.unwrap();
        let mut back = vec![0; message.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, message.as_bytes());
        streams.push(stream);
    }
    let stacks = [&world.client, &world.server];
    let turns = || stacks.map(|stack| stack.counters().actor_turns);
    let packets = || [Side::A, Side::B].map(|side| world.wire.stats(side).offered);
    assert_eq!(stacks.map(|stack| stack.connection_count()), [CONNECTIONS; 2]);

    // Whatever is still under way or delayed comes within five seconds of the last segment.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (settled, sent) = (turns(), packets());
    assert!(settled[0] > 2 * CONNECTIONS as u64, "{settled:?} turns: is the counter alive?");
    tokio::time::sleep(Duration::from_secs(300)).await;
    let later = turns();
    for (before, after) in settled.into_iter().zip(later) {
        assert!(after - before <= CONNECTIONS as u64, "{before} turns, then {after}");
    }
    // Past the two hours after which a keep-alive probe would come, if it were on by default.
    tokio::time::sleep(Duration::from_secs(24 * 3_600)).await;
    assert_eq!(turns(), later);
    assert_eq!(packets(), sent);
    assert_eq!(stacks.map(|stack| stack.connection_count()), [CONNECTIONS; 2]);
    drop(streams);
}
