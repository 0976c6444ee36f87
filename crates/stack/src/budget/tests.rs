use super::*;

fn account(budget: &Arc<Budget>) -> Account {
    Account::new(budget, Direction::Received)
}

fn at(seconds: u64) -> Instant {
    Instant::from_duration(Duration::from_secs(seconds))
}

#[test]
fn a_charge_is_in_units_and_comes_back_whole() {
    let budget = Arc::new(Budget::new(1 << 20));
    for direction in [Direction::Received, Direction::Written] {
        let account = Account::new(&budget, direction);
        for (bytes, charged) in [(1, UNIT), (UNIT, UNIT), (UNIT + 1, 2 * UNIT), (10 * UNIT, 10 * UNIT)] {
            account.set(bytes);
            let written = if direction == Direction::Written { charged } else { 0 };
            assert_eq!((budget.used(), budget.written.get()), (charged, written), "{bytes} bytes");
        }
        account.set(3);
        assert_eq!(budget.used(), UNIT);
        account.set(0);
        assert_eq!(budget.used(), 0);
        account.set(100_000);
        drop(account);
        assert_eq!((budget.used(), budget.written.get()), (0, 0), "a buffer that is dropped holds nothing");
    }
}

#[test]
fn each_step_asks_for_more() {
    let budget = Arc::new(Budget::new(1 << 20));
    let account = account(&budget);
    let at = |sixteenths: usize| {
        account.set(sixteenths << 16);
        let window = budget.window(&mut Promise::Earned, 1 << 30, at(0));
        (window, budget.send_share(), budget.is_exhausted(), budget.is_overrun(), budget.change())
    };
    let check = |sixteenths, window: usize, send: usize, exhausted, overrun, change| {
        let got = at(sixteenths);
        let near = |got: usize, expected: usize| got.abs_diff(expected) <= expected / 50;
        assert!(near(got.0, window) && near(got.1, send), "{got:?} at {sixteenths}, not {window} and {send}");
        assert_eq!((got.2, got.3, got.4), (exhausted, overrun, change), "at {sixteenths}");
    };
    // What is received, against what is kept for writers.
    check(0, 3 << 16, 3 << 16, false, false, None);
    check(8, (1 << 16) / 3, 1 << 15, false, false, None);
    check(12, LEAST, 1 << 15, false, false, Some(Change::Pressed));
    check(14, LEAST, 1 << 15, false, false, None);
    check(15, 0, 1 << 15, false, false, Some(Change::Strained));
    check(16, 0, 1 << 15, true, false, Some(Change::Exhausted));
    check(32, 0, 1 << 15, true, true, None);
    check(8, (1 << 16) / 3, 1 << 15, false, false, None);
    // Again, though it was never half free.
    check(15, 0, 1 << 15, false, false, Some(Change::Strained));
    check(7, (5 << 14) * 5 / 12, (5 << 14) * 5 / 12, false, false, Some(Change::Relieved));
    check(15, 0, 1 << 15, false, false, Some(Change::Pressed));
    assert_eq!(budget.change(), Some(Change::Strained), "one at a time");
}

#[test]
fn a_connection_may_always_hold_a_little() {
    for limit in [0, 1, UNIT, 1 << 20] {
        let budget = Arc::new(Budget::new(limit));
        let accounts = [Direction::Received, Direction::Written].map(|way| Account::new(&budget, way));
        for account in &accounts {
            account.set(limit);
        }
        assert_eq!(budget.send_share(), LEAST);
    }
}

/// Whichever direction stalls first, on however many connections: the other has what is kept for it.
#[test]
fn neither_direction_starves_the_other() {
    const LIMIT: usize = 1 << 30;
    let shares =
        |budget: &Budget| [budget.window(&mut Promise::Earned, u64::MAX, at(0)), budget.send_share()];
    for (stalled, direction) in [Direction::Received, Direction::Written].into_iter().enumerate() {
        let budget = Arc::new(Budget::new(LIMIT));
        let mut accounts = Vec::new();
        // One after the other takes what it gets, and stalls for good.
        for _ in 0..300 {
            let account = Account::new(&budget, direction);
            account.set(shares(&budget)[stalled].min(6 << 20));
            accounts.push(account);
        }
        assert!(budget.used() > LIMIT / 10 * 7, "{}", budget.used());
        assert!(shares(&budget)[stalled] > 4 * LEAST, "{}", shares(&budget)[stalled]);
        assert!(shares(&budget)[1 - stalled] > LIMIT / 33, "{}", shares(&budget)[1 - stalled]);
        accounts.clear();
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn first_windows_are_small_and_never_exceed_the_budget_together() {
    let budget = Budget::new(1 << 20);
    let mut promises = vec![Promise::None; 1000];
    let windows: Vec<_> = promises.iter_mut().map(|promise| budget.window(promise, 0, at(0))).collect();
    assert_eq!((windows[0], windows[999]), (FIRST_WINDOW, LEAST));
    let promised = |budget: &Budget| lock(&budget.pool).promised.iter().sum::<usize>();
    assert!(promised(&budget) <= 1 << 20 && promised(&budget) > 3 << 18, "{}", promised(&budget));
    // Read data earns twice as much, and the first window goes back.
    let budgeted = |promise: &mut Promise, earned| (budget.window(promise, earned, at(0)), *promise);
    assert_eq!(budgeted(&mut promises[999], 50_000), (100_000, Promise::Earned));
    assert_eq!(budgeted(&mut promises[0], 1000), (FIRST_WINDOW, Promise::Made { kib: 64, period: 0 }));
    assert_eq!(budgeted(&mut promises[0], 90_000), (180_000, Promise::Earned));
    for promise in &mut promises {
        budget.release(promise);
    }
    assert_eq!(promised(&budget), 0);
}

/// However many connections there are that say nothing, who comes next begins as if they were not there.
#[test]
fn quiet_connections_give_their_first_windows_back() {
    let budget = Budget::new(1 << 20);
    let window = |promise: &mut Promise, seconds| budget.window(promise, 0, at(seconds));
    let mut quiet = vec![Promise::None; 1000];
    for promise in &mut quiet {
        window(promise, 14);
    }
    assert_eq!(window(&mut Promise::None, 29), LEAST, "within the period after theirs");
    let mut new = Promise::None;
    assert_eq!(window(&mut new, 30), FIRST_WINDOW);
    // One of them speaks: it counts again, and once.
    let made = quiet[0];
    assert_eq!(window(&mut quiet[0], 31), FIRST_WINDOW);
    assert_eq!(
        (made, quiet[0]),
        (Promise::Made { kib: 64, period: 0 }, Promise::Made { kib: 64, period: 2 })
    );
    for promise in &mut quiet {
        budget.release(promise);
    }
    assert_eq!(
        lock(&budget.pool).promised,
        [FIRST_WINDOW, 0],
        "those that counted no more are not given back again"
    );
    assert_eq!(window(&mut new, 3600), FIRST_WINDOW);
    budget.release(&mut new);
    assert_eq!(lock(&budget.pool).promised, [0, 0]);
}
