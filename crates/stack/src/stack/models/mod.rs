//! Models for loom: what two or three tasks do at once, in all orders in which they can do it. A task that nobody wakes shows as
//! a deadlock; nothing in a model ever fires a timer, which would hide it. `docs/reliability.md` says how to run them.

mod connection;
mod fifo;
mod lanes;
mod listening;
mod signals;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use loom::sync::Notify;
use loom::thread::JoinHandle;
use netstack_device::memory::pair_with_depth;
use netstack_device::{Capabilities, Device, RxBatch, RxQueue};
use netstack_tcp::{FourTuple, Segment, TcpConfig};
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::{Ecn, SeqNum, ip};

use super::{Inner, Origin, Stack};
use crate::actor::{Actor, Arrival, Input, Shared};
use crate::stream::TcpStream;

/// Words of stack for a thread of a model: the default is too small for the parts of a stack.
const WORDS: usize = 1 << 16;

/// Explores `body` from its call of `loom::explore` on, with at most so many preemptions in one run; `None` for all orders.
fn check(name: &str, preemptions: Option<usize>, body: impl Fn() + Send + Sync + 'static) {
    let runs = Arc::new(AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    builder.expect_explicit_explore = true;
    let (counted, body) = (Arc::clone(&runs), Arc::new(body));
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        let body = Arc::clone(&body);
        thread(move || body()).join().unwrap();
    });
    println!("{name}: {} interleavings", runs.load(Relaxed));
}

fn thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    loom::thread::Builder::new().stack_size(WORDS).spawn(body).unwrap()
}

/// Runs a future as a task of its own.
fn task<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    thread(|| block_on(future))
}

/// As loom's own, but its wakers are cloned and dropped in one step: they are so under locks that loom does not know.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let alarm = Arc::new(Alarm(Notify::new()));
    let waker = Waker::from(Arc::clone(&alarm));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        alarm.0.wait();
    }
}

struct Alarm(Notify);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

const LOCAL: &str = "192.0.2.1:7";
const REMOTE: &str = "192.0.2.2:40000";

fn tuple() -> FourTuple {
    FourTuple::new(LOCAL.parse().unwrap(), REMOTE.parse().unwrap())
}

/// A stack whose tasks nobody runs, and the far end of its device. Its clock stands still.
struct World {
    stack: Stack,
    far: Far,
}

impl World {
    /// Lets `body` play in one, whose device holds `depth` frames.
    fn play(depth: usize, body: impl FnOnce(World)) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        // For all threads of the model, which are one of the system's.
        let _entered = runtime.enter();
        let (near, far) = pair_with_depth(Capabilities::ip(1500), Capabilities::ip(1500), depth);
        let config = TcpConfig::new().nodelay(true).clone();
        let builder = Stack::builder().device(near).address("192.0.2.1/24".parse().unwrap());
        let stack = builder.seed_for_test(1).tcp_config(config).build().unwrap();
        let (mut rx, tx) = Box::new(far).split().unwrap();
        let far = Far {
            rx: rx.remove(0),
            batch: RxBatch::with_limits(1, usize::MAX),
            seq: SeqNum(1000),
            ack: SeqNum(0),
        };
        body(Self { stack, far });
        drop(tx);
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.stack.inner
    }

    /// A connection that is only begun.
    fn begin(&self, origin: Origin<'_>) -> (Arc<Shared>, Actor) {
        let config = Arc::clone(&self.inner().config);
        self.inner().actor(tuple(), 0, &config, origin).unwrap()
    }

    /// An open connection: the application's end, and the actor that nobody runs yet.
    fn open(&mut self) -> (TcpStream, Arc<Shared>, Actor) {
        let (shared, mut actor) = self.begin(Origin::Active { text: None });
        turn(&mut actor);
        self.far.expect(TcpFlags::SYN);
        ingress(&shared, [self.far.segment(TcpFlags::SYN | TcpFlags::ACK, b"")]);
        turn(&mut actor);
        self.far.expect(TcpFlags::ACK);
        (TcpStream::new(Arc::clone(&shared)), shared, actor)
    }
}

/// One turn of an actor that nobody will wake.
fn turn(actor: &mut Actor) {
    assert!(pin!(actor).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// What ingress does with a batch for one connection.
fn ingress(shared: &Arc<Shared>, segments: impl IntoIterator<Item = Segment>) {
    let mut touched = false;
    for segment in segments {
        shared.push(Arrival { at: shared.inner.clock.now(), input: Input::Segment(segment) });
        touched |= shared.touch();
    }
    if touched {
        shared.release();
    }
}

/// What the peer sees and says.
struct Far {
    rx: Box<dyn RxQueue>,
    batch: RxBatch,
    seq: SeqNum,
    ack: SeqNum,
}

impl Far {
    /// The next segment: header and text. It is acknowledged by what the peer says next.
    async fn recv(&mut self) -> (TcpHeader, Bytes) {
        poll_fn(|cx| self.rx.poll_recv(cx, &mut self.batch)).await.unwrap();
        let data = self.batch.drain().next().unwrap().data;
        let packet = ip::parse(&data).unwrap();
        let (header, len) = TcpHeader::parse(packet.payload).unwrap();
        let text = Bytes::copy_from_slice(&packet.payload[len..]);
        self.ack = header.seq + header.seg_len(text.len());
        (header, text)
    }

    /// The segment that is there.
    fn expect(&mut self, flags: TcpFlags) {
        let mut recv = pin!(self.recv());
        let Poll::Ready((header, _)) = recv.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing was sent");
        };
        assert!(header.flags.contains(flags), "{header:?}");
    }

    /// The peer's next segment.
    fn segment(&mut self, flags: TcpFlags, text: &'static [u8]) -> Segment {
        let ack = if flags == TcpFlags::SYN { SeqNum(0) } else { self.ack };
        let (src_port, dst_port) = (tuple().remote().port(), tuple().local().port());
        let header = TcpHeader {
            src_port,
            dst_port,
            seq: self.seq,
            ack,
            flags,
            window: 65_535,
            ..TcpHeader::default()
        };
        self.seq += header.seg_len(text.len());
        Segment { header, payload: Bytes::from_static(text), ecn: Ecn::NotEct, gso_size: 0 }
    }
}
