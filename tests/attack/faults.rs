//! Devices that fail, applications that go away in the midst of things, clocks that jump: nothing hangs, nothing panics, and
//! nothing is left.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use netstack_sim::LinkConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_netstack::device::{
    self, Capabilities, Device, DeviceCounters, Halves, SendError, Turn, TxFrame, TxQueue,
};
use tokio_netstack::{Stack, TcpListener, TcpStream};

use crate::common::{PORT, SERVER, addr, builder, pattern};
use crate::meter::{alive, assert_clean, runtime};

const DAY: Duration = Duration::from_secs(24 * 3600);
const PATIENCE: Duration = Duration::from_secs(3600);

/// Two stacks over these devices; with the tasks that there are when nothing happens.
fn stacks(a: impl Device + 'static, b: impl Device + 'static) -> (Stack, Stack, usize) {
    let (server, client) = (builder(a, 1).build().unwrap(), builder(b, 2).build().unwrap());
    (server, client, alive())
}

fn memory(depth: usize) -> (impl Device + 'static, impl Device + 'static) {
    let caps = Capabilities::ip(1500);
    device::memory::pair_with_depth(caps.clone(), caps, depth)
}

/// Echoes until the peer has closed, for each connection that comes.
async fn serve(stack: &Stack) -> tokio::task::JoinHandle<()> {
    let listener = TcpListener::bind(stack, addr(SERVER, PORT)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    })
}

async fn echo(stream: TcpStream) {
    let (mut reader, mut writer) = stream.into_split();
    // Whatever ends it ends it.
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
    let _ = writer.shutdown().await;
}

/// Sends `len` bytes to the echo service and compares what comes back.
async fn visit(client: &Stack, len: usize) {
    let stream = timeout(PATIENCE, TcpStream::connect(client, addr(SERVER, PORT))).await.unwrap().unwrap();
    talk(stream, len).await;
}

async fn talk(stream: TcpStream, len: usize) {
    let echoed = timeout(PATIENCE, exchange(stream, len)).await.expect("nothing hangs").unwrap();
    assert_eq!(echoed, len);
}

/// Sends `len` bytes and reads what comes back, which is nothing else; says how many of them that are.
async fn exchange(stream: TcpStream, len: usize) -> io::Result<usize> {
    let data = pattern(len);
    let (mut reader, mut writer) = stream.into_split();
    let mut got = Vec::new();
    tokio::try_join!(
        async {
            writer.write_all(&data).await?;
            writer.shutdown().await
        },
        reader.read_to_end(&mut got)
    )?;
    assert!(data.starts_with(&got), "{} of {len} bytes came back, and not as they were", got.len());
    Ok(got.len())
}

/// Ends the service; then nothing is left in either stack.
async fn over(service: tokio::task::JoinHandle<()>, stacks: [&Stack; 2], tasks: usize) {
    service.abort();
    let _ = service.await;
    for stack in stacks {
        assert_clean(stack, tasks).await;
    }
}

/// A device that loses frames: some at all times, and all for 300 ms in each two seconds.
#[derive(Debug)]
struct Failing {
    inner: Arc<dyn TxQueue>,
    sent: AtomicU32,
    since: Instant,
}

impl TxQueue for Failing {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        let n = self.sent.fetch_add(1, Relaxed);
        if n % 13 == 5 || self.since.elapsed().as_millis() % 2000 >= 1700 {
            self.inner.leave(turn);
            let kinds = [io::ErrorKind::Other, io::ErrorKind::OutOfMemory, io::ErrorKind::NetworkDown];
            return Err(SendError::Lost(kinds[n as usize % 3].into()));
        }
        self.inner.try_send(frame, turn)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        self.inner.poll_ready(cx, turn)
    }

    fn leave(&self, turn: &mut Turn) {
        self.inner.leave(turn);
    }

    fn counters(&self) -> DeviceCounters {
        self.inner.counters()
    }
}

struct Fails<D>(D);

impl<D: Device> Device for Fails<D> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let (queues, inner) = Box::new(self.0).split()?;
        Ok((queues, Arc::new(Failing { inner, sent: AtomicU32::new(0), since: Instant::now() })))
    }
}

// req: S-TMO-2
#[tokio::test(start_paused = true)]
async fn a_device_that_fails_now_and_then() {
    let (a, b) = memory(64);
    let (server, client, tasks) = stacks(Fails(a), Fails(b));
    let service = serve(&server).await;
    for _ in 0..4 {
        visit(&client, 300_000).await;
    }
    let all: Vec<_> = (0..20).map(|_| visit(&client, 20_000)).collect();
    futures_util::future::join_all(all).await;
    assert!(client.counters().tx_lost > 20, "{}", client.counters().tx_lost);
    over(service, [&server, &client], tasks).await;
}

