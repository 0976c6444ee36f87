//! Many hosts that come and go over a bad link, in virtual time: at the end all that was echoed was what was sent, as many
//! connections have ended as began, and nothing is held.
//!
//! The ordinary test is a day of fifty hosts. A month of a thousand:
//! `NETSTACK_DAYS=30 NETSTACK_HOSTS=1000 cargo test --release -p netstack-proof --test soak -- --nocapture`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use netstack_sim::device::pair;
use netstack_sim::{LinkConfig, SimRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_netstack::{Stack, TcpListener, TcpStream};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 7);

/// What a host, and then all of them, did.
#[derive(Debug, Default)]
struct Tally {
    orderly: u64,
    aborted: u64,
    dropped: u64,
    failed: u64,
    sent: u64,
    echoed: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.orderly += other.orderly;
        self.aborted += other.aborted;
        self.dropped += other.dropped;
        self.failed += other.failed;
        self.sent += other.sent;
        self.echoed += other.echoed;
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let parse =
        |text: String| text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}"));
    std::env::var(variable).map_or(otherwise, parse)
}

fn bad_link() -> LinkConfig {
    let mut link = LinkConfig::new();
    link.rate(50_000_000)
        .delay(Duration::from_millis(25))
        .loss(0.01)
        .duplicate(0.005)
        .reorder(0.02, Duration::from_millis(8));
    link
}

/// Sends back what comes, as long as somebody reads it.
async fn echo(mut stream: TcpStream) {
    let mut buf = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buf).await {
            Ok(0) => break,
            Ok(n) if stream.write_all(&buf[..n]).await.is_ok() => {}
            _ => return,
        }
    }
    // A peer that is gone needs no farewell.
    let _ = stream.shutdown().await;
}

/// One connection in one of many ways.
async fn call(stack: &Stack, rng: &mut SimRng, tally: &mut Tally) {
    let Ok(stream) = TcpStream::connect(stack, SERVER).await else {
        tally.failed += 1;
        return;
    };
    let most = 256 << rng.below(10);
    let message: Vec<u8> = (0..rng.below(most)).map(|_| rng.next_u64() as u8).collect();
    let (mut reader, mut writer) = stream.into_split();
    let habit = rng.below(8);
    if habit < 2 {
        // Half of it, and then no more interest in what comes back.
        let sent = writer.write_all(&message[..message.len() / 2]).await;
        let mut some = [0; 64];
        if habit == 0 && sent.is_ok() && message.len() > 1 {
            let _ = reader.read(&mut some).await;
        }
        let stream = reader.reunite(writer).expect("they are halves of one");
        if rng.one_in(2) {
            stream.set_linger(Some(Duration::ZERO)).expect("the stream is open");
            tally.aborted += 1;
        } else {
            tally.dropped += 1;
        }
        return;
    }
    let expected = message.clone();
    let back = tokio::spawn(async move {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).await.map(|_| back)
    });
    writer.write_all(&message).await.expect("the server reads");
    // Half-closed: the rest of the echo comes behind the FIN.
    writer.shutdown().await.expect("the connection is open");
    let back = back.await.expect("the reader is well").expect("nobody resets");
    assert!(back == expected, "the echo differs from what was sent");
    tally.orderly += 1;
    tally.sent += message.len() as u64;
    tally.echoed += back.len() as u64;
}

async fn host(stack: Stack, id: u64, end: Instant, pause: Duration) -> Tally {
    let mut rng = SimRng::new(7, id);
    let mut tally = Tally::default();
    loop {
        sleep(pause.mul_f64(rng.below(2000) as f64 / 1000.0)).await;
        if Instant::now() >= end {
            return tally;
        }
        call(&stack, &mut rng, &mut tally).await;
    }
}

/// Resident memory of this process, KiB; 0 where that cannot be told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn what_comes_goes_and_nothing_is_left() {
    let (days, hosts) = (number("NETSTACK_DAYS", 1), number("NETSTACK_HOSTS", 50));
    let pause = Duration::from_secs(60 * number("NETSTACK_PAUSE_MINUTES", 360));
    let (a, b, _wire) = pair(7, 1500, &bad_link(), &bad_link());
    let client = Stack::builder().device(a).address("192.0.2.1/24".parse().expect("an address"));
    let server = Stack::builder().device(b).address("192.0.2.2/24".parse().expect("an address"));
    let client = client.seed_for_test(1).build().expect("a stack");
    let server = server.seed_for_test(2).build().expect("a stack");
    let listener = TcpListener::bind(&server, SERVER).await.expect("the port is free");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    let before = resident();
    let end = Instant::now() + Duration::from_secs(86_400 * days);
    let mut crowd = JoinSet::new();
    for id in 0..hosts {
        crowd.spawn(host(client.clone(), id, end, pause));
    }
    let mut all = Tally::default();
    while let Some(tally) = crowd.join_next().await {
        all.add(&tally.expect("a host is well"));
    }
    // Past TIME-WAIT, and past the longest that an orphan may take.
    sleep(Duration::from_secs(1200)).await;
    println!("{days} days, {hosts} hosts: {all:?}; resident {before} KiB before, {} KiB after", resident());
    let (opened, accepted) = (client.counters().connections_opened, server.counters().connections_accepted);
    assert_eq!(all.orderly + all.aborted + all.dropped, opened, "each connection that opened has ended");
    // A reset that overtakes the handshake's last ACK ends what nobody has accepted yet.
    assert!(accepted <= opened && opened - accepted <= all.aborted, "{accepted} of {opened} were accepted");
    assert_eq!(all.failed, 0);
    assert_eq!(all.sent, all.echoed, "bytes in are bytes out");
    assert!(all.orderly > 0 && all.aborted > 0 && all.dropped > 0);
    for stack in [&client, &server] {
        assert_eq!((stack.connection_count(), stack.time_wait_count(), stack.buffered()), (0, 0, 0));
    }
}
