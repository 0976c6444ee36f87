//! Several flows through one bottleneck.

use std::time::Duration;

use netstack_sim::scenario::{FlowPlan, Scenario};
use netstack_sim::{Jitter, LinkConfig};

use super::{MBIT, MS, Row, Setting, ZERO};
use crate::contender::Contender::{Bbr, Cubic, NewReno};
use crate::figure::{Bound, Figure, Sheet, Unit};

pub(super) fn rows() -> Vec<Row> {
    let link = "100 Mbit/s, 50 ms, queue 1 BDP, 4 flows staggered by 2 s, 180 s";
    let mut rows = Vec::new();
    for (contender, floor, linux) in
        [(Cubic, 0.85, "0.79 of 30 s"), (NewReno, 0.90, "0.91 of 30 s"), (Bbr, 0.90, "0.99 of 30 s")]
    {
        rows.push(Row::new("fairness", link, contender, move |setting| fairness(setting, floor, linux)));
    }
    let link = "20 Mbit/s, 20 ms, queue 1 BDP, CUBIC beside NewReno";
    rows.push(Row::new("beside", link, Cubic, beside));
    rows
}

/// A packet time of jitter in front of the bottleneck, so that flows do not move in step with its queue (Floyd and Jacobson
/// 1991).
fn jitter(rate: u64) -> LinkConfig {
    let packet = Duration::from_nanos(1500 * 8 * 1_000_000_000 / rate);
    let mut access = LinkConfig::new();
    access.jitter(Jitter::Ordered(packet));
    access
}

fn fairness(setting: &Setting<'_>, floor: f64, linux: &'static str) -> Sheet {
    let mut scenario = Scenario::new(100 * MBIT, 50 * MS, 1.0);
    let access = Some(jitter(scenario.rate));
    let flow = |start| FlowPlan { start, access: access.clone(), ..FlowPlan::bulk(setting.tcp) };
    let end = setting.scale.time(180);
    scenario.flows = (0..4).map(|number| flow(setting.scale.time(8) / 4 * number)).collect();
    scenario.duration = end;
    let outcome = scenario.run(setting.seed);
    let from = end / 3;
    let index = outcome.fairness(from, end);
    let shares: Vec<_> = (0..4).map(|number| outcome.share(number, from, end)).collect();
    let fair = shares.iter().sum::<f64>() / 4.0;
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min) / fair;

    // Again with a fifth flow, late, judged by the last third of its first 30 s.
    scenario.flows.push(flow(end / 2));
    let (first, last) = (end / 2 + Duration::from_secs(20), end / 2 + Duration::from_secs(30));
    scenario.duration = last;
    let late = scenario.run(setting.seed).share(4, first, last) * 5.0;

    Sheet::new(&outcome, scenario.rate)
        .with(Figure {
            name: "Jain's index",
            unit: Unit::Number,
            value: index,
            bound: Bound::AtLeast(floor),
            linux,
        })
        .with(Figure::share("least share, of a fair one", least, 0.4, ""))
        .with(Figure::share("fifth flow 20 to 30 s after its start, of a fair share", late, 0.5, ""))
}

fn beside(setting: &Setting<'_>) -> Sheet {
    let mut scenario = Scenario::new(20 * MBIT, 20 * MS, 1.0);
    let access = Some(jitter(scenario.rate));
    for tcp in [setting.tcp, &NewReno.tcp()] {
        scenario.flows.push(FlowPlan { access: access.clone(), ..FlowPlan::bulk(tcp) });
    }
    scenario.duration = setting.scale.time(60);
    let outcome = scenario.run(setting.seed);
    let share = |flow| outcome.share(flow, ZERO, scenario.duration);
    Sheet::new(&outcome, scenario.rate)
        .with(Figure::share("goodput of the first", share(0), 0.30, ""))
        .with(Figure::share("goodput of NewReno", share(1), 0.30, ""))
}
