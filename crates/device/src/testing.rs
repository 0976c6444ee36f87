//! What every device must do, as a suite to run over yours.
//!
//! ```
//! use netstack_device::memory::pair_with_depth;
//! use netstack_device::{Capabilities, testing};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! testing::conformance(|slots| {
//!     let (device, peer) = pair_with_depth(Capabilities::ip(1500), Capabilities::ip(1500), slots);
//!     (Box::new(device), Box::new(peer))
//! })
//! .await;
//! # }
//! ```

mod offload;
pub mod packet;
mod receiving;
mod sending;

use std::future::{Future, poll_fn};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::{
    Capabilities, Device, HeadBuf, Meta, RxBatch, RxFrame, RxQueue, SendError, Turn, TxFrame, TxQueue,
};

/// The longest that any step may take.
const LIMIT: Duration = Duration::from_secs(30);
/// A device that took this many frames with nobody reading is one that is never full.
const NEVER_FULL: usize = 10_000;

/// A maker of fresh pairs.
trait Make: FnMut(usize) -> (Box<dyn Device>, Box<dyn Device>) {}
impl<F: FnMut(usize) -> (Box<dyn Device>, Box<dyn Device>)> Make for F {}

/// Runs the whole suite.
///
/// `make` gives a fresh pair of connected devices each time: the one under test, whose sending queue has as many
/// slots as the argument says, and one at whose end its frames arrive. A device that is never full may ignore the
/// number; what is about full queues is then passed over.
///
/// To be run on a current-thread runtime with time enabled, paused or not: on several threads the order in which
/// senders get their turn cannot be told. A step that takes over 30 seconds fails; only a device that wakes tasks
/// without end keeps a paused clock, and so this limit, from running.
///
/// # Panics
/// With the rule in words, if the device breaks one.
pub async fn conformance<F>(mut make: F)
where
    F: FnMut(usize) -> (Box<dyn Device>, Box<dyn Device>),
{
    let make = &mut make;
    receiving::capabilities_fit_together(make).await;
    receiving::frames_arrive_in_order_and_whole(make).await;
    receiving::batches_keep_their_bounds(make).await;
    receiving::a_waiting_reader_is_woken(make).await;
    receiving::the_end_reaches_the_reader(make).await;
    sending::no_sender_starves(make).await;
    sending::a_slot_is_held_for_the_one_woken(make).await;
    sending::the_last_waker_counts(make).await;
    sending::who_leaves_hands_the_slot_on(make).await;
    sending::closing_wakes_everyone(make).await;
    offload::what_is_not_offered_is_refused(make).await;
    offload::metadata_arrives_or_is_made_good(make).await;
    offload::what_is_lost_is_counted(make).await;
}

/// One end of a pair, split.
struct End {
    rx: Vec<Box<dyn RxQueue>>,
    tx: Arc<dyn TxQueue>,
    caps: Capabilities,
}

impl End {
    fn new(device: Box<dyn Device>) -> Self {
        let (rx, tx) = device.split().expect("a device can be split");
        let caps = tx.capabilities();
        Self { rx, tx, caps }
    }

    fn pair(make: &mut impl Make, slots: usize) -> (Self, Self) {
        let (device, peer) = make(slots);
        (Self::new(device), Self::new(peer))
    }

    /// Reads from all queues, in a task, from now on.
    fn pump(&mut self) -> Pump {
        let frames = Arc::new(Mutex::new(Vec::new()));
        let tasks = self.rx.drain(..).map(|mut rx| {
            let frames = Arc::clone(&frames);
            tokio::spawn(async move {
                loop {
                    match recv(&mut *rx, RxBatch::new()).await {
                        Ok(batch) => lock(&frames).extend(batch),
                        Err(error) => return error,
                    }
                }
            })
        });
        let tasks = tasks.collect();
        Pump { frames, tasks }
    }

    /// Sends frames until the device is full; `None` if it never is.
    fn fill(&self) -> Option<usize> {
        for sent in 0..NEVER_FULL {
            match self.try_send(sent as u64, &mut Turn::new()) {
                Ok(()) => {}
                Err(SendError::Full) => return Some(sent),
                Err(other) => panic!("a plain frame is sent or the device is full, not: {other}"),
            }
        }
        None
    }

    /// Sends a datagram with this serial number, without waiting.
    fn try_send(&self, serial: u64, turn: &mut Turn) -> Result<(), SendError> {
        try_send(&*self.tx, serial, turn)
    }

    /// Sends a frame, waiting for a slot.
    async fn send(&self, head: &HeadBuf, payload: &[Bytes], meta: Meta) -> Result<(), SendError> {
        let mut turn = Turn::new();
        loop {
            let mut head = head.clone();
            match self.tx.try_send(TxFrame { head: &mut head, payload, meta, flow: 0 }, &mut turn) {
                Err(SendError::Full) => poll_fn(|cx| self.tx.poll_ready(cx, &mut turn)).await,
                other => {
                    self.tx.leave(&mut turn);
                    return other;
                }
            }
        }
    }

    fn poll_ready(&self, waker: &Waker, turn: &mut Turn) -> Poll<()> {
        self.tx.poll_ready(&mut Context::from_waker(waker), turn)
    }
}

/// Tasks that read from a device.
struct Pump {
    frames: Arc<Mutex<Vec<RxFrame>>>,
    tasks: Vec<JoinHandle<io::Error>>,
}

impl Pump {
    /// The first `n` frames, once they are there.
    async fn frames(&self, n: usize, rule: &str) -> Vec<RxFrame> {
        until(rule, || lock(&self.frames).len() >= n).await;
        lock(&self.frames).clone()
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn try_send(tx: &dyn TxQueue, serial: u64, turn: &mut Turn) -> Result<(), SendError> {
    let (mut head, payload) = packet::datagram(serial, 64);
    tx.try_send(TxFrame { head: &mut head, payload: &[payload], meta: Meta::default(), flow: 0 }, turn)
}

/// What a queue gives next.
async fn recv(rx: &mut dyn RxQueue, mut batch: RxBatch) -> io::Result<Vec<RxFrame>> {
    while batch.is_empty() {
        poll_fn(|cx| rx.poll_recv(cx, &mut batch)).await?;
    }
    Ok(batch.drain().collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a condition that others bring about.
async fn until(rule: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    within(rule, wait).await;
}

async fn within<T>(rule: &str, future: impl Future<Output = T>) -> T {
    match timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("conformance: {rule}: nothing happened for {LIMIT:?}"),
    }
}

/// A waker that counts.
#[derive(Debug, Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&wakes));
        (wakes, waker)
    }

    fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}
