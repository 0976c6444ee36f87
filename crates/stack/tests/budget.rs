//! The byte budget of a stack: it bounds what all connections hold, and none of them comes to a halt.

use std::time::Duration;

use crate::common::{PORT, Raw, SERVER, addr, builder, pattern, raw_pair_with};
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{Stack, TcpListener, TcpStream, device};

/// Bytes that a connection may hold whatever the budget says: 4 KiB or two segments each way, in units of 4 KiB for each of
/// its buffers.
const SLACK: usize = 16 * 1024;

const HOUR: Duration = Duration::from_secs(3600);

/// Two stacks, of which the server has this budget, and the client that.
fn stacks(server: usize, client: usize) -> (Stack, Stack) {
    stacks_over(device::Capabilities::ip(1500), server, client)
}

fn stacks_over(caps: device::Capabilities, server: usize, client: usize) -> (Stack, Stack) {
    let (a, b) = device::memory::pair(caps.clone(), caps);
    (
        builder(a, 1).buffer_budget(server).build().unwrap(),
        builder(b, 2).buffer_budget(client).build().unwrap(),
    )
}

/// Open connections: the client's ends, then the server's.
async fn open(server: &Stack, client: &Stack, count: usize) -> (Vec<TcpStream>, Vec<TcpStream>) {
    let listener = TcpListener::bind(server, addr(SERVER, PORT)).await.unwrap();
    let (mut connected, mut accepted) = (Vec::new(), Vec::new());
    for _ in 0..count {
        connected.push(TcpStream::connect(client, addr(SERVER, PORT)).await.unwrap());
        accepted.push(listener.accept().await.unwrap().0);
    }
    (connected, accepted)
}

