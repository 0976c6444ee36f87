//! Many hosts that come and go over a bad link, in virtual time: at the end all that was sent has come to both ends as it was, as
//! many connections have ended as began, and nothing is held: no connection, task, table entry, byte of a buffer, nor memory.
//!
//! The ordinary test is a day of fifty hosts. A month of a thousand:
//! `NETSTACK_DAYS=30 NETSTACK_HOSTS=1000 cargo test --release -p netstack-proof --test soak -- --nocapture`.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use netstack_sim::device::{Wire, pair};
use netstack_sim::{LinkConfig, SimRng};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_netstack::{KeepAlive, Stack, TcpConfig, TcpListener, TcpStream};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 7);

/// Memory that the stacks, the thread and the harness keep for next time: tables that have grown, and buffers at hand. It depends
/// on how many hosts there are at once, and not on how many connections there were.
const KEPT: i64 = 512 << 10;

/// By how much resident memory may grow: pages of the program that were not read before, and what the allocator keeps of the
/// crowd's peak.
const RESIDENT: u64 = 8 << 20;

/// What a host, and then all of them, did.
#[derive(Debug, Default)]
struct Tally {
    orderly: u64,
    aborted: u64,
    dropped: u64,
    failed: u64,
    sent: u64,
    received: u64,
    /// What the server had of the orderly connections, and what it sent on them.
    at_server: u64,
    from_server: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.orderly += other.orderly;
        self.aborted += other.aborted;
        self.dropped += other.dropped;
        self.failed += other.failed;
        self.sent += other.sent;
        self.received += other.received;
        self.at_server += other.at_server;
        self.from_server += other.from_server;
    }
}

/// What the server has to say of a connection that came to its end.
#[derive(Clone, Copy, Debug)]
struct Receipt {
    received: u64,
    sent: u64,
    digest: [u8; 32],
}

/// What the server did; clones are of the same.
#[derive(Clone, Debug, Default)]
struct Books(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    accepted: u64,
    /// Connections whose end came, and those that failed before it.
    ended: u64,
    cut: u64,
    /// Receipts that a host waits for, by its address.
    receipts: HashMap<SocketAddr, Option<Receipt>>,
}

