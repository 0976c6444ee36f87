//! One bulk flow over a link that loses, delays or holds up packets by itself.

use std::time::Duration;

use netstack_sim::LinkConfig;
use netstack_sim::scenario::{Outcome, PAYLOAD, Sample, Scenario};

use super::{MBIT, MS, Row, Setting, ZERO};
use crate::contender::Contender::{Bbr, Cubic, NewReno};
use crate::figure::{Bound, Figure, Sheet, Unit};

pub(super) fn rows() -> Vec<Row> {
    let mut rows =
        vec![Row::new("loss", "100 Mbit/s, 50 ms, queue 1 BDP, 1 % random loss", Bbr, |setting| {
            let mut scenario = setting.bulk(100 * MBIT, 50 * MS, 1.0, 60);
            scenario.bottleneck.loss(0.01);
            let outcome = scenario.run(setting.seed);
            let share = outcome.share(0, ZERO, scenario.duration);
            Sheet::new(&outcome, scenario.rate).with(Figure::share("goodput", share, 0.85, "95 %"))
        })];
    for (name, link, p) in [
        ("response-0.1", "20 Mbit/s, 50 ms, 0.1 % random loss", 0.001),
        ("response-1", "20 Mbit/s, 50 ms, 1 % random loss", 0.01),
    ] {
        rows.push(Row::new(name, link, Cubic, move |setting| response(setting, p, cubic_window(p, 0.05))));
        rows.push(Row::new(name, link, NewReno, move |setting| response(setting, p, reno_window(p))));
    }
    for contender in [Cubic, Bbr, NewReno] {
        let linux = match contender {
            Cubic => "76 %",
            Bbr => "98 %",
            _ => "89 %",
        };
        rows.push(Row::new(
            "late-10",
            "100 Mbit/s, 50 ms, 2 % of packets 10 ms late",
            contender,
            move |setting| late(setting, (10 * MS, 10 * MS), 0.90, 0.005, linux),
        ));
    }
    for contender in [Cubic, Bbr, NewReno] {
        rows.push(Row::new("late-30", "the same, 2 % of packets 15 to 30 ms late", contender, |setting| {
            late(setting, (15 * MS, 30 * MS), 0.75, 0.02, "").with(window_moves(setting))
        }));
    }
    // What the timeouts of RFC 6298 make of bursts that take a whole window: the arithmetic is in the document.
    let expected = "longest gap (by RFC 6298 a run has 1.2 above 1 s, see below)";
    for (contender, floor, linux, gap) in
        [(Cubic, 0.45, "49 %", expected), (Bbr, 0.85, "96 %", "longest gap")]
    {
        let link = "10 Mbit/s, 40 ms, loss in bursts (2 %, mean length 5)";
        rows.push(Row::new("bursts", link, contender, move |setting| bursts(setting, floor, linux, gap)));
    }
    for contender in [Cubic, Bbr, NewReno] {
        let link = "100 Mbit/s, 50 ms, all held up for 500 ms once";
        // BBR's window follows its model from phase to phase: what it was before says nothing.
        rows.push(Row::new("spike", link, contender, move |setting| spike(setting, contender != Bbr)));
    }
    rows
}

/// Segments per round trip of a Reno flow at loss rate `p` (Mathis, Semke, Mahdavi 1997; RFC 9438 figure 1).
pub(crate) fn reno_window(p: f64) -> f64 {
    1.22 / p.sqrt()
}

/// Segments per round trip of a CUBIC flow at loss rate `p` and a round trip of `rtt` seconds: RFC 9438 5.1, equation 5 with
/// its constants C = 0.4 and beta = 0.7, or what a Reno flow gets where that is more (5.2, the Reno-friendly region).
pub(crate) fn cubic_window(p: f64, rtt: f64) -> f64 {
    let (c, beta): (f64, f64) = (0.4, 0.7);
    let scale = (c * (3.0 + beta) / (4.0 * (1.0 - beta))).powf(0.25);
    (scale * (rtt / p).powf(0.75)).max(reno_window(p))
}

/// The share of the window that the response function expects, over the last two thirds.
fn response(setting: &Setting<'_>, p: f64, expected: f64) -> Sheet {
    let mut scenario = setting.bulk(20 * MBIT, 50 * MS, 1.0, 60);
    scenario.bottleneck.loss(p);
    let outcome = scenario.run(setting.seed);
    let (from, to) = (scenario.duration / 3, scenario.duration);
    let segments = outcome.delivered(0, from, to) as f64 / PAYLOAD as f64;
    let window = segments / ((to - from).as_secs_f64() / scenario.rtt.as_secs_f64());
    Sheet::new(&outcome, scenario.rate).with(Figure {
        name: "of the response function",
        unit: Unit::Percent,
        value: window / expected,
        bound: Bound::Within(0.75, 1.30),
        linux: "84 to 115 %",
    })
}

