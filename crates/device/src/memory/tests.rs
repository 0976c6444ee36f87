use super::*;
use crate::Offloads;
use crate::testing::{conformance, packet};

const NONE: Capabilities = Capabilities::ip(1500);

fn make(a: Capabilities, b: Capabilities) -> impl FnMut(usize) -> (Box<dyn Device>, Box<dyn Device>) {
    move |slots| {
        let (a, b) = pair_with_depth(a.clone(), b.clone(), slots);
        (Box::new(a), Box::new(b))
    }
}

#[tokio::test(start_paused = true)]
async fn conforms_without_offloads() {
    conformance(make(NONE, NONE)).await;
}

#[tokio::test(start_paused = true)]
async fn conforms_where_the_receiver_takes_everything_unfinished() {
    let all = NONE.with_tx(Offloads::ALL).with_rx(Offloads::ALL);
    conformance(make(all.clone(), all)).await;
}

#[tokio::test(start_paused = true)]
async fn conforms_where_super_segments_are_finished_on_the_way() {
    conformance(make(NONE.with_tx(Offloads::ALL), NONE)).await;
}

#[tokio::test(start_paused = true)]
async fn conforms_where_only_checksums_are_offloaded() {
    let checksum = Offloads { checksum: true, ..Offloads::NONE };
    conformance(make(NONE.with_tx(Offloads::ALL), NONE.with_rx(checksum))).await;
    conformance(make(NONE.with_tx(checksum), NONE)).await;
}

#[tokio::test]
async fn conforms_in_real_time() {
    conformance(make(NONE, NONE)).await;
}

#[tokio::test]
async fn a_frame_too_long_for_the_receiver_is_dropped_and_counted_there() {
    let (a, b) = pair(Capabilities::ip(9000), NONE);
    let (_rx_a, tx_a) = Box::new(a).split().unwrap();
    let (mut rx_b, tx_b) = Box::new(b).split().unwrap();
    for (serial, len) in [(0, 1501), (1, 1500)] {
        let (mut head, payload) = packet::datagram(serial, len);
        let frame = TxFrame { head: &mut head, payload: &[payload], meta: Meta::default(), flow: 0 };
        tx_a.try_send(frame, &mut Turn::new()).unwrap();
    }
    let mut batch = RxBatch::new();
    while batch.is_empty() {
        std::future::poll_fn(|cx| rx_b[0].poll_recv(cx, &mut batch)).await.unwrap();
    }
    assert_eq!(batch.frames().iter().map(|f| packet::serial(&f.data)).collect::<Vec<_>>(), [1]);
    assert_eq!((tx_b.counters().rx_dropped, tx_b.counters().rx_frames), (1, 1));
}

#[tokio::test]
async fn frames_that_nobody_read_are_counted() {
    let (a, b) = pair(NONE, NONE);
    let (_rx_a, tx_a) = Box::new(a).split().unwrap();
    let (rx_b, tx_b) = Box::new(b).split().unwrap();
    for serial in 0..3 {
        let (mut head, payload) = packet::datagram(serial, 64);
        let frame = TxFrame { head: &mut head, payload: &[payload], meta: Meta::default(), flow: 0 };
        tx_a.try_send(frame, &mut Turn::new()).unwrap();
    }
    drop(rx_b);
    assert_eq!((tx_b.counters().rx_dropped, tx_b.counters().rx_frames), (3, 0));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "one was overtaken twice")]
async fn the_suite_finds_a_device_that_is_not_fair() {
    conformance(|slots| {
        let (device, peer) = pair_with_depth(NONE, NONE, slots);
        let herd = Herd::default();
        (Box::new(Stampede(device, Arc::clone(&herd))), Box::new(Stampede(peer, herd)))
    })
    .await;
}

/// Those who wait.
type Herd = Arc<Mutex<Vec<Waker>>>;

/// Holds no slots: when one becomes free it wakes all who wait, and the first to come gets it.
struct Stampede<D>(D, Herd);

impl Device for Stampede<MemoryDevice> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let Self(device, herd) = *self;
        let (mut rx, tx) = Box::new(device).split()?;
        let rx = Box::new(Stampede(rx.remove(0), Arc::clone(&herd)));
        Ok((vec![rx], Arc::new(Stampede(tx, herd))))
    }
}

impl RxQueue for Stampede<Box<dyn RxQueue>> {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        let polled = self.0.poll_recv(cx, batch);
        if polled.is_ready() {
            std::mem::take(&mut *self.1.lock().unwrap()).into_iter().for_each(Waker::wake);
        }
        polled
    }
}

impl fmt::Debug for Stampede<Arc<dyn TxQueue>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TxQueue for Stampede<Arc<dyn TxQueue>> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn try_send(&self, frame: TxFrame<'_>, _: &mut Turn) -> Result<(), SendError> {
        self.0.try_send(frame, &mut Turn::new())
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: &mut Turn) -> Poll<()> {
        let mut turn = Turn::new();
        let polled = self.0.poll_ready(cx, &mut turn);
        self.0.leave(&mut turn);
        if polled.is_pending() {
            self.1.lock().unwrap().push(cx.waker().clone());
        }
        polled
    }

    fn leave(&self, _: &mut Turn) {}

    fn counters(&self) -> DeviceCounters {
        self.0.counters()
    }
}
