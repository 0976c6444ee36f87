use std::collections::VecDeque as Fifo;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Wake;

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

struct Sender {
    turn: Turn,
    wakes: Arc<Wakes>,
}

impl Sender {
    fn new() -> Self {
        Self { turn: Turn::new(), wakes: Arc::default() }
    }

    fn poll(&mut self, waiters: &Waiters) -> bool {
        let waker = Waker::from(Arc::clone(&self.wakes));
        waiters.poll_ready(&mut Context::from_waker(&waker), &mut self.turn).is_ready()
    }

    fn woken(&self) -> bool {
        self.wakes.0.load(Relaxed) > 0
    }
}

#[test]
fn a_turn_is_small() {
    assert!(size_of::<Turn>() <= 16);
}

#[test]
fn slots_go_to_those_who_wait_in_order() {
    let waiters = Waiters::new(0);
    let mut senders: Vec<Sender> = (0..5).map(|_| Sender::new()).collect();
    assert!(senders.iter_mut().all(|s| !s.poll(&waiters)));
    waiters.release(2);
    assert_eq!(senders.iter().map(Sender::woken).collect::<Vec<_>>(), [true, true, false, false, false]);
    assert_eq!(waiters.try_acquire(&mut Turn::new()), Acquire::Full, "the slots are held");
    assert_eq!(waiters.try_acquire(&mut senders[2].turn), Acquire::Full);
    assert_eq!(waiters.try_acquire(&mut senders[1].turn), Acquire::Slot);
    assert_eq!(waiters.try_acquire(&mut senders[0].turn), Acquire::Slot);
    assert!(!senders[0].turn.has_place(), "a slot is for one frame");
}

#[test]
fn a_place_is_kept_while_its_sender_moves_between_tasks() {
    let waiters = Waiters::new(0);
    let (mut a, mut b) = (Sender::new(), Sender::new());
    assert!(!a.poll(&waiters) && !b.poll(&waiters));
    let old = std::mem::take(&mut a.wakes);
    assert!(!a.poll(&waiters));
    waiters.release(1);
    assert!(a.woken() && !b.woken());
    assert_eq!(old.0.load(Relaxed), 0);
}

#[test]
fn those_who_leave_while_the_device_stands_still_take_no_room() {
    let waiters = Waiters::new(0);
    let mut first = Sender::new();
    assert!(!first.poll(&waiters));
    for _ in 0..10_000 {
        let mut sender = Sender::new();
        assert!(!sender.poll(&waiters));
        waiters.leave(&mut sender.turn);
    }
    assert_eq!(waiters.waiting(), 1);
    assert!(waiters.lock().waiting.len() <= 3);
    waiters.release(1);
    assert!(first.woken());
}

#[test]
fn closing_wakes_everyone_and_answers_closed() {
    let waiters = Waiters::new(1);
    let mut holder = Sender::new();
    assert!(holder.poll(&waiters));
    let mut waiting = Sender::new();
    assert!(!waiting.poll(&waiters));
    waiters.close();
    assert!(waiting.woken() && waiting.poll(&waiters));
    assert_eq!(waiters.try_acquire(&mut waiting.turn), Acquire::Closed);
    assert_eq!(waiters.try_acquire(&mut holder.turn), Acquire::Closed);
    waiters.leave(&mut holder.turn);
    assert!(!holder.turn.has_place());
}

#[derive(Clone, Debug)]
enum Step {
    Acquire(usize),
    Ready(usize),
    Leave(usize),
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6usize).prop_map(Step::Acquire),
        (0..6usize).prop_map(Step::Ready),
        (0..6usize).prop_map(Step::Leave),
        Just(Step::Release),
    ]
}

/// The rules, as plainly as can be.
#[derive(Default)]
struct Model {
    free: usize,
    in_use: usize,
    waiting: Fifo<usize>,
    held: Vec<usize>,
}

impl Model {
    fn grant(&mut self) {
        while self.free > 0
            && let Some(next) = self.waiting.pop_front()
        {
            self.free -= 1;
            self.held.push(next);
        }
    }

    fn acquire(&mut self, who: usize) -> Acquire {
        if let Some(at) = self.held.iter().position(|&h| h == who) {
            self.held.swap_remove(at);
        } else if self.waiting.contains(&who) || self.free == 0 {
            return Acquire::Full;
        } else {
            self.free -= 1;
        }
        self.in_use += 1;
        Acquire::Slot
    }

    fn ready(&mut self, who: usize) -> bool {
        if !self.held.contains(&who) && !self.waiting.contains(&who) {
            self.waiting.push_back(who);
            self.grant();
        }
        self.held.contains(&who)
    }

    fn leave(&mut self, who: usize) {
        self.waiting.retain(|&w| w != who);
        if let Some(at) = self.held.iter().position(|&h| h == who) {
            self.held.swap_remove(at);
            self.free += 1;
        }
        self.grant();
    }
}

proptest! {
    #[test]
    fn follows_the_model_whatever_senders_do(slots in 0..4usize, steps in prop::collection::vec(step(), 0..200)) {
        let waiters = Waiters::new(slots);
        let mut model = Model { free: slots, ..Model::default() };
        let mut senders: Vec<Sender> = (0..6).map(|_| Sender::new()).collect();
        for step in steps {
            match step {
                Step::Acquire(who) => {
                    prop_assert_eq!(waiters.try_acquire(&mut senders[who].turn), model.acquire(who));
                }
                Step::Ready(who) => prop_assert_eq!(senders[who].poll(&waiters), model.ready(who)),
                Step::Leave(who) => {
                    waiters.leave(&mut senders[who].turn);
                    model.leave(who);
                }
                Step::Release if model.in_use > 0 => {
                    waiters.release(1);
                    model.in_use -= 1;
                    model.free += 1;
                    model.grant();
                }
                Step::Release => {}
            }
            prop_assert_eq!(waiters.waiting(), model.waiting.len());
        }
    }
}