/// A device that takes two frames at a time.
#[tokio::test(start_paused = true)]
async fn a_device_that_is_full() {
    let (a, b) = memory(2);
    let (server, client, tasks) = stacks(a, b);
    let service = serve(&server).await;
    futures_util::future::join_all((0..50).map(|_| visit(&client, 30_000))).await;
    over(service, [&server, &client], tasks).await;
}

/// A device that takes two frames a second.
#[tokio::test(start_paused = true)]
async fn a_device_that_is_slow() {
    let mut link = LinkConfig::new();
    link.rate(24_000).delay(Duration::from_millis(700));
    let (a, b, _wire) = netstack_sim::device::pair(5, 1500, &link, &link);
    let (server, client, tasks) = stacks(a, b);
    let service = serve(&server).await;
    futures_util::future::join_all((0..3).map(|_| visit(&client, 20_000))).await;
    over(service, [&server, &client], tasks).await;
}

/// One end stops reading, and then goes, with data on its way in both directions and in every buffer.
// req: SHLD-3
#[tokio::test(start_paused = true)]
async fn streams_dropped_half_used() {
    let (a, b) = memory(64);
    let (server, client, tasks) = stacks(a, b);
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    for after in [0_u64, 1, 2, 5, 40, 41, 300, 5_000] {
        let mut connecting = pin!(TcpStream::connect(&client, addr(SERVER, PORT)));
        let (ours, theirs) = tokio::join!(&mut connecting, listener.accept());
        let (mut ours, (mut theirs, _)) = (ours.unwrap(), theirs.unwrap());
        let writing = tokio::spawn(async move {
            let data = pattern(32 << 20);
            let written = ours.write_all(&data).await;
            (ours, written)
        });
        theirs.write_all(&pattern(50_000)).await.unwrap();
        theirs.read_exact(&mut [0; 100]).await.unwrap();
        sleep(Duration::from_millis(after)).await;
        drop(theirs);
        let (ours, written) = timeout(PATIENCE, writing).await.expect("the writer is told").unwrap();
        let kind = written.unwrap_err().kind();
        assert!(matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{kind}");
        drop(ours);
    }
    drop(listener);
    for stack in [&server, &client] {
        assert_clean(stack, tasks).await;
    }
}

/// Polls a future so many times, and drops it then, or when nothing has woken it for a second.
async fn cancelled_after<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    let polling = poll_fn(|cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    timeout(Duration::from_secs(1), polling).await.ok().flatten()
}

/// Each call of a connection's life is given up after each number of polls: none takes anything with it, and who goes on after
/// a call that was given up finds everything in its place.
#[tokio::test(start_paused = true)]
async fn calls_given_up_at_any_await() {
    let (a, b) = memory(8);
    let (server, client, tasks) = stacks(a, b);
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    let mut completed = 0;
    for polls in 1..12 {
        // A connect that was given up may or may not reach the other side.
        drop(cancelled_after(polls, TcpStream::connect(&client, addr(SERVER, PORT))).await);
        drop(cancelled_after(polls, listener.accept()).await);
        while let Ok(Ok((stream, _))) = timeout(Duration::from_secs(1), listener.accept()).await {
            drop(stream);
        }
        let (ours, theirs) = tokio::join!(TcpStream::connect(&client, addr(SERVER, PORT)), listener.accept());
        let (mut ours, (mut theirs, _)) = (ours.unwrap(), theirs.unwrap());
        let data = pattern(300_000);
        let (mut sent, mut got) = (0, Vec::new());
        let mut buf = vec![0; 7_000];
        while got.len() < data.len() {
            if sent < data.len()
                && let Some(written) = cancelled_after(polls, ours.write(&data[sent..])).await
            {
                sent += written.unwrap();
            }
            // `read` is cancel safe: nothing is lost.
            if let Some(read) = cancelled_after(polls, theirs.read(&mut buf)).await {
                got.extend_from_slice(&buf[..read.unwrap()]);
            }
            let _ = cancelled_after(polls, ours.info()).await;
            let _ = cancelled_after(polls, theirs.readable()).await;
            // The others' turn, and the timers'.
            sleep(Duration::from_millis(1)).await;
        }
        assert!(got == data);
        completed += 1;
        let _ = cancelled_after(polls, ours.shutdown()).await;
        if polls % 2 == 0 {
            let _ = cancelled_after(polls, theirs.read(&mut buf)).await;
        }
    }
    assert_eq!(completed, 11);
    drop(listener);
    for stack in [&server, &client] {
        assert_clean(stack, tasks).await;
    }
}

/// The task of one end is given up after each number of its polls, from the connect or the accept on: the other end hears of it,
/// and who comes next is served.
#[tokio::test(start_paused = true)]
async fn tasks_given_up_at_any_await() {
    const LEN: usize = 60_000;
    let (a, b) = memory(8);
    let (server, client, tasks) = stacks(a, b);
    let listener = TcpListener::bind(&server, addr(SERVER, PORT)).await.unwrap();
    // Of the client, and of the server.
    let mut whole = [0, 0];
    for polls in 1..150 {
        let client_goes = cancelled_after(polls, visit(&client, LEN));
        let serving = async {
            // A connect that was given up may have come so far, or not.
            if let Ok(Ok((stream, _))) = timeout(Duration::from_secs(5), listener.accept()).await {
                timeout(PATIENCE, echo(stream)).await.expect("the server hears of it");
            }
        };
        let (visited, ()) = tokio::join!(client_goes, serving);
        whole[0] += u32::from(visited.is_some());

        let server_goes = async {
            let served =
                cancelled_after(polls, async { echo(listener.accept().await.unwrap().0).await }).await;
            // An accept that was given up leaves the connection to the next.
            while timeout(Duration::from_secs(1), listener.accept()).await.is_ok() {}
            served
        };
        let visiting = async {
            let connect = TcpStream::connect(&client, addr(SERVER, PORT));
            let stream = timeout(PATIENCE, connect).await.unwrap().unwrap();
            timeout(PATIENCE, exchange(stream, LEN)).await.expect("the client hears of it")
        };
        let (served, visited) = tokio::join!(server_goes, visiting);
        whole[1] += u32::from(served.is_some());
        assert!(served.is_none() || visited.unwrap() == LEN);
    }
    assert!(whole.iter().all(|whole| (1..149).contains(whole)), "{whole:?}: given up too early or too late");
    drop(listener);
    for stack in [&server, &client] {
        assert_clean(stack, tasks).await;
    }
}

/// The runtime goes at one instant after another of a busy scene: sockets say so, and all memory comes back.
#[test]
fn a_runtime_that_goes_at_any_point() {
    let scene = |instant: u32| {
        let runtime = runtime();
        let (client, streams) = runtime.block_on(async {
            let (a, b) = memory(16);
            let (server, client, _) = stacks(a, b);
            let service = serve(&server).await;
            drop(service);
            let mut streams = Vec::new();
            let busy = async {
                for n in 0..4 {
                    let visitor = client.clone();
                    tokio::spawn(async move { visit(&visitor, 40_000 + n).await });
                    streams.push(TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap());
                    streams[n].write_all(&pattern(5_000)).await.unwrap();
                }
                std::future::pending::<()>().await;
            };
            // So many turns of this task, whatever the others do meanwhile.
            let _ = cancelled_after(1 + instant, async {
                let mut busy = pin!(busy);
                poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    busy.as_mut().poll(cx)
                })
                .await;
            })
            .await;
            (client, streams)
        });
        drop(runtime);
        for stream in &streams {
            let mut buf = [0; 100_000];
            // What was received can still be read; then comes the end.
            while stream.try_read(&mut buf).is_ok_and(|len| len > 0) {}
            let error = stream.try_write(b"x").unwrap_err().kind();
            assert_ne!(error, io::ErrorKind::WouldBlock, "nobody will ever take it");
        }
        assert_eq!(client.connection_count(), 0);
    };
    // Once to fill what threads and allocators keep.
    scene(30);
    for instant in (0..200).step_by(3) {
        let left = allocation_counter::measure(|| scene(instant)).bytes_current;
        assert!(left.abs() < 64 << 10, "{left} bytes left at {instant}");
    }
}

