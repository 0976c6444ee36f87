//! What the stack is to reach, and whether it did.

use super::candidate::Candidate;
use super::client::bulk::Direction::{self, Download, Upload};
use super::job::Figure;
use super::results::Results;
use super::table::{head, push_row};

use Candidate::{
    CeilingOffload, CeilingPlain, Ipstack, Kernel, KernelPlain, NetstackSmoltcp, NetstackSmoltcpOffload,
    Offload, Plain, PlainBbr, Smoltcp,
};

/// The other Rust stacks, packet by packet.
const PEERS: [Candidate; 3] = [Ipstack, NetstackSmoltcp, Smoltcp];

/// A demand.
struct Target {
    figure: Figure,
    /// Of which of the two forms of this stack.
    candidate: Candidate,
    bound: Bound,
    /// Where the number comes from.
    demand: String,
}

/// The value on the right side of a demand; `None` if what it depends on was not measured.
enum Bound {
    AtLeast(Option<f64>),
    AtMost(Option<f64>),
    /// Every run succeeded.
    Always,
}

/// Every target that something is known about.
pub(super) fn table(results: &Results) -> String {
    let mut rows = String::new();
    for target in bulk(results).into_iter().chain(small(results)).chain(lossy(results)) {
        if let Some((reached, verdict)) = target.judge(results) {
            let first = format!("{} ({})", target.figure.title(), target.candidate.name());
            push_row(&mut rows, &first, [target.demand, reached, verdict.to_owned()].into_iter());
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!("{}{rows}", head("target", ["demanded", "measured", "reached"].into_iter()))
}

impl Target {
    /// The measured value and the verdict, `None` if either side of the demand was not measured.
    fn judge(&self, results: &Results) -> Option<(String, &'static str)> {
        let failed = results.failures(self.figure, self.candidate).len();
        let digits = self.figure.digits();
        let Some(value) = results.median(self.figure, self.candidate) else {
            return (failed > 0).then(|| ("failed".to_owned(), "**no**"));
        };
        let (met, bound) = match self.bound {
            Bound::AtLeast(bound) => (value >= bound?, bound),
            Bound::AtMost(bound) => (value <= bound?, bound),
            Bound::Always => (true, None),
        };
        let verdict = if met && failed == 0 { "yes" } else { "**no**" };
        let measured = match bound {
            Some(bound) => format!("{value:.digits$} (bound: {bound:.digits$})"),
            None => format!("{value:.digits$}"),
        };
        Some((measured, verdict))
    }
}

fn share(results: &Results, figure: Figure, of: Candidate, factor: f64) -> Option<f64> {
    results.median(figure, of).map(|value| value * factor)
}

/// Bulk transfer and what it costs.
fn bulk(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut add = |figure, candidate, bound, demand: &str| {
        targets.push(Target { figure, candidate, bound, demand: demand.to_owned() });
    };
    let one = |direction| Figure::Bulk(direction, 1);
    let many = |direction| Figure::Bulk(direction, 16);
    let of = |figure, candidate, factor| Bound::AtLeast(share(results, figure, candidate, factor));
    add(one(Download), Offload, of(one(Download), Kernel, 0.55), "0.55 x the kernel");
    add(one(Download), Offload, of(one(Download), CeilingOffload, 0.5), "50 % of the ceiling");
    add(one(Upload), Offload, of(one(Upload), Kernel, 0.4), "0.4 x the kernel");
    add(one(Upload), Offload, of(one(Upload), CeilingOffload, 0.7), "70 % of the ceiling");
    for direction in [Download, Upload] {
        add(many(direction), Offload, of(many(direction), Kernel, 0.35), "0.35 x the kernel");
        add(Figure::Drops(direction), Offload, Bound::AtMost(Some(0.0)), "none");
        add(Figure::Fairness(direction), Offload, Bound::AtLeast(Some(1.0 / 3.0)), "a third");
    }
    let best = |figure, factor: f64| results.best(figure, &PEERS).map(|value| value * factor);
    let ceiling = share(results, one(Download), CeilingPlain, 0.75);
    let down = best(one(Download), 1.0).zip(ceiling).map(|(best, ceiling)| best.min(ceiling));
    add(one(Download), Plain, Bound::AtLeast(down), "1.0 x the best peer or 75 % of the plain ceiling");
    add(many(Download), Plain, Bound::AtLeast(best(many(Download), 2.0)), "2 x the best peer");
    add(one(Upload), Plain, Bound::AtLeast(best(one(Upload), 1.0)), "1.0 x the best peer");
    add(many(Upload), Plain, Bound::AtLeast(best(many(Upload), 1.3)), "1.3 x the best peer");
    for direction in [Download, Upload] {
        let machine = Figure::Machine(direction);
        let bound = Bound::AtMost(share(results, machine, Kernel, 2.5));
        add(machine, Offload, bound, "at most 2.5 x the kernel's");
        let (most, demand) = process_limit(direction);
        add(Figure::Process(direction), Offload, Bound::AtMost(Some(most)), demand);
    }
    targets
}

/// Over a path that loses one packet in a hundred, this stack as the sender, and nothing wrong at either end.
fn lossy(results: &Results) -> Vec<Target> {
    let sends = Figure::Loss(Download);
    let beside = |candidate, of, factor, demand: &str| Target {
        figure: sends,
        candidate,
        bound: Bound::AtLeast(share(results, sends, of, factor)),
        demand: demand.to_owned(),
    };
    let mut targets = vec![
        beside(Plain, KernelPlain, 0.85, "0.85 x the kernel on cubic"),
        beside(PlainBbr, Plain, 5.0, "5 x this stack on CUBIC"),
    ];
    targets.extend([Plain, PlainBbr].map(|candidate| Target {
        figure: Figure::LossVerify,
        candidate,
        bound: Bound::Always,
        demand: "correct, always".to_owned(),
    }));
    targets
}

fn process_limit(direction: Direction) -> (f64, &'static str) {
    match direction {
        Download => (0.30, "at most 0.30"),
        Upload => (0.45, "at most 0.45"),
    }
}

/// Small exchanges, memory, and that nothing is lost.
fn small(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut add = |figure, bound, demand: &str| {
        targets.push(Target { figure, candidate: Offload, bound, demand: demand.to_owned() });
    };
    let p50 = Figure::P50 { size: 1, connections: 1 };
    let p99 = Figure::P99 { size: 1, connections: 1 };
    let turns = Figure::Turns { size: 1, connections: 64 };
    let connect = Figure::Connect(64);
    add(p50, Bound::AtMost(share(results, p50, Kernel, 1.15)), "at most 1.15 x the kernel's");
    add(p99, Bound::AtMost(share(results, p99, Kernel, 1.5)), "at most 1.5 x the kernel's");
    add(turns, Bound::AtLeast(share(results, turns, Kernel, 1.0)), "the kernel's");
    let tokio = results.best(turns, &[Ipstack, NetstackSmoltcp, NetstackSmoltcpOffload]);
    add(turns, Bound::AtLeast(tokio), "above each Tokio peer's");
    add(turns, Bound::AtLeast(share(results, turns, Smoltcp, 1.0)), "the aim: raw smoltcp's");
    add(connect, Bound::AtLeast(share(results, connect, Kernel, 0.95)), "0.95 x the kernel's");
    add(Figure::Memory, Bound::AtMost(Some(5.0 * 1024.0)), "at most 5 KiB");
    for connections in [10_000, 100_000] {
        add(Figure::Bare(connections), Bound::AtMost(Some(2048.0)), "at most 2,048");
    }
    add(Figure::Verify, Bound::Always, "correct, always");
    targets
}

#[cfg(test)]
mod tests;
