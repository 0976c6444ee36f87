//! Ten thousand transfers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use netstack_sim::heap::{Observer, Pair, Recorder, Side};
use netstack_tcp::{CloseReason, Instant};

use crate::app::Scripted;
use crate::monitor::{Met, Monitor};
use crate::plan::{Case, LARGE};

const CASES: u64 = 10_000;
const THREADS: u64 = 2;
/// Cases that must meet each situation, in a run of [`CASES`].
const ENOUGH: u64 = 100;
/// No case takes more events or virtual time than this unless it is stuck.
const STEPS: u64 = 3_000_000;
const HOURS_24: Instant = Instant::from_nanos(24 * 3_600 * 1_000_000_000);

/// What all cases together have met.
#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    large: u64,
    packets: u64,
    met: [u64; Met::ALL.len()],
}

// req: MUST-10, MUST-14, MUST-34, MUST-36, MUST-37, S-SEQ-1, S-SEQ-2, S-ACK-7
#[test]
fn bytes_read_are_bytes_written_and_both_directions_close() {
    if let Some(seed) = number("NETSTACK_SEED") {
        replay(seed);
        return;
    }
    let cases = number("NETSTACK_CASES").unwrap_or(CASES);
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !failed.load(Relaxed) {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= cases {
                        break;
                    }
                    match run(&Case::new(seed)) {
                        Ok(outcome) => tally.lock().unwrap().add(&outcome),
                        Err(fault) => {
                            failed.store(true, Relaxed);
                            report(seed, &fault);
                        }
                    }
                }
            });
        }
    });
    assert!(!failed.load(Relaxed), "a case failed, see above");
    let tally = tally.into_inner().unwrap();
    println!("{tally:?}");
    assert_eq!(tally.cases, cases);
    assert!(tally.large * 10 >= cases * 3, "{} of {cases} cases were over {LARGE} bytes", tally.large);
    if cases >= CASES {
        for met in Met::ALL {
            let count = tally.met[met as usize];
            assert!(count > ENOUGH, "only {count} cases met {met:?}");
        }
    }
}

/// What one good case has met.
struct Outcome {
    large: bool,
    packets: u64,
    met: [bool; Met::ALL.len()],
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        self.cases += 1;
        self.large += u64::from(outcome.large);
        self.packets += outcome.packets;
        for (sum, met) in self.met.iter_mut().zip(outcome.met) {
            *sum += u64::from(met);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}

/// Runs a case; a panic inside is a fault like any other.
fn run(case: &Case) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut pair = pair(case, Monitor::new());
        drive(&mut pair, case, Monitor::fault)?;
        let monitor = pair.observer();
        Ok(Outcome {
            large: case.a.total.max(case.b.total) > LARGE,
            packets: pair.trace().packets(),
            met: Met::ALL.map(|met| monitor.has_met(met)),
        })
    }))
    .unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!("panicked: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?")))
    })
}

fn pair<O: Observer>(case: &Case, observer: O) -> Pair<Scripted, Scripted, O> {
    let a = Scripted::new(Side::A, case.a.clone());
    let b = Scripted::new(Side::B, case.b.clone());
    Pair::new(case.pair.clone(), a, b, observer)
}

/// Runs a pair to its end and checks all that must hold then.
fn drive<O: Observer>(
    pair: &mut Pair<Scripted, Scripted, O>,
    case: &Case,
    fault: impl Fn(&O) -> Option<&str>,
) -> Result<(), String> {
    while let Some(now) = pair.step() {
        let first = fault(pair.observer()).or(pair.app_a().fault()).or(pair.app_b().fault());
        if let Some(fault) = first {
            return Err(format!("at {} ns: {fault}", now.as_nanos()));
        }
        if pair.steps() > STEPS || now > HOURS_24 {
            return Err(format!(
                "still busy after {} steps and {} ns: {}",
                pair.steps(),
                now.as_nanos(),
                progress(pair)
            ));
        }
    }
    let ends = [
        (Side::A, pair.app_a(), case.a.total, case.b.total),
        (Side::B, pair.app_b(), case.b.total, case.a.total),
    ];
    for (side, app, to_write, to_read) in ends {
        let done =
            (app.written(), app.read(), app.saw_eof(), app.has_closed()) == (to_write, to_read, true, true);
        let reason = pair.endpoint(side).close_reason();
        if !done || reason != Some(CloseReason::Normal) {
            return Err(format!("{side} ended by {reason:?}, {}", progress(pair)));
        }
    }
    Ok(())
}

fn progress<O: Observer>(pair: &Pair<Scripted, Scripted, O>) -> String {
    let end = |side, app: &Scripted| {
        let (written, read, eof, closed) = (app.written(), app.read(), app.saw_eof(), app.has_closed());
        let state = pair.endpoint(side).state();
        format!("{side} in {state:?} wrote {written} read {read} eof {eof} closed {closed}")
    };
    format!("{}; {}", end(Side::A, pair.app_a()), end(Side::B, pair.app_b()))
}

/// Prints how to run a failed case again, and the end of the smallest variant that still fails.
fn report(seed: u64, fault: &str) {
    let mut case = Case::new(seed);
    let mut fault = fault.to_owned();
    while let Some(half) = case.halved() {
        let Err(smaller) = run(&half) else { break };
        (case, fault) = (half, smaller);
    }
    eprintln!(
        "case {seed} failed: NETSTACK_SEED={seed} cargo test -p netstack-tests --test properties -- --nocapture\n\
         smallest variant: A writes {}, B writes {}: {fault}\n{case:#?}",
        case.a.total, case.b.total
    );
    print_packets(&case, 60);
}

fn replay(seed: u64) {
    let case = Case::new(seed);
    print_packets(&case, usize::MAX);
    if let Err(fault) = run(&case) {
        panic!("case {seed} failed: {fault}\n{case:#?}");
    }
}

fn print_packets(case: &Case, limit: usize) {
    let mut pair = pair(case, (Monitor::new(), Recorder::new(limit)));
    // The outcome is known; a panic must not hide the packets that led to it.
    let _ = catch_unwind(AssertUnwindSafe(|| drive(&mut pair, case, |(monitor, _)| monitor.fault())));
    for line in pair.observer().1.lines() {
        eprintln!("{line}");
    }
}