/// Packets that come late are not lost: next to nothing is resent, and little goodput is given up.
fn late(
    setting: &Setting<'_>,
    by: (Duration, Duration),
    floor: f64,
    resent: f64,
    linux: &'static str,
) -> Sheet {
    let mut scenario = setting.bulk(100 * MBIT, 50 * MS, 1.0, 60);
    let clean = scenario.run(setting.seed);
    scenario.bottleneck.late(0.02, by.0, by.1);
    let outcome = scenario.run(setting.seed);
    let ratio = outcome.flows[0].delivered as f64 / clean.flows[0].delivered as f64;
    // Beyond what the queue lost, which is resent with reason.
    let needless = (outcome.resent() as f64 - outcome.lost() as f64).max(0.0) / outcome.sent() as f64;
    Sheet::plain(&outcome, scenario.rate)
        .with(Figure::share("of the goodput without", ratio, floor, linux))
        .with(Figure {
            name: "resent beyond lost, of segments",
            unit: Unit::Percent,
            value: needless,
            bound: Bound::AtMost(resent),
            linux: "",
        })
}

/// Whether the reordering window grows by what comes late, and is narrow again after the recoveries that RFC 8985 asks for:
/// those of a random loss of 0.3 %, which the row itself does not have.
fn window_moves(setting: &Setting<'_>) -> Figure {
    let mut scenario = setting.bulk(100 * MBIT, 50 * MS, 1.0, 60);
    scenario.bottleneck.late(0.02, 15 * MS, 30 * MS).loss(0.003);
    let outcome = scenario.run(setting.seed);
    let quarters = outcome.flows[0].samples.iter().map(Sample::reordering_quarters);
    let mut wide = quarters.skip_while(|&quarters| quarters < 2);
    let (grown, reset) = (wide.next().is_some(), wide.any(|quarters| quarters == 1));
    Figure::seen("reordering window grows and resets", grown && reset)
}

fn bursts(setting: &Setting<'_>, floor: f64, linux: &'static str, gap: &'static str) -> Sheet {
    let mut scenario = setting.bulk(10 * MBIT, 40 * MS, 1.0, 60);
    scenario.bottleneck.loss_bursts(0.02, 5.0);
    let outcome = scenario.run(setting.seed);
    let flow = &outcome.flows[0];
    Sheet::new(&outcome, scenario.rate)
        .with(Figure::share("goodput", outcome.share(0, ZERO, scenario.duration), floor, linux))
        .with(Figure::millis(gap, flow.longest_gap.as_secs_f64() * 1e3, 1000.0, ""))
        .with(Figure::seen("bytes exact", flow.intact))
}

/// A pause of 500 ms behind the bottleneck, from where everything goes on at the bottleneck's rate: nothing is lost.
fn spike(setting: &Setting<'_>, window: bool) -> Sheet {
    let mut scenario = setting.bulk(100 * MBIT, 50 * MS, 1.0, 60);
    let at = scenario.duration / 3;
    let length = 500 * MS;
    let mut stage = LinkConfig::new();
    stage.rate(scenario.rate).stall(at, length);
    scenario.beyond.push(stage);
    let after = at + length;
    let span = Duration::from_secs(5).min(at);
    scenario.duration = after + span;
    let outcome = scenario.run(setting.seed);
    let share = |from: Duration| outcome.share(0, from, from + span);
    let sheet = Sheet::new(&outcome, scenario.rate).with(Figure::share(
        "goodput after, of before",
        share(after) / share(at - span),
        0.90,
        "",
    ));
    if window { sheet.with(window_after(&scenario, &outcome, at, after)) } else { sheet }
}

/// The window two round trips after the pause has ended, beside that at its start: lowered by a timeout, it has come back.
fn window_after(scenario: &Scenario, outcome: &Outcome, at: Duration, after: Duration) -> Figure {
    let samples = &outcome.flows[0].samples;
    let before = samples.iter().rfind(|sample| sample.at < at);
    let then = samples.iter().find(|sample| sample.at >= after + 2 * scenario.rtt);
    let value = match (before, then) {
        (Some(before), Some(then)) => f64::from(then.cwnd) / f64::from(before.cwnd.max(1)),
        _ => f64::NAN,
    };
    Figure {
        name: "window after, of before",
        unit: Unit::Percent,
        value,
        bound: Bound::AtLeast(0.9),
        linux: "",
    }
}
