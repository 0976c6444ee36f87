//! A soak: connections of every kind in both directions between the stack and the kernel, many at once, until time is up. Then
//! all checksums were equal, as many connections have ended as began, as many octets have come as went, and nothing is held.
//!
//! The ordinary run takes some seconds. Ten minutes:
//! `NETSTACK_SOAK_SECONDS=600 cargo test --release -p netstack-tests --test kernel soak -- --nocapture`.
//! `NETSTACK_SEED` is what all choices come from; what the machine makes of them differs from run to run.

mod ledger;
mod talk;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netstack_sim::SimRng;
use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::Process;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio_netstack::{StackCounters, TcpConfig};

use crate::cases::Family;
use crate::world::{CaseResult, DEVICE, Failure, World, ensure, print_counters};
use ledger::{Account, Ledger};
use talk::{Accept, Dial, KEEPALIVE, Kernel, Request, answer, ask};

/// Clients of either side at once.
const CLIENTS: u64 = 32;
/// The longest pause of a client between two connections. It bounds their number: neither side runs out of ports.
const PAUSE: u64 = 100;
/// One connection in so many is to a port that nobody listens on.
const CLOSED: u64 = 12;
const PORT: u16 = 7;
const CLOSED_PORT: u16 = 9;
/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the warm-up takes at most.
const WARM_UP: Duration = Duration::from_secs(20);
/// How long the kernel keeps TIME-WAIT.
const TIME_WAIT: Duration = Duration::from_secs(60);
/// By how much resident memory may grow between the end of the warm-up and the end of the soak: the allocator keeps pages of
/// the soak's peak which the shorter warm-up did not reach. It is a bound for all connections together: at 20,000 connections
/// and more a leak of a kilobyte each would pass it.
const RESIDENT: u64 = 16 << 20;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// How long connections are opened.
fn length() -> Duration {
    Duration::from_secs(number("NETSTACK_SOAK_SECONDS").unwrap_or(4))
}

/// Long enough for the kernel's TIME-WAIT to end within it, so that it may be waited for.
fn is_long() -> bool {
    length() >= TIME_WAIT
}

/// What the length adds to the case's deadline, with the warm-up.
pub(crate) fn extra() -> Duration {
    length() + length() / 4
}

pub(crate) fn settings(config: &mut TcpConfig) {
    config.keepalive(Some(KEEPALIVE)).time_wait(if is_long() { TIME_WAIT } else { Duration::from_secs(1) });
}

/// What there is at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    connections: usize,
    time_wait: usize,
    buffered: usize,
    stack_tasks: usize,
    kernel_tasks: usize,
    /// The kernel's sockets, but for those that listen and, in a short run, those in TIME-WAIT.
    kernel_sockets: usize,
}

impl Held {
    fn of(world: &World) -> io::Result<Self> {
        Ok(Self {
            connections: world.stack.connection_count(),
            time_wait: world.stack.time_wait_count(),
            buffered: world.stack.buffered(),
            stack_tasks: Handle::current().metrics().num_alive_tasks(),
            kernel_tasks: world.kernel.metrics().num_alive_tasks(),
            kernel_sockets: kernel_sockets()?,
        })
    }
}

/// The sockets in the kernel's tables.
fn kernel_sockets() -> io::Result<usize> {
    let counts = |entry: &TcpNetEntry| match entry.state {
        TcpState::Listen => false,
        TcpState::TimeWait => is_long(),
        _ => true,
    };
    let tables = procfs::net::tcp().and_then(|v4| Ok((v4, procfs::net::tcp6()?)));
    let (v4, v6) = tables.map_err(io::Error::other)?;
    Ok(v4.iter().chain(&v6).filter(|entry| counts(entry)).count())
}

/// Resident memory of this process in bytes, which holds both ends' applications, the stack, and no socket of the kernel's.
fn resident() -> io::Result<u64> {
    let status = Process::myself().and_then(|process| process.status()).map_err(io::Error::other)?;
    Ok(status.vmrss.ok_or(io::ErrorKind::InvalidData)? << 10)
}

