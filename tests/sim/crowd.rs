//! Many connections at once with clients of every habit, over many seeded links.

use std::time::Duration;

use netstack_sim::{Jitter, LinkConfig, QueueLimit, SimRng, Trace};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{TcpConfig, TcpStream};

use crate::world::{SERVER, World};

const SEEDS: u64 = 60;
/// Far more virtual time than any case takes unless it hangs.
const STUCK: Duration = Duration::from_secs(24 * 3_600);

#[test]
fn every_client_gets_its_bytes_back_and_nothing_is_left_behind() {
    let seeds = match (number("NETSTACK_SEED"), number("NETSTACK_CASES")) {
        (Some(seed), _) => seed..seed + 1,
        (None, cases) => 0..cases.unwrap_or(SEEDS),
    };
    for seed in seeds {
        println!("again: NETSTACK_SEED={seed} cargo test -p netstack-tests --test sim every_client");
        let run = || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().start_paused(true).build().unwrap();
            runtime.block_on(crowd(seed))
        };
        assert_eq!(run(), run(), "the same seed gave other packets");
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}

async fn crowd(seed: u64) -> Trace {
    let mut rng = SimRng::new(seed, 0);
    let world = World::new(seed, &path(&mut rng), &settings(&mut rng));
    world.serve_echo().await;
    let mut clients = Vec::new();
    for id in 0..1 + rng.below(20) {
        let stack = world.client.clone();
        let habits = SimRng::new(seed, id + 1);
        clients.push(tokio::spawn(async move {
            let stream = TcpStream::connect(&stack, SERVER).await.unwrap();
            client(stream, habits).await;
        }));
    }
    for client in clients {
        timeout(STUCK, client).await.expect("a client hangs").unwrap();
    }
    // Past TIME-WAIT, and past the repetitions of a last FIN.
    sleep(Duration::from_secs(600)).await;
    for stack in [&world.client, &world.server] {
        assert_eq!(stack.connection_count(), 0);
        assert_eq!(stack.time_wait_count(), 0);
        let counters = stack.counters();
        assert_eq!(counters.drop_mailbox_full, 0, "data below the announced edge was dropped");
    }
    world.wire.trace()
}

/// Sends a message, reads it back, and closes, in one of many ways.
async fn client(stream: TcpStream, mut rng: SimRng) {
    let len = match rng.below(4) {
        0 => rng.below(100),
        1 => rng.below(10_000),
        _ => rng.below(200_000),
    };
    let message: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
    let pause = Duration::from_micros(rng.below(40_000));
    let (reading, writing) = (rng.next_u64(), rng.next_u64());
    let (mut reader, mut writer) = stream.into_split();
    let expected = message.clone();
    let reader = tokio::spawn(async move {
        let back = read(&mut reader, SimRng::new(reading, 0), pause).await;
        assert!(back == expected, "the echo differs from what was sent");
        reader
    });
    write(&mut writer, &message, SimRng::new(writing, 0), pause).await;
    writer.shutdown().await.unwrap();
    drop((reader.await.unwrap(), writer));
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), message: &[u8], mut rng: SimRng, pause: Duration) {
    let (piece, lazy) = (1 + rng.below(20_000) as usize, rng.one_in(3));
    for part in message.chunks(piece) {
        writer.write_all(part).await.unwrap();
        if lazy {
            sleep(pause.mul_f64(rng.below(100) as f64 / 100.0)).await;
        }
    }
}

async fn read(reader: &mut (impl AsyncRead + Unpin), mut rng: SimRng, pause: Duration) -> Vec<u8> {
    let (piece, lazy) = (1 + rng.below(30_000) as usize, rng.one_in(3));
    let mut buf = vec![0; piece];
    let mut back = Vec::new();
    if rng.one_in(4) {
        sleep(Duration::from_secs(3)).await;
    }
    loop {
        match reader.read(&mut buf).await.unwrap() {
            0 => return back,
            n => back.extend_from_slice(&buf[..n]),
        }
        if lazy {
            sleep(pause.mul_f64(rng.below(100) as f64 / 100.0)).await;
        }
    }
}

fn settings(rng: &mut SimRng) -> TcpConfig {
    let mut tcp = TcpConfig::new();
    tcp.recv_buffer(2_048 << rng.below(10)).send_buffer(2_048 << rng.below(10));
    tcp.nodelay(rng.one_in(2)).timestamps(rng.one_in(2)).sack(rng.one_in(2)).window_scaling(!rng.one_in(3));
    // No end of a run of losses is an error here.
    let hour = Duration::from_secs(3_600);
    tcp.user_timeout(None).syn_timeout(hour).syn_ack_timeout(hour);
    tcp
}

fn path(rng: &mut SimRng) -> LinkConfig {
    let mut path = LinkConfig::new();
    let delay = Duration::from_micros(rng.below(50_000));
    path.delay(delay).loss(rng.below(60) as f64 / 1_000.0);
    if rng.one_in(2) {
        path.rate(2_000_000 << rng.below(8)).queue(QueueLimit::Packets(5 + rng.below(200) as usize));
    }
    if rng.one_in(3) {
        path.duplicate(0.02).reorder(0.05, delay * 2);
    }
    if rng.one_in(3) {
        path.jitter(Jitter::Reordering(delay / 3));
    }
    path
}