/// The clock jumps between and within transfers: by hours, by the 24 days after which a timestamp is too old, by the 49 days
/// after which milliseconds wrap in 32 bits, and by years.
// req: R7323-18
#[tokio::test(start_paused = true)]
async fn clocks_that_jump() {
    let (a, b) = memory(64);
    let (server, client, tasks) = stacks(a, b);
    let service = serve(&server).await;
    let mut kept = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
    for days in [1, 23, 25, 49, 50, 51, 199, 1_000, 5_000] {
        tokio::time::advance(DAY * days).await;
        for len in [1_usize, 100_000] {
            let data = pattern(len);
            let mut got = vec![0; len];
            let (mut reader, mut writer) = kept.split();
            let exchange = async { tokio::try_join!(writer.write_all(&data), reader.read_exact(&mut got)) };
            timeout(PATIENCE, exchange)
                .await
                .unwrap_or_else(|_| panic!("it hangs after {days} days"))
                .unwrap();
            assert!(got == data);
        }
        visit(&client, 10_000).await;
        // In the midst of a transfer: what waits for an answer may be given up, and says so.
        let stream = TcpStream::connect(&client, addr(SERVER, PORT)).await.unwrap();
        let under_way = tokio::spawn(async move {
            let (mut reader, mut writer) = stream.into_split();
            let data = pattern(400_000);
            let mut got = Vec::new();
            let ends = tokio::try_join!(
                async {
                    writer.write_all(&data).await?;
                    writer.shutdown().await
                },
                reader.read_to_end(&mut got)
            );
            ends.is_err() || got == data
        });
        tokio::task::yield_now().await;
        tokio::time::advance(DAY * days).await;
        assert!(timeout(PATIENCE, under_way).await.expect("nothing hangs").unwrap());
    }
    drop(kept);
    over(service, [&server, &client], tasks).await;
}
