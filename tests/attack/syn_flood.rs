//! SYNs from addresses that nobody has (RFC 4987).

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader, TcpOptions, Timestamps};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_netstack::{ListenConfig, Stack, StackBuilder, SynPolicy, TcpListener, TcpStream, device};

use crate::common::{CLIENT, PORT, Raw, SERVER, addr, builder, raw_device, raw_pair_with};
use crate::meter::{alive, assert_clean, measured, runtime};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const RST: TcpFlags = TcpFlags::RST;
const PSH: TcpFlags = TcpFlags::PSH;

const TICK: Duration = Duration::from_millis(2);

fn listen(builder: StackBuilder, policy: SynPolicy, half_open: usize) -> StackBuilder {
    let mut config = ListenConfig::new();
    config.max_half_open(half_open).syn_policy(policy);
    builder.listen_config(config)
}

/// A SYN with the options of an ordinary client, from one of a million addresses and ports.
fn forged(raw: &mut Raw, n: u32) -> TcpHeader {
    let host = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 51, 100, 1)) + n % 250);
    raw.local = (host, 1024 + (n / 250) as u16).into();
    raw.seq = SeqNum(n.wrapping_mul(2_654_435_761));
    syn(raw, true)
}

fn syn(raw: &Raw, timestamps: bool) -> TcpHeader {
    let options = TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: timestamps.then_some(Timestamps { val: 1000, ecr: 0 }),
        ..TcpOptions::default()
    };
    TcpHeader { options, ..raw.header(SYN) }
}

/// Forgets all that the stack has sent by now.
async fn drain(raw: &mut Raw) {
    while raw.packet_within(TICK).await.is_some() {}
}

/// A client at the raw end, whose SYN and whose answer to the SYN-ACK are as given; it says "ping" and hears "pong".
async fn client(raw: &mut Raw, listener: &TcpListener, port: u16, timestamps: bool) -> TcpStream {
    raw.local = addr(CLIENT, port);
    raw.seq = SeqNum(0xffff_fff0);
    let syn = syn(raw, timestamps);
    raw.send_header(&syn, b"");
    let answer = raw.recv_within(TICK).await.expect("a SYN-ACK");
    assert_eq!((answer.header.flags, answer.header.ack), (SYN | ACK, raw.seq + 1));
    assert_eq!(answer.header.options.timestamps.is_some(), timestamps);
    (raw.seq, raw.ack) = (raw.seq + 1, answer.header.seq + 1);
    let echoed = answer.header.options.timestamps.map(|ts| Timestamps { val: 1001, ecr: ts.val });
    let mut ack = raw.header(ACK);
    ack.options.timestamps = echoed;
    raw.send_header(&ack, b"");
    let (mut stream, peer) = timeout(TICK, listener.accept()).await.unwrap().unwrap();
    assert_eq!(peer, raw.local);
    let mut data = TcpHeader { flags: ACK | PSH, ..ack };
    data.options.timestamps = echoed;
    raw.send_header(&data, b"ping");
    raw.seq += 4;
    timeout(TICK, stream.read_exact(&mut [0; 4])).await.unwrap().unwrap();
    stream.write_all(b"pong").await.unwrap();
    let pong = loop {
        let seen = raw.recv_within(TICK).await.expect("an answer");
        if !seen.payload.is_empty() {
            break seen;
        }
    };
    assert_eq!((&pong.payload[..], pong.header.seq), (&b"pong"[..], raw.ack));
    raw.ack += 4;
    stream
}

/// Fills the table of half-open connections.
async fn fill(raw: &mut Raw, half_open: u32) {
    for n in 0..half_open {
        let syn = forged(raw, n);
        raw.send_header(&syn, b"");
    }
    tokio::time::sleep(TICK).await;
    drain(raw).await;
}