/// Connections that the kernel opened, and that it was asked for.
fn kernel_opens() -> io::Result<(u64, u64)> {
    let snmp = procfs::net::snmp().map_err(io::Error::other)?;
    Ok((snmp.tcp_active_opens, snmp.tcp_passive_opens))
}

/// What has passed a device in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Passed {
    frames: u64,
    octets: u64,
}

/// What the kernel's end of the device has received, and what it has sent.
fn kernel_passed() -> io::Result<(Passed, Passed)> {
    let devices = procfs::net::dev_status().map_err(io::Error::other)?;
    let status = devices.get(DEVICE).ok_or(io::ErrorKind::NotFound)?;
    let received = Passed { frames: status.recv_packets, octets: status.recv_bytes };
    Ok((received, Passed { frames: status.sent_packets, octets: status.sent_bytes }))
}

// req: S-LISTEN-3, S-RST-3, S-CLOSED-2, S-SYNSENT-2, S-FIN-4, S-FIN-6, MUST-41
pub(crate) async fn churn(world: Arc<World>) -> CaseResult {
    let seed = number("NETSTACK_SEED").unwrap_or(1);
    eprintln!("again: NETSTACK_SEED={seed} NETSTACK_SOAK_SECONDS={}", length().as_secs());
    let ledger = Ledger::default();
    let services = serve(&world, &ledger).await?;
    let before_all = quiet(&world, &ledger).await?;
    round(&world, seed, (length() / 5).min(WARM_UP), &ledger).await?;
    let before = quiet(&world, &ledger).await?;
    ensure!(
        before == before_all,
        "after the warm-up there is {before:?}, before it there was {before_all:?}"
    );
    let resident_before = resident()?;
    let peak = round(&world, !seed, length(), &ledger).await?;
    let after = quiet(&world, &ledger).await?;
    let resident_after = resident()?;
    eprintln!("at most: {} connections, {} KiB in buffers", peak.connections, peak.buffered >> 10);
    eprintln!(
        "resident: {} KiB before, {} at most, {} after",
        resident_before >> 10,
        peak.resident >> 10,
        resident_after >> 10
    );
    ledger.print();
    print_counters(&world.stack);
    ensure!(after == before, "after the soak there is {after:?}, before it there was {before:?}");
    let grown = resident_after.saturating_sub(resident_before);
    ensure!(grown <= RESIDENT, "resident memory has grown by {grown} bytes");
    ledger.balance()?;
    balance_counters(&world, &ledger)?;
    for service in services {
        service.abort();
    }
    Ok(())
}

/// The services of both ends, at both families' addresses.
async fn serve(world: &World, ledger: &Ledger) -> Result<Vec<JoinHandle<()>>, Failure> {
    let mut services = Vec::new();
    for family in [Family::V4, Family::V6] {
        let at_stack = tokio_netstack::TcpListener::bind(&world.stack, (family.stack_ip(), PORT)).await?;
        services.push(tokio::spawn(service(at_stack, ledger.stack_server.clone())));
        let at_kernel = (family.kernel_ip(), PORT);
        let at_kernel = world.on_kernel(tokio::net::TcpListener::bind(at_kernel)).await??;
        services.push(world.on_kernel(service(at_kernel, ledger.kernel_server.clone())));
    }
    Ok(services)
}

async fn service(listener: impl Accept + Sync, account: Account) {
    loop {
        match listener.next().await {
            Ok(stream) => {
                account.opened();
                let account = account.clone();
                tokio::spawn(async move { account.ended(within(answer(stream)).await) });
            }
            Err(error) => account.failed(format!("accepting: {error}")),
        }
    }
}

async fn within<T>(talk: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, talk).await.unwrap_or_else(|_| Err(io::Error::other("it hangs")))
}

/// Opens connections one after the other, until it is time.
async fn client(dial: impl Dial, targets: [SocketAddr; 2], account: Account, mut rng: SimRng, end: Instant) {
    loop {
        tokio::time::sleep(Duration::from_millis(rng.below(PAUSE))).await;
        if Instant::now() >= end {
            return;
        }
        let mut target = targets[rng.below(2) as usize];
        let closed = rng.one_in(CLOSED);
        if closed {
            target.set_port(CLOSED_PORT);
        }
        match within(dial.dial(target)).await {
            Ok(_) if closed => account.failed("connected where nobody listens".to_owned()),
            Ok(stream) => {
                account.opened();
                account.ended(within(ask(stream, Request::random(&mut rng))).await);
            }
            Err(error) if closed && error.kind() == io::ErrorKind::ConnectionRefused => account.refused(),
            Err(error) => account.failed(format!("connecting to {target}: {error}")),
        }
    }
}

