//! Running many seeded cases on two threads, and showing the one that failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use netstack_sim::heap::{Observer, Pair, Recorder, Side};
use netstack_tcp::Instant;

use crate::app::Scripted;
use crate::monitor::Monitor;
use crate::plan::Case;

const THREADS: u64 = 2;
/// No case takes more events or virtual time than this unless it is stuck.
const STEPS: u64 = 3_000_000;
const LIMIT: Instant = Instant::from_nanos(48 * 3_600 * 1_000_000_000);

/// A pair as the cases use it.
pub(crate) type CasePair<O> = Pair<Scripted, Scripted, O>;

/// A property: how a case is made of a seed, and what must hold once it has run.
pub(crate) struct Property<T> {
    /// The name of the test, for the line that tells how to run a case again.
    pub(crate) name: &'static str,
    pub(crate) make: fn(u64) -> Case,
    pub(crate) judge: fn(&Case, &CasePair<Monitor>) -> Result<T, String>,
}

impl<T: Send> Property<T> {
    /// Runs the cases of the seeds below `cases`, or those that the environment asks for, and gives what `judge` found.
    pub(crate) fn check(&self, cases: u64) -> Vec<T> {
        if let Some(seed) = number("NETSTACK_SEED") {
            return vec![self.replay(seed)];
        }
        let cases = number("NETSTACK_CASES").unwrap_or(cases);
        let next = AtomicU64::new(0);
        let failed = AtomicBool::new(false);
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while !failed.load(Relaxed) {
                        let seed = next.fetch_add(1, Relaxed);
                        if seed >= cases {
                            break;
                        }
                        match self.run(&(self.make)(seed)) {
                            Ok(outcome) => found.lock().unwrap().push(outcome),
                            Err(fault) => {
                                failed.store(true, Relaxed);
                                self.report(seed, fault);
                            }
                        }
                    }
                });
            }
        });
        assert!(!failed.load(Relaxed), "a case failed, see above");
        let found = found.into_inner().unwrap();
        assert_eq!(found.len() as u64, cases);
        found
    }

    /// Runs a case to its end; a panic inside is a fault like any other.
    fn run(&self, case: &Case) -> Result<T, String> {
        catch_unwind(AssertUnwindSafe(|| {
            let mut pair = pair(case, Monitor::new());
            drive(&mut pair, Monitor::fault)?;
            (self.judge)(case, &pair)
        }))
        .unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(format!(
                "panicked: {}",
                text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?")
            ))
        })
    }

    /// Prints how to run a failed case again, and the end of the smallest variant that still fails.
    fn report(&self, seed: u64, mut fault: String) {
        let mut case = (self.make)(seed);
        while let Some(half) = case.halved() {
            let Err(smaller) = self.run(&half) else { break };
            (case, fault) = (half, smaller);
        }
        print_packets(&case, 60);
        eprintln!(
            "{case:#?}\ncase {seed} failed; its smallest variant (A writes {}, B writes {}): {fault}\n\
             again: NETSTACK_SEED={seed} cargo test -p netstack-tests --test properties {}",
            case.a.total, case.b.total, self.name
        );
    }

    fn replay(&self, seed: u64) -> T {
        let case = (self.make)(seed);
        print_packets(&case, usize::MAX);
        match self.run(&case) {
            Ok(outcome) => outcome,
            Err(fault) => panic!("{case:#?}\ncase {seed} failed: {fault}"),
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}

fn pair<O: Observer>(case: &Case, observer: O) -> CasePair<O> {
    let a = Scripted::new(Side::A, case.a.clone());
    let b = Scripted::new(Side::B, case.b.clone());
    Pair::new(case.pair.clone(), a, b, observer)
}

/// Runs a pair until nothing is left to happen.
fn drive<O: Observer>(pair: &mut CasePair<O>, fault: impl Fn(&O) -> Option<&str>) -> Result<(), String> {
    while let Some(now) = pair.step() {
        let first = fault(pair.observer()).or_else(|| pair.app_a().fault()).or_else(|| pair.app_b().fault());
        if let Some(fault) = first {
            return Err(format!("at {} ns: {fault}", now.as_nanos()));
        }
        if pair.steps() > STEPS || now > LIMIT {
            return Err(format!("still busy after {} steps: {}", pair.steps(), progress(pair)));
        }
    }
    Ok(())
}

/// How far both ends are, for the text of a fault.
pub(crate) fn progress<O: Observer>(pair: &CasePair<O>) -> String {
    let end = |side, app: &Scripted| {
        let endpoint = pair.endpoint(side);
        format!("{side}: {:?} {:?} {:?}", endpoint.state(), endpoint.close_reason(), app.progress())
    };
    format!("at {} ns: {}; {}", pair.now().as_nanos(), end(Side::A, pair.app_a()), end(Side::B, pair.app_b()))
}

fn print_packets(case: &Case, limit: usize) {
    let mut pair = pair(case, (Recorder::new(limit), Monitor::new()));
    // The outcome is known; a panic must not hide the packets that led to it.
    let _ = catch_unwind(AssertUnwindSafe(|| drive(&mut pair, |(_, monitor)| monitor.fault())));
    for line in pair.observer().0.lines() {
        eprintln!("{line}");
    }
}