/// With the table full the next client is answered all the same, with all its options where it has timestamps.
// req: R4987-2, R4987-3, R4987-5
#[tokio::test(start_paused = true)]
async fn a_client_opens_by_cookie_while_the_table_is_full() {
    let (stack, mut raw) = raw_pair_with(|builder| listen(builder, SynPolicy::CookiesWhenFull, 8));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let tasks = alive();
    fill(&mut raw, 8).await;
    assert_eq!((stack.connection_count(), stack.counters().syn_cookies_sent), (8, 0));
    for (port, timestamps) in [(1, true), (2, false)] {
        let stream = client(&mut raw, &listener, port, timestamps).await;
        let info = stream.info().await.unwrap();
        assert_eq!((info.sack, info.timestamps), (timestamps, timestamps));
        assert_eq!((info.snd_wscale, info.rcv_wscale), if timestamps { (7, 7) } else { (0, 0) });
        stream.set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        drain(&mut raw).await;
    }
    let counters = stack.counters();
    assert_eq!((counters.syn_cookies_sent, counters.syn_cookies_accepted), (2, 2));
    assert_eq!((counters.connections_accepted, counters.drop_half_open_full), (2, 0));
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_clean(&stack, tasks).await;
}

/// Where every SYN is answered with a cookie no SYN costs memory, and clients notice nothing.
// req: R4987-2, R4987-3
#[tokio::test(start_paused = true)]
async fn always_cookies_keep_nothing() {
    let (stack, mut raw) = raw_pair_with(|builder| listen(builder, SynPolicy::AlwaysCookies, 8));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    for n in 0..200 {
        let syn = forged(&mut raw, n);
        raw.send_header(&syn, b"");
        assert_eq!(raw.recv_within(TICK).await.unwrap().header.flags, SYN | ACK);
    }
    assert_eq!(stack.connection_count(), 0);
    client(&mut raw, &listener, 5, true).await;
}

/// The oldest handshake makes room, without a word; one that has been completed meanwhile stays.
// req: R4987-2
#[tokio::test(start_paused = true)]
async fn the_oldest_handshake_makes_room() {
    let (stack, mut raw) = raw_pair_with(|builder| listen(builder, SynPolicy::RecycleOldest, 4));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let first = client(&mut raw, &listener, 1, true).await;
    for n in 0..1_000 {
        let syn = forged(&mut raw, n);
        raw.send_header(&syn, b"");
        let answer = raw.recv_within(TICK).await.expect("each is answered");
        assert_eq!(answer.header.flags, SYN | ACK, "and nobody is told anything else");
        assert!(stack.connection_count() <= 5, "{}", stack.connection_count());
    }
    assert_eq!(stack.counters().half_open_recycled, 1_000 - 4);
    // All at once: those that are to end have had no turn yet.
    for n in 0..300 {
        let syn = forged(&mut raw, 5_000 + n);
        raw.send_header(&syn, b"");
    }
    tokio::time::sleep(TICK).await;
    assert!(stack.connection_count() <= 5, "{}", stack.connection_count());
    drain(&mut raw).await;
    let second = client(&mut raw, &listener, 2, true).await;
    assert_eq!(stack.connection_count(), 2 + 3);
    drop((first, second));
}

/// A forged answer earns a reset, and opens nothing; so does one that comes too late.
// req: R4987-4
#[tokio::test(start_paused = true)]
async fn a_forged_answer_earns_a_reset() {
    let (stack, mut raw) = raw_pair_with(|builder| listen(builder, SynPolicy::AlwaysCookies, 8));
    let _listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let header = syn(&raw, true);
    raw.send_header(&header, b"");
    let cookie = raw.recv_within(TICK).await.unwrap().header.seq;
    raw.seq += 1;
    for ack in [cookie, cookie + 2, cookie + (1 << 31), SeqNum(0)] {
        raw.ack = ack;
        raw.send(ACK, b"");
        let answer = raw.recv_within(TICK).await.unwrap().header;
        assert_eq!((answer.flags, answer.seq), (RST, ack));
    }
    assert_eq!((stack.counters().syn_cookies_bad, stack.connection_count()), (4, 0));
    tokio::time::sleep(Duration::from_secs(192)).await;
    raw.ack = cookie + 1;
    raw.send(ACK, b"");
    assert_eq!(raw.recv_within(TICK).await.unwrap().header.flags, RST, "too late");
    assert_eq!(stack.connection_count(), 0);
}

