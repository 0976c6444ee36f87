//! What must not disturb a transfer, garbage on the wire and a link that goes away for a while; and a
//! device that goes for good.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use rtnetlink::LinkUnspec;
use tokio::io::AsyncReadExt;
use tokio_netstack::TcpStream;

use crate::bytes;
use crate::forge::forgeries;
use crate::inject::Injector;
use crate::world::{CaseResult, DEVICE, Failure, World, ensure, print_counters, settle};

/// Each way at once, while the hostile frames come in.
const BYTES: u64 = 200_000_000;

/// Garbage, cut, inconsistent and forged packets from the kernel's side: each is counted as a drop, and a
/// transfer that runs at the same time is not disturbed.
// req: MUST-3, MUST-7, MUST-63, R1122-1, R1122-2, R1122-4, R791-1, R8200-1, R8200-2
pub(crate) async fn garbage(world: Arc<World>) -> CaseResult {
    let (kernel, stack) = world.pair(7).await?;
    let injector = injector(&world).await?;
    let forged = forgeries(stack.peer_addr()?, stack.local_addr()?);

    // On a quiet link first: one drop for each.
    for forgery in &forged {
        let before = drops(&world);
        injector.send(&forgery.frame)?;
        settle(&format!("drops after {:?}", forgery.name), before + 1, || drops(&world)).await?;
    }
    let counters = world.stack.counters();
    ensure!(counters.tx_resets == 0, "{} hostile frames were answered with a reset", counters.tx_resets);
    ensure!(world.stack.connection_count() == 1, "a hostile frame opened a connection");

    let stop = Arc::new(AtomicBool::new(false));
    let until = stop.clone();
    let injecting = world.kernel.spawn_blocking(move || -> io::Result<u64> {
        let mut sent = 0;
        while !until.load(Ordering::Relaxed) {
            for forgery in &forged {
                injector.send(&forgery.frame)?;
                sent += 1;
            }
            // A tenth of a second's worth of frames would fill the device's queue by itself.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(sent)
    });
    let before = drops(&world);
    let moved = exchange(&world, kernel, stack).await;
    stop.store(true, Ordering::Relaxed);
    let sent = injecting.await??;
    moved?;
    let dropped = drops(&world) - before;
    eprintln!("{sent} hostile frames sent during the transfer, {dropped} drops counted");
    print_counters(&world.stack);
    // Some find the device's queue full of the transfer's own packets.
    ensure!(dropped > 100, "only {dropped} of {sent} hostile frames were counted as drops");
    Ok(())
}

/// The link is down for five seconds in the middle of a transfer: it waits, and completes.
// req: S-TMO-2
pub(crate) async fn link_down(world: Arc<World>) -> CaseResult {
    let (kernel, stack) = world.pair(7).await?;
    let flapping = world.on_kernel(async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        change_link(Change::Down).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        change_link(Change::Up).await
    });
    let began = Instant::now();
    exchange(&world, kernel, stack).await?;
    flapping.await??;
    let took = began.elapsed();
    ensure!(
        took > Duration::from_secs(5),
        "the transfer was over in {took:?}: before the link came up again"
    );
    Ok(())
}

/// The device is removed under the stack: every socket gets an error at once, and nothing hangs.
pub(crate) async fn device_removed(world: Arc<World>) -> CaseResult {
    let (_kernel, mut stack) = world.pair(7).await?;
    let listener = world.listen(8).await?;
    let sockets = async {
        let accepted = listener.accept().await.map(|_| ());
        let read = stack.read(&mut [0; 16]).await.map(|_| ());
        let connected = TcpStream::connect(&world.stack, (world.kernel_ip(), 9)).await.map(|_| ());
        [("accept", accepted), ("read", read), ("connect", connected)]
    };
    let (removed, outcomes) = tokio::join!(
        world.on_kernel(change_link(Change::Remove)),
        tokio::time::timeout(Duration::from_secs(5), sockets)
    );
    removed??;
    for (what, outcome) in outcomes.map_err(|_| "a socket waits on though its device is gone")? {
        let down = matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::NetworkDown);
        ensure!(down, "{what} ended with {outcome:?} instead of NetworkDown");
    }
    Ok(())
}

/// A change of the device on the kernel's side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Down,
    Up,
    Mtu(u32),
    Remove,
}

pub(crate) async fn change_link(change: Change) -> Result<(), Failure> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let task = tokio::spawn(connection);
    let index = if_nametoindex(DEVICE)?;
    let link = LinkUnspec::new_with_index(index);
    let result = match change {
        Change::Down => handle.link().set(link.down().build()).execute().await,
        Change::Up => handle.link().set(link.up().build()).execute().await,
        Change::Mtu(mtu) => handle.link().set(link.mtu(mtu).build()).execute().await,
        Change::Remove => handle.link().del(index).execute().await,
    };
    task.abort();
    Ok(result?)
}

/// Both ways at once, to the end of both streams.
pub(crate) async fn exchange(world: &World, kernel: tokio::net::TcpStream, stack: TcpStream) -> CaseResult {
    let client = world.on_kernel(bytes::exchange(kernel, 1, 2, BYTES));
    bytes::exchange(stack, 2, 1, BYTES).await?;
    Ok(client.await??)
}

/// A packet socket on the device, which needs a packet to pass to learn the device's address.
pub(crate) async fn injector(world: &World) -> Result<Injector, Failure> {
    let index = if_nametoindex(DEVICE)? as usize;
    let (from, to) = (SocketAddr::new(world.kernel_ip(), 0), world.at_stack(9));
    let learning = world.kernel.spawn_blocking(move || Injector::learn(index));
    let knocker = UdpSocket::bind(from)?;
    while !learning.is_finished() {
        // The answer, port unreachable, comes back as an error of a later call.
        let _ = knocker.send_to(&[0], to);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(learning.await??)
}

/// All that the stack received and dropped, whatever the reason.
fn drops(world: &World) -> u64 {
    world.stack.counters().iter().filter(|(name, _)| name.starts_with("drop_")).map(|(_, count)| count).sum()
}
