use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Wake, Waker};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn waiter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn wait(budget: &Budget, waker: &Waker) -> Ticket {
    budget.wait(None, &Waiter::Poll(&mut Context::from_waker(waker)))
}

#[test]
fn a_charge_is_in_units_and_comes_back_whole() {
    let budget = Arc::new(Budget::new(1 << 20));
    let account = Account::new(&budget);
    for (bytes, charged) in [(1, UNIT), (UNIT, UNIT), (UNIT + 1, 2 * UNIT), (10 * UNIT, 10 * UNIT)] {
        account.give(account.set(bytes));
        assert_eq!(budget.used(), charged, "{bytes} bytes");
    }
    account.give(account.set(3));
    assert_eq!(budget.used(), UNIT);
    account.give(account.set(0));
    assert_eq!(budget.used(), 0);
    account.give(account.set(100_000));
    drop(account);
    assert_eq!(budget.used(), 0, "a buffer that is dropped holds nothing");
}

#[test]
fn each_step_asks_for_more() {
    let budget = Arc::new(Budget::new(1 << 20));
    let account = Account::new(&budget);
    let at = |sixteenths: usize| {
        account.give(account.set(sixteenths << 16));
        let may_write = budget.may_write(LEAST, None).in_turn;
        (
            budget.window(&mut Promise::Earned, 1 << 30),
            may_write,
            budget.is_exhausted(),
            budget.is_overrun(),
            budget.change(),
        )
    };
    assert_eq!(at(0), (1 << 18, true, false, false, None));
    assert_eq!(at(8), (1 << 17, true, false, false, None));
    assert_eq!(at(12), (1 << 16, false, false, false, Some(Change::Pressed)));
    assert_eq!(at(14), (LEAST, false, false, false, None));
    assert_eq!(at(15), (0, false, false, false, Some(Change::Strained)));
    assert_eq!(at(16), (0, false, true, false, None));
    assert_eq!(at(32), (0, false, true, true, None));
    assert_eq!(at(8), (1 << 17, true, false, false, None), "half of it is held");
    assert_eq!(at(7), (9 << 14, true, false, false, Some(Change::Relieved)));
    assert_eq!(at(15).4, Some(Change::Pressed), "and again, one at a time");
    assert_eq!(budget.change(), Some(Change::Strained));
}

#[test]
fn a_connection_may_always_hold_a_little() {
    for limit in [0, 1, UNIT, 1 << 20] {
        let budget = Arc::new(Budget::new(limit));
        let account = Account::new(&budget);
        account.give(account.set(limit));
        assert_eq!(budget.may_write(0, None), Allowance { bytes: LEAST, in_turn: false });
        assert_eq!(budget.may_write(LEAST - 1, None).bytes, 1);
        assert_eq!(budget.may_write(LEAST, Ticket::new(1)).bytes, 0);
    }
}

#[test]
fn the_longest_waiting_go_first() {
    let budget = Arc::new(Budget::new(1 << 20));
    let account = Account::new(&budget);
    account.give(account.set(1 << 20));
    let tasks: Vec<_> = (0..5).map(|_| waiter()).collect();
    let tickets: Vec<_> = tasks.iter().map(|(_, waker)| wait(&budget, waker)).collect();
    let woken = || tasks.iter().map(|(count, _)| count.0.load(SeqCst)).collect::<Vec<_>>();
    // One portion is free, and a bit: two are woken.
    account.give(account.set((3 << 18) - PORTION - UNIT));
    assert_eq!(woken(), [1, 1, 0, 0, 0]);
    assert_eq!(budget.may_write(LEAST, None).bytes, 0, "nobody goes before those who wait");
    assert!(budget.may_write(LEAST, Some(tickets[0])).in_turn);
    // The first was not served: its ticket is its place.
    budget.wait(Some(tickets[0]), &Waiter::Poll(&mut Context::from_waker(&tasks[0].1)));
    budget.leave(tickets[2]);
    account.give(account.set(0));
    assert_eq!(woken(), [2, 1, 0, 1, 1]);
    assert!(budget.may_write(LEAST, None).in_turn, "nobody waits");
}

#[test]
fn who_gives_up_waiting_is_forgotten() {
    let budget = Arc::new(Budget::new(0));
    let (count, waker) = waiter();
    let ticket = budget.wait(None, &Waiter::Shared(&mut Context::from_waker(&waker), 7));
    assert_eq!(budget.waiting.load(SeqCst), 1);
    budget.forget(ticket, 7);
    assert_eq!((budget.waiting.load(SeqCst), Arc::strong_count(&count)), (0, 2));
}

#[test]
fn first_windows_are_small_and_never_exceed_the_budget_together() {
    let budget = Budget::new(1 << 20);
    let mut promises = vec![Promise::None; 1000];
    let windows: Vec<_> = promises.iter_mut().map(|promise| budget.window(promise, 0)).collect();
    assert_eq!((windows[0], windows[999]), (FIRST_WINDOW, LEAST));
    let promised = budget.promised.load(Relaxed);
    assert!(promised <= 1 << 20 && promised > 3 << 18, "{promised}");
    // Read data earns twice as much, and the first window goes back.
    let budgeted = |promise: &mut Promise, earned| (budget.window(promise, earned), *promise);
    assert_eq!(budgeted(&mut promises[999], 50_000), (100_000, Promise::Earned));
    assert_eq!(budgeted(&mut promises[0], 1000), (FIRST_WINDOW, Promise::Made(FIRST_WINDOW as u32)));
    assert_eq!(budgeted(&mut promises[0], 1 << 30), (1 << 18, Promise::Earned));
    for promise in &mut promises {
        budget.release(promise);
    }
    assert_eq!(budget.promised.load(Relaxed), 0);
}