/// Waits until no connection is left, and checks that nothing is charged to anybody.
async fn end_at_zero(stacks: [&Stack; 2]) {
    for stack in stacks {
        while stack.connection_count() > 0 {
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(stack.buffered(), 0);
    }
}

/// Reads until the end and checks what came.
async fn read_all(mut stream: TcpStream, expected: &[u8]) {
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    assert!(got == expected, "{} of {} bytes, or others", got.len(), expected.len());
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_charged_nothing() {
    let (server, client) = stacks(1 << 20, 1 << 20);
    let (mut connected, mut accepted) = open(&server, &client, 10).await;
    assert_eq!((server.buffered(), client.buffered()), (0, 0));
    for (here, there) in connected.iter_mut().zip(&mut accepted) {
        here.write_all(b"ping").await.unwrap();
        let mut buf = [0; 4];
        there.read_exact(&mut buf).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!((server.buffered(), client.buffered()), (0, 0));
    connected[0].write_all(&[0; 5000]).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!((server.buffered(), client.buffered()), (8192, 0), "unread bytes are charged");
    let mut buf = [0; 5000];
    accepted[0].read_exact(&mut buf).await.unwrap();
    assert_eq!(server.buffered(), 0);
}

/// Readers that do not read, on many connections: what both stacks hold is bounded, and everything arrives once they do.
#[tokio::test(start_paused = true)]
async fn stalled_readers_hold_at_most_the_budget() {
    const COUNT: usize = 64;
    const BUDGET: usize = 2 << 20;
    let (server, client) = stacks(BUDGET, BUDGET);
    let (connected, accepted) = open(&server, &client, COUNT).await;
    let data = pattern(300_000);
    let mut writers = Vec::new();
    for mut stream in connected {
        let data = data.clone();
        writers.push(tokio::spawn(async move {
            stream.write_all(&data).await.unwrap();
            stream.shutdown().await.unwrap();
            // To the end: unread bytes or an early drop would make a reset.
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }));
    }
    let most = BUDGET + COUNT * SLACK;
    for _ in 0..100 {
        sleep(Duration::from_millis(20)).await;
        assert!(server.buffered() <= most, "{} received", server.buffered());
        assert!(client.buffered() <= most, "{} to be sent", client.buffered());
    }
    assert!(server.buffered() > BUDGET / 2, "the budget is used: {}", server.buffered());
    assert!(writers.iter().any(|writer| !writer.is_finished()), "writers wait");
    assert_eq!((server.counters().drop_budget, client.counters().drop_budget), (0, 0));
    assert!(client.buffered() > BUDGET / 2, "and by writers: {}", client.buffered());
    let readers: Vec<_> = accepted
        .into_iter()
        .map(|stream| {
            let data = data.clone();
            tokio::spawn(async move { read_all(stream, &data).await })
        })
        .collect();
    for task in readers.into_iter().chain(writers) {
        timeout(HOUR, task).await.expect("everything arrives").unwrap();
    }
    end_at_zero([&server, &client]).await;
}

/// Super-segments to readers that do not read: they count with the memory that they hold, and it stays within the bound.
#[tokio::test(start_paused = true)]
async fn super_segments_stay_within_twice_the_budget() {
    const COUNT: usize = 64;
    const BUDGET: usize = 2 << 20;
    let all = device::Offloads::ALL;
    let caps = device::Capabilities::ip(1500).with_tx(all).with_rx(all);
    let (server, client) = stacks_over(caps, BUDGET, 1 << 30);
    let (connected, accepted) = open(&server, &client, COUNT).await;
    let data = pattern(300_000);
    let mut tasks = Vec::new();
    for mut stream in connected {
        let data = data.clone();
        tasks.push(tokio::spawn(async move {
            stream.write_all(&data).await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }));
    }
    for _ in 0..1000 {
        sleep(Duration::from_millis(2)).await;
        assert!(server.buffered() <= 2 * BUDGET + COUNT * SLACK, "{}", server.buffered());
    }
    for stream in accepted {
        let data = data.clone();
        tasks.push(tokio::spawn(async move { read_all(stream, &data).await }));
    }
    for task in tasks {
        timeout(HOUR, task).await.expect("everything arrives").unwrap();
    }
    end_at_zero([&server, &client]).await;
}

/// With the budget used up, writers take turns: none gets far ahead of another.
#[tokio::test(start_paused = true)]
async fn blocked_writers_come_forward_together() {
    const COUNT: usize = 8;
    const BUDGET: usize = 256 << 10;
    let (server, client) = stacks(64 << 20, BUDGET);
    let (connected, accepted) = open(&server, &client, COUNT).await;
    let data = pattern(2 << 20);
    let done = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for (number, mut stream) in connected.into_iter().enumerate() {
        let (data, done) = (data.clone(), done.clone());
        tasks.push(tokio::spawn(async move {
            stream.write_all(&data).await.unwrap();
            done.lock().unwrap().push(number);
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }));
    }
    let progress = std::sync::Arc::new(std::sync::Mutex::new([0usize; COUNT]));
    let most = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for (number, mut stream) in accepted.into_iter().enumerate() {
        let (data, progress) = (data.clone(), progress.clone());
        let (client, most) = (client.clone(), most.clone());
        tasks.push(tokio::spawn(async move {
            let mut buf = vec![0; 16 << 10];
            let mut at = 0;
            loop {
                let len = stream.read(&mut buf).await.unwrap();
                most.fetch_max(client.buffered(), std::sync::atomic::Ordering::Relaxed);
                assert!(buf[..len] == data[at..at + len]);
                at += len;
                let least = {
                    let mut all = progress.lock().unwrap();
                    all[number] = at;
                    *all.iter().min().unwrap()
                };
                // As much apart as all of them may hold at once, or three times as far.
                assert!(at <= 3 * least + BUDGET, "connection {number} is at {at}, the slowest at {least}");
                if len == 0 {
                    break;
                }
            }
            assert_eq!(at, data.len());
        }));
    }
    for task in tasks {
        timeout(HOUR, task).await.expect("everything arrives").unwrap();
    }
    let most = most.load(std::sync::atomic::Ordering::Relaxed);
    assert!((BUDGET / 4..BUDGET).contains(&most), "the budget bounds what is written: {most}");
    end_at_zero([&server, &client]).await;
}

/// Every way to write waits, `try_write` says so, and an end of the connection wakes who waits.
#[tokio::test(start_paused = true)]
async fn writers_wait_and_are_woken() {
    let (server, client) = stacks(64 << 20, 64 << 10);
    let (mut connected, accepted) = open(&server, &client, 25).await;
    let other = connected.pop().unwrap();
    // The peers' readers stall, and their windows are far larger than our budget: but nothing leaves before we yield.
    for stream in &connected {
        while stream.try_write(&[0; 4096]).is_ok() {}
    }
    assert!(client.buffered() >= 64 << 10);
    assert_eq!(other.try_write(&[1; 9000]).unwrap(), 4096, "a little always goes");
    let error = other.try_write(&[1; 9000]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    timeout(HOUR, other.writable()).await.expect("bytes come free as the peer acknowledges").unwrap();
    assert_eq!(client.counters().budget_pressure, 1);
    assert!(other.try_write(&[1; 9000]).unwrap() > 0);
    drop((connected, other, accepted));
    end_at_zero([&server, &client]).await;
}

/// A relay that is full of what nobody reads still writes, and one that is full of what nobody takes still reads.
#[tokio::test(start_paused = true)]
async fn neither_direction_starves_the_other() {
    const BUDGET: usize = 4 << 20;
    const COUNT: usize = 100;
    let data = pattern(300_000);
    for stalled_reader in [true, false] {
        let (server, client) = stacks(BUDGET, 1 << 30);
        let (mut connected, mut accepted) = open(&server, &client, COUNT + 1).await;
        let (client_end, server_end) = (connected.pop().unwrap(), accepted.pop().unwrap());
        let (from, to) = if stalled_reader { (connected, accepted) } else { (accepted, connected) };
        let mut writers = Vec::new();
        for mut stream in from {
            writers.push(tokio::spawn(async move { stream.write_all(&[7; 1 << 20]).await }));
        }
        sleep(Duration::from_secs(60)).await;
        let (mut sender, receiver) = if stalled_reader {
            (server_end, client_end)
        } else {
            assert!(server_end.try_write(&[0; 1]).is_ok());
            let mut client_end = client_end;
            client_end.read_exact(&mut [0]).await.unwrap();
            (client_end, server_end)
        };
        if stalled_reader {
            assert!(server.buffered() > BUDGET / 2, "{}", server.buffered());
            let len = sender.try_write(&data).unwrap();
            assert!(len > 60_000, "{len} bytes go at once");
        } else {
            sender.write_all(&data).await.unwrap();
        }
        sender.shutdown().await.unwrap();
        let mut receiver = receiver;
        let mut got = Vec::new();
        timeout(HOUR, receiver.read_to_end(&mut got)).await.expect("it comes forward").unwrap();
        assert!(got.iter().eq(data.iter().take(got.len())) && got.len() > 60_000);
        for writer in writers {
            writer.abort();
        }
        drop((sender, receiver, to));
        server.abort().await;
        client.abort().await;
        assert_eq!((server.buffered(), client.buffered()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_wakes_a_writer_that_waits_for_the_budget() {
    let (server, client) = stacks(64 << 20, 0);
    let (mut connected, accepted) = open(&server, &client, 1).await;
    let stream = connected.pop().unwrap();
    let reader = tokio::spawn(async move {
        sleep(Duration::from_secs(1)).await;
        let (_reader, mut writer) = stream.into_split();
        loop {
            if let Err(error) = writer.write_all(&[0; 100_000]).await {
                return error.kind();
            }
        }
    });
    sleep(Duration::from_secs(2)).await;
    // Unread data: a reset.
    drop(accepted);
    let kind = timeout(HOUR, reader).await.expect("the writer is woken").unwrap();
    assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
    end_at_zero([&server, &client]).await;
}

/// New connections are refused once the budget is used up, and taken again when there is room.
#[tokio::test(start_paused = true)]
async fn a_full_budget_refuses_new_connections() {
    let (stack, mut raw) = raw_pair_with(|builder| builder.buffer_budget(8192));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    while stack.buffered() < 8192 {
        raw.send(TcpFlags::PSH | TcpFlags::ACK, &[7; 500]);
        sleep(Duration::from_millis(1)).await;
    }
    while raw.packet_within(Duration::from_millis(100)).await.is_some() {}
    let (port, seq) = (raw.local.port(), raw.seq);
    raw.local.set_port(port + 1);
    raw.send(TcpFlags::SYN, b"");
    raw.silence(Duration::from_secs(5)).await;
    assert_eq!(stack.counters().drop_budget_syn, 1);
    let mut buf = vec![0; 100_000];
    assert!(stream.read(&mut buf).await.unwrap() > 0);
    while raw.packet_within(Duration::from_millis(100)).await.is_some() {}
    raw.seq = seq;
    raw.open().await;
    listener.accept().await.unwrap();
}

/// Opens `count` connections of a raw peer; returns its next sequence number and what it acknowledges, by port.
async fn open_raw(
    raw: &mut Raw,
    listener: &TcpListener,
    count: u16,
) -> Vec<(u16, SeqNum, SeqNum, TcpStream)> {
    let mut all = Vec::new();
    for port in 0..count {
        raw.local.set_port(10_000 + port);
        raw.seq = SeqNum(1000);
        raw.open().await;
        let (stream, _) = listener.accept().await.unwrap();
        all.push((10_000 + port, raw.seq, raw.ack, stream));
    }
    all
}

/// A peer that leaves a gap on each of many connections, and sends as much as their windows take behind it.
#[tokio::test(start_paused = true)]
async fn an_out_of_order_flood_stays_within_twice_the_budget() {
    const BUDGET: usize = 1 << 20;
    let (stack, mut raw) = raw_pair_with(|builder| builder.buffer_budget(BUDGET));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let mut connections = open_raw(&mut raw, &listener, 200).await;
    for round in 0..40u32 {
        for (port, seq, ack, _) in &connections {
            raw.local.set_port(*port);
            raw.ack = *ack;
            // Small and large ones, none in order.
            for (offset, len) in [(1 + round * 1500, 1400), (1 + round * 1500 + 1450, 1)] {
                raw.seq = *seq + offset;
                raw.send(TcpFlags::ACK, &vec![9; len]);
            }
            raw.packet().await;
            assert!(stack.buffered() <= 2 * BUDGET, "{} of {BUDGET}", stack.buffered());
        }
        while raw.packet_within(Duration::from_millis(1)).await.is_some() {}
    }
    assert!(stack.counters().budget_out_of_order > 0, "connections gave up what was out of order");
    assert_eq!(stack.counters().drop_budget, 0);
    // Who sends in order comes through all the same.
    let (port, seq, ack, stream) = &mut connections[50];
    raw.local.set_port(*port);
    (raw.seq, raw.ack) = (*seq, *ack);
    raw.send(TcpFlags::PSH | TcpFlags::ACK, b"x");
    let mut buf = [0; 1];
    timeout(HOUR, stream.read_exact(&mut buf)).await.expect("in-order data is taken").unwrap();
    assert_eq!(&buf, b"x");
    stack.abort().await;
    drop(connections);
    assert_eq!(stack.buffered(), 0);
}

/// A peer that fills every window that it was ever given while nobody reads: past twice the budget it is not heard.
#[tokio::test(start_paused = true)]
async fn promises_made_early_stay_within_twice_the_budget() {
    const BUDGET: usize = 256 << 10;
    const COUNT: usize = 60;
    let (stack, mut raw) = raw_pair_with(|builder| builder.buffer_budget(BUDGET));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let connections = open_raw(&mut raw, &listener, COUNT as u16).await;
    for round in 0..40u32 {
        for (port, seq, ack, _) in &connections {
            raw.local.set_port(*port);
            (raw.seq, raw.ack) = (*seq + round * 1400, *ack);
            raw.send(TcpFlags::ACK, &[9; 1400]);
            while raw.packet_within(Duration::from_micros(10)).await.is_some() {}
            assert!(stack.buffered() <= 2 * BUDGET + COUNT * SLACK, "{} of {BUDGET}", stack.buffered());
        }
    }
    assert!(stack.counters().drop_budget > 0);
    stack.abort().await;
    drop(connections);
    assert_eq!(stack.buffered(), 0);
}

/// Numbers that look random, the same on each run.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// One end of a connection: writes `data` in pieces of odd sizes while it reads `expected`, with pauses.
async fn talk(stream: TcpStream, data: Vec<u8>, expected: Vec<u8>, mut seed: u64) {
    let (mut reader, mut writer) = stream.into_split();
    let mut reading = random(&mut seed);
    let write = async move {
        let mut at = 0;
        while at < data.len() {
            let len = (1 + random(&mut seed) as usize % 20_000).min(data.len() - at);
            match random(&mut seed) % 4 {
                0 => {
                    let mut piece = bytes::Bytes::copy_from_slice(&data[at..at + len]);
                    at += writer.write_bytes(&mut piece).await.unwrap();
                }
                1 => {
                    // A writer that gives up waiting leaves its place to others.
                    let write = writer.write(&data[at..at + len]);
                    if let Ok(taken) = timeout(Duration::from_millis(random(&mut seed) % 50), write).await {
                        at += taken.unwrap();
                    }
                }
                _ => at += writer.write(&data[at..at + len]).await.unwrap(),
            }
            if random(&mut seed).is_multiple_of(16) {
                sleep(Duration::from_millis(random(&mut seed) % 30)).await;
            }
        }
        writer.shutdown().await.unwrap();
        writer
    };
    let read = async move {
        let mut got = Vec::new();
        let mut buf = vec![0; 10_000];
        loop {
            let want = 1 + random(&mut reading) as usize % buf.len();
            match reader.read(&mut buf[..want]).await.unwrap() {
                0 => break,
                len => got.extend_from_slice(&buf[..len]),
            }
            if random(&mut reading).is_multiple_of(16) {
                sleep(Duration::from_millis(random(&mut reading) % 100)).await;
            }
        }
        assert!(got == expected, "{} of {} bytes, or others", got.len(), expected.len());
        reader
    };
    let ends = tokio::join!(write, read);
    drop(ends);
}

/// Both ways at once over several connections with next to no budget, whatever the sizes and the pauses.
#[tokio::test(start_paused = true)]
async fn transfers_complete_with_a_tiny_budget() {
    for seed in 0..12 {
        let mut random_seed = seed;
        let sizes = [0, 1, 10_000, 65_536, 200_000];
        let budgets = [0, 1, 2].map(|_| sizes[random(&mut random_seed) as usize % sizes.len()]);
        let (server, client) = stacks(budgets[0], budgets[1]);
        let (connected, accepted) = open(&server, &client, 4).await;
        let mut tasks = Vec::new();
        for (number, (here, there)) in connected.into_iter().zip(accepted).enumerate() {
            let up = pattern(1 + random(&mut random_seed) as usize % 150_000);
            let down = pattern(1 + random(&mut random_seed) as usize % 150_000);
            let number = number as u64;
            tasks.push(tokio::spawn(talk(here, up.clone(), down.clone(), seed * 100 + number)));
            tasks.push(tokio::spawn(talk(there, down, up, seed * 100 + 50 + number)));
        }
        for task in tasks {
            timeout(HOUR, task).await.unwrap_or_else(|_| panic!("seed {seed} wedges")).unwrap();
        }
        end_at_zero([&server, &client]).await;
    }
}