/// The most that there was at one time.
#[derive(Debug, Default)]
struct Peak {
    connections: usize,
    buffered: usize,
    resident: u64,
}

/// Clients of both sides come and go for so long.
async fn round(world: &World, seed: u64, length: Duration, ledger: &Ledger) -> Result<Peak, Failure> {
    let end = Instant::now() + length;
    let mut at_stack = JoinSet::new();
    let mut at_kernel = JoinSet::new();
    let targets = |ip: fn(Family) -> std::net::IpAddr| {
        [Family::V4, Family::V6].map(|family| SocketAddr::new(ip(family), PORT))
    };
    for id in 0..CLIENTS {
        let rng = |stream| SimRng::new(seed, 2 * id + stream);
        let account = ledger.stack_client.clone();
        at_stack.spawn(client(world.stack.clone(), targets(Family::kernel_ip), account, rng(0), end));
        let account = ledger.kernel_client.clone();
        let task = client(Kernel, targets(Family::stack_ip), account, rng(1), end);
        at_kernel.spawn_on(task, &world.kernel);
    }
    let mut peak = Peak::default();
    while Instant::now() < end + PATIENCE && !(at_stack.is_empty() && at_kernel.is_empty()) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        peak.connections = peak.connections.max(world.stack.connection_count());
        peak.buffered = peak.buffered.max(world.stack.buffered());
        peak.resident = peak.resident.max(resident()?);
        for tasks in [&mut at_stack, &mut at_kernel] {
            while let Some(client) = tasks.try_join_next() {
                client?;
            }
        }
    }
    ensure!(
        at_stack.is_empty() && at_kernel.is_empty(),
        "clients hang: {} and {}",
        at_stack.len(),
        at_kernel.len()
    );
    Ok(peak)
}

/// Waits until nothing is under way, at most as long as TIME-WAIT and keep-alive take, and tells what there is then.
async fn quiet(world: &World, ledger: &Ledger) -> Result<Held, Failure> {
    let end = Instant::now() + TIME_WAIT + Duration::from_secs(30);
    loop {
        let held = Held::of(world)?;
        let over = held.connections + held.time_wait + held.buffered + held.kernel_sockets == 0;
        if (over && ledger.is_over()) || Instant::now() >= end {
            // The last of the tasks are about to return.
            tokio::time::sleep(Duration::from_millis(200)).await;
            return Ok(Held::of(world)?);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The counters of the stack, of its device and of the kernel agree with what the applications saw.
fn balance_counters(world: &World, ledger: &Ledger) -> CaseResult {
    let StackCounters { connections_opened, connections_accepted, .. } = world.stack.counters();
    let stack = (connections_opened, connections_accepted);
    let client = ledger.stack_client.sum();
    let seen = (client.opened + client.refused, ledger.stack_server.sum().opened);
    ensure!(
        stack == seen,
        "the stack counts {stack:?} connections opened and accepted, its applications {seen:?}"
    );
    let kernel = kernel_opens()?;
    let client = ledger.kernel_client.sum();
    let seen = (client.opened + client.refused, ledger.kernel_server.sum().opened);
    ensure!(
        kernel == seen,
        "the kernel counts {kernel:?} opens, active and passive, its applications {seen:?}"
    );
    let device = world.stack.device_counters(0).ok_or("there is no device")?;
    let (received, sent) = kernel_passed()?;
    for (direction, at_stack, at_kernel) in [
        ("stack to kernel", Passed { frames: device.tx_frames, octets: device.tx_bytes }, received),
        ("kernel to stack", Passed { frames: device.rx_frames, octets: device.rx_bytes }, sent),
    ] {
        eprintln!("{direction}: {at_stack:?}");
        ensure!(at_stack == at_kernel, "{direction}: {at_stack:?} at the stack, {at_kernel:?} at the kernel");
    }
    Ok(())
}