/// The accept queue bounds those that open by cookie like any other.
// req: R4987-6
#[tokio::test(start_paused = true)]
async fn cookies_do_not_pass_the_accept_queue() {
    let mut config = ListenConfig::new();
    config.backlog(3).syn_policy(SynPolicy::AlwaysCookies);
    let (stack, mut raw) = raw_pair_with(|builder| builder.listen_config(config));
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    let mut answers = Vec::new();
    for port in 1..=10 {
        raw.local.set_port(port);
        raw.seq = SeqNum(77);
        let header = syn(&raw, false);
        raw.send_header(&header, b"");
        answers.push((port, raw.recv_within(TICK).await.unwrap().header.seq + 1));
    }
    raw.seq = SeqNum(78);
    for &(port, ack) in &answers {
        raw.local.set_port(port);
        raw.ack = ack;
        raw.send(ACK, b"");
    }
    raw.silence(TICK).await;
    assert_eq!((stack.connection_count(), stack.counters().accept_queue_full), (3, 7));
    let _accepted = listener.accept().await.unwrap();
    // The peer's first data knocks again.
    let (port, ack) = answers[9];
    raw.local.set_port(port);
    raw.ack = ack;
    raw.send(ACK | PSH, b"hello");
    let mut last = None;
    for _ in 0..3 {
        last = Some(timeout(TICK, listener.accept()).await.unwrap().unwrap().0);
    }
    let mut text = [0; 5];
    last.unwrap().read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello");
}

/// SYNs sent, and the connects of a real client beside them.
const SYNS: u32 = 1_000_000;
const CONNECTS: u32 = 20;

/// A million forged SYNs on one device, and a client on another that connects all the while.
async fn a_million_syns(stack: &Stack, raw: &mut Raw, honest: &Stack) {
    let listener = TcpListener::bind(stack, addr(SERVER, PORT)).await.unwrap();
    for n in 0..SYNS {
        let syn = forged(raw, n);
        raw.send_header(&syn, b"");
        if n % 256 == 255 {
            drain(raw).await;
        }
        if n % (SYNS / CONNECTS) != 0 {
            continue;
        }
        let start = tokio::time::Instant::now();
        let mut stream = TcpStream::connect(honest, addr(SERVER, PORT)).await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "one SYN sent again at most: {:?}",
            start.elapsed()
        );
        let (mut accepted, _) = listener.accept().await.unwrap();
        accepted.write_all(b"welcome").await.unwrap();
        drop(accepted);
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "welcome");
    }
    drain(raw).await;
}

/// Resident bytes of this process.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    procfs::process::Process::myself().unwrap().status().unwrap().vmrss.unwrap() << 10
}

/// The flood's own process: what else the tests allocate would count too.
const ALONE: &str = "NETSTACK_SYN_FLOOD_ALONE";

/// A million forged SYNs grow the memory of the process by at most 16 MiB, and who really wants to connect does, with one
/// SYN sent again at most.
// req: R4987-1, R4987-2
#[test]
#[cfg(target_os = "linux")]
fn a_million_forged_syns() {
    if std::env::var_os(ALONE).is_none() {
        let name = "syn_flood::a_million_forged_syns";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let status = child.args(["--exact", name, "--nocapture"]).env(ALONE, "1").status().unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    let runtime = runtime();
    let entered = runtime.enter();
    let caps = device::Capabilities::ip(1500);
    let (attacked, mut raw) = raw_device(caps.clone(), 512);
    let (ours, theirs) = device::memory::pair(caps.clone(), caps);
    let stack = builder(attacked, 1).device(ours).address("203.0.113.1/24".parse().unwrap()).build().unwrap();
    let honest = Stack::builder().device(theirs).address("203.0.113.2/24".parse().unwrap()).build().unwrap();
    let tasks = alive();
    drop(entered);
    let before = resident();
    let ((), memory) = measured(&runtime, a_million_syns(&stack, &mut raw, &honest));
    let grown = resident().saturating_sub(before);
    println!(
        "{SYNS} forged SYNs: resident memory grew by {} KiB, at most {} KiB were allocated at once, {} connects beside them",
        grown >> 10,
        memory.bytes_max >> 10,
        CONNECTS
    );
    assert!(grown <= 16 << 20, "resident memory grew by {grown} bytes");
    assert!(memory.bytes_max <= 16 << 20, "{} bytes were allocated at once", memory.bytes_max);
    let counters = stack.counters();
    assert!(counters.syn_cookies_sent > u64::from(SYNS) / 2, "{counters:?}");
    runtime.block_on(async {
        tokio::time::sleep(Duration::from_secs(200)).await;
        drain(&mut raw).await;
        assert_clean(&stack, tasks).await;
        assert_clean(&honest, tasks).await;
    });
}
