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

#[tokio::test(start_paused = true)]
async fn conforms_with_several_queues() {
    conformance(make(NONE.with_queues(3), NONE.with_queues(2))).await;
}

/// A device that is let go wakes those who wait for a slot, and takes nothing more; what it has taken arrives.
#[tokio::test(start_paused = true)]
async fn closing_wakes_those_who_wait() {
    let (a, b) = pair_with_depth(NONE, NONE, 1);
    let (_rx_a, tx) = Box::new(a).split().unwrap();
    let (mut rx, _tx_b) = Box::new(b).split().unwrap();
    let send = |turn: &mut Turn| {
        let (mut head, payload) = packet::datagram(1, 100);
        tx.try_send(TxFrame { head: &mut head, payload: &[payload], meta: Meta::default(), flow: 0 }, turn)
    };
    let mut turn = Turn::new();
    send(&mut turn).unwrap();
    assert!(matches!(send(&mut turn), Err(SendError::Full)));
    let waiting = std::future::poll_fn(|cx| tx.poll_ready(cx, &mut turn));
    let closing = async {
        tokio::task::yield_now().await;
        tx.close();
    };
    tokio::join!(waiting, closing);
    assert!(matches!(send(&mut turn), Err(SendError::Closed(_))));
    let mut batch = RxBatch::new();
    std::future::poll_fn(|cx| rx[0].poll_recv(cx, &mut batch)).await.unwrap();
    assert_eq!(batch.len(), 1);
}

/// Sends `flows` and tells the serial numbers that each of three queues gives.
async fn spread(steering: Steering, flows: &[u32]) -> Vec<Vec<u64>> {
    let (a, b) = pair_with_steering(NONE, NONE.with_queues(3), 64, steering);
    let (rx_a, tx_a) = Box::new(a).split().unwrap();
    let (rx_b, tx_b) = Box::new(b).split().unwrap();
    assert_eq!((rx_a.len(), rx_b.len(), tx_b.capabilities().queues), (1, 3, 3));
    for (serial, &flow) in flows.iter().enumerate() {
        let (mut head, payload) = packet::datagram(serial as u64, 100);
        let frame = TxFrame { head: &mut head, payload: &[payload], meta: Meta::default(), flow };
        tx_a.try_send(frame, &mut Turn::new()).unwrap();
    }
    drop((tx_a, rx_a));
    let mut queues = Vec::new();
    for mut rx in rx_b {
        let mut batch = RxBatch::new();
        while std::future::poll_fn(|cx| rx.poll_recv(cx, &mut batch)).await.is_ok() {}
        queues.push(batch.frames().iter().map(|f| packet::serial(&f.data)).collect());
    }
    queues
}

#[tokio::test]
async fn a_flow_stays_in_one_queue_and_every_queue_reads_to_its_end() {
    let queues = spread(Steering::Flow, &[5, 3, 5, 4, 3, 4_000_000_000]).await;
    assert_eq!(queues, [vec![1, 4], vec![3, 5], vec![0, 2]]);
}

#[tokio::test]
async fn round_robin_takes_a_flow_apart() {
    let queues = spread(Steering::RoundRobin, &[7; 7]).await;
    assert_eq!(queues, [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
}

#[tokio::test]
async fn slots_are_shared_by_the_queues_and_end_with_one_of_them() {
    let (a, b) = pair_with_steering(NONE, NONE.with_queues(2), 3, Steering::RoundRobin);
    let (_rx_a, tx_a) = Box::new(a).split().unwrap();
    let (mut rx_b, tx_b) = Box::new(b).split().unwrap();
    let send = || {
        let (mut head, payload) = packet::datagram(0, 100);
        let frame = TxFrame { head: &mut head, payload: &[payload], meta: Meta::default(), flow: 0 };
        tx_a.try_send(frame, &mut Turn::new())
    };
    for _ in 0..3 {
        send().unwrap();
    }
    assert!(matches!(send(), Err(SendError::Full)));
    let mut batch = RxBatch::new();
    std::future::poll_fn(|cx| rx_b[1].poll_recv(cx, &mut batch)).await.unwrap();
    send().unwrap();
    drop(rx_b.remove(0));
    assert_eq!(tx_b.counters().rx_dropped, 2, "what the dropped half had not read");
    assert!(matches!(send(), Err(SendError::Closed(_))), "no frame waits for a reader that is gone");
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