impl Books {
    fn open(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection came to its end.
    fn end(&self, host: SocketAddr, receipt: Receipt) {
        let mut book = self.open();
        book.ended += 1;
        if let Some(place) = book.receipts.get_mut(&host) {
            *place = Some(receipt);
        }
    }

    /// Takes what comes, and sends it back as long as somebody reads it.
    async fn serve(self, mut stream: TcpStream, host: SocketAddr) {
        self.open().accepted += 1;
        let mut receipt = Receipt { received: 0, sent: 0, digest: [0; 32] };
        let mut digest = Sha256::new();
        let mut buf = vec![0; 16 * 1024];
        loop {
            let text = match stream.read(&mut buf).await {
                Ok(0) => break,
                Ok(n) => &buf[..n],
                Err(_) => return self.open().cut += 1,
            };
            receipt.received += text.len() as u64;
            digest.update(text);
            if stream.write_all(text).await.is_err() {
                return self.open().cut += 1;
            }
            receipt.sent += text.len() as u64;
        }
        receipt.digest = digest.finalize().into();
        self.end(host, receipt);
        // A peer that is gone needs no farewell.
        let _ = stream.shutdown().await;
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

/// One connection in one of many ways.
async fn call(stack: &Stack, books: &Books, rng: &mut SimRng, tally: &mut Tally) {
    let Ok(stream) = TcpStream::connect(stack, SERVER).await else {
        tally.failed += 1;
        return;
    };
    let local = stream.local_addr().expect("it is connected");
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
    books.open().receipts.insert(local, None);
    let back = tokio::spawn(async move {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).await.map(|_| back)
    });
    writer.write_all(&message).await.expect("the server reads");
    // Half-closed: the rest of the echo comes behind the FIN.
    writer.shutdown().await.expect("the connection is open");
    let back = back.await.expect("the reader is well").expect("nobody resets");
    let receipt =
        books.open().receipts.remove(&local).flatten().expect("the server closed after the end of it");
    let digest: [u8; 32] = Sha256::digest(&message).into();
    assert_eq!(receipt.digest, digest, "the server had something else than what was sent");
    assert!(back == message, "the echo differs from what was sent");
    tally.orderly += 1;
    tally.sent += message.len() as u64;
    tally.received += back.len() as u64;
    tally.at_server += receipt.received;
    tally.from_server += receipt.sent;
}

async fn host(stack: Stack, books: Books, id: u64, end: Instant, pause: Duration) -> Tally {
    let mut rng = SimRng::new(7, id);
    let mut tally = Tally::default();
    loop {
        sleep(pause.mul_f64(rng.below(2000) as f64 / 1000.0)).await;
        if Instant::now() >= end {
            return tally;
        }
        call(&stack, &books, &mut rng, &mut tally).await;
    }
}

/// Two stacks, and a service on the second.
struct Scene {
    client: Stack,
    server: Stack,
    books: Books,
    _wire: Wire,
}

/// What there is of a scene at one time: of both stacks the connections, the records of TIME-WAIT and the bytes in buffers; and
/// the tasks.
type Held = ([(usize, usize, usize); 2], usize);

impl Scene {
    async fn open() -> Self {
        let (a, b, wire) = pair(7, 1500, &bad_link(), &bad_link());
        // A reset may be lost, and nothing tells the server then that its peer has gone: only keep-alive finds that out.
        let mut tcp = TcpConfig::new();
        tcp.keepalive(Some(KeepAlive::default()));
        let client = Stack::builder().device(a).address("192.0.2.1/24".parse().expect("an address"));
        let server = Stack::builder().device(b).address("192.0.2.2/24".parse().expect("an address"));
        let client = client.seed_for_test(1).build().expect("a stack");
        let server = server.tcp_config(tcp).seed_for_test(2).build().expect("a stack");
        let listener = TcpListener::bind(&server, SERVER).await.expect("the port is free");
        let books = Books::default();
        let service = books.clone();
        tokio::spawn(async move {
            while let Ok((stream, host)) = listener.accept().await {
                tokio::spawn(service.clone().serve(stream, host));
            }
        });
        Self { client, server, books, _wire: wire }
    }

    fn held(&self, runtime: &Runtime) -> Held {
        let of = |stack: &Stack| (stack.connection_count(), stack.time_wait_count(), stack.buffered());
        ([of(&self.client), of(&self.server)], runtime.metrics().num_alive_tasks())
    }

    /// Hosts come and go for so long, and then for as long as it takes to be sure that the last has gone.
    async fn crowd(&self, days: u64, hosts: u64, pause: Duration) -> Tally {
        let end = Instant::now() + Duration::from_secs(86_400 * days);
        let mut crowd = JoinSet::new();
        for id in 0..hosts {
            crowd.spawn(host(self.client.clone(), self.books.clone(), id, end, pause));
        }
        let mut all = Tally::default();
        while let Some(tally) = crowd.join_next().await {
            all.add(&tally.expect("a host is well"));
        }
        // Past TIME-WAIT, past the longest that an orphan may take, and past the last probe of keep-alive.
        sleep(Duration::from_secs(3 * 3600)).await;
        all
    }
}

/// Resident memory of this process, bytes.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.expect("there is /proc").vmrss.expect("it has memory") << 10
}

#[cfg(not(target_os = "linux"))]
fn resident() -> u64 {
    0
}

#[test]
fn what_comes_goes_and_nothing_is_left() {
    let (days, hosts) = (number("NETSTACK_DAYS", 1), number("NETSTACK_HOSTS", 50));
    let pause = Duration::from_secs(60 * number("NETSTACK_PAUSE_MINUTES", 360));
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let scene = runtime.block_on(Scene::open());
    let (before, resident_before) = (scene.held(&runtime), resident());
    let mut all = Tally::default();
    // The runtime has no thread but this, whose allocations are counted.
    let memory = allocation_counter::measure(|| all = runtime.block_on(scene.crowd(days, hosts, pause)));
    let (after, resident_after) = (scene.held(&runtime), resident());
    println!("{days} days, {hosts} hosts: {all:?}");
    println!(
        "allocated: {} KiB at most, {} KiB more after than before; resident: {} KiB before, {} KiB after",
        memory.bytes_max >> 10,
        memory.bytes_current >> 10,
        resident_before >> 10,
        resident_after >> 10
    );
    let (opened, accepted) =
        (scene.client.counters().connections_opened, scene.server.counters().connections_accepted);
    let book = scene.books.open();
    println!("{opened} opened, {accepted} accepted: {} ended, {} cut off", book.ended, book.cut);
    assert_eq!(all.orderly + all.aborted + all.dropped, opened, "each connection that opened has ended");
    assert_eq!(book.accepted, accepted);
    assert_eq!(book.ended + book.cut, accepted, "each connection that was accepted has ended");
    // A reset that overtakes the handshake's last ACK ends what nobody has accepted yet.
    assert!(accepted <= opened && opened - accepted <= all.aborted, "{accepted} of {opened} were accepted");
    assert_eq!(all.failed, 0);
    assert_eq!(all.sent, all.at_server, "bytes in are bytes out, there");
    assert_eq!(all.from_server, all.received, "bytes in are bytes out, back");
    assert!(all.orderly > 0 && all.aborted > 0 && all.dropped > 0);
    assert!(book.receipts.is_empty());
    assert_eq!(before.0, [(0, 0, 0); 2]);
    assert_eq!(after, before, "connections, records of TIME-WAIT and bytes of either stack; tasks");
    assert!(memory.bytes_current < KEPT, "{} bytes are still allocated", memory.bytes_current);
    let grown = resident_after.saturating_sub(resident_before);
    assert!(grown <= RESIDENT, "resident memory has grown by {grown} bytes");
}
