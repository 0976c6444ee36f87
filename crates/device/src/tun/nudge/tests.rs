use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_sleeping_reader_is_woken_once_by_a_burst_and_a_busy_one_never() {
    let (nudge, wakes) = (Nudge::default(), Arc::new(Wakes::default()));
    let burst = |writes| (0..writes).for_each(|_| nudge.written());
    let waker = Waker::from(Arc::clone(&wakes));
    burst(100);
    assert!(!nudge.awake(), "nobody sleeps");
    nudge.sleep(&waker);
    burst(WRITES - 1);
    assert_eq!(wakes.0.load(Relaxed), 0, "a few writes are left to epoll");
    burst(100);
    assert_eq!(wakes.0.load(Relaxed), 1);
    assert!(nudge.awake() && !nudge.awake());
    burst(100);
    assert_eq!(wakes.0.load(Relaxed), 1);
    nudge.sleep(&waker);
    burst(WRITES);
    assert_eq!(wakes.0.load(Relaxed), 2);
}
