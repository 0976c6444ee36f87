//! One bulk flow over a link that loses nothing but what its queue cannot hold.

use std::time::Duration;

use netstack_sim::scenario::percentile;

use super::{MBIT, MS, Row, Setting, ZERO};
use crate::contender::Contender::{self, Bbr, Cubic, CubicPaced, NewReno};
use crate::figure::{Bound, Figure, Sheet, Unit};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (contender, floor, linux) in [(Cubic, 0.96, "99 %"), (Bbr, 0.93, "97 %"), (NewReno, 0.94, "99 %")] {
        rows.push(whole(
            "bdp",
            "100 Mbit/s, 50 ms, queue 1 BDP",
            contender,
            (100 * MBIT, 50 * MS, 1.0),
            floor,
            linux,
        ));
    }
    rows.push(Row::new("shallow", SHALLOW, Cubic, |setting| {
        let scenario = setting.bulk(100 * MBIT, 50 * MS, 0.1, 60);
        let outcome = scenario.run(setting.seed);
        let end = scenario.duration;
        Sheet::new(&outcome, scenario.rate)
            .with(Figure::share("goodput", outcome.share(0, ZERO, end), 0.75, "64 % of 30 s"))
            .with(Figure::share(
                "goodput of the last half",
                outcome.share(0, end / 2, end),
                0.90,
                "76 % of 20 s",
            ))
    }));
    for (contender, floor, linux) in
        [(CubicPaced, 0.85, ""), (Bbr, 0.88, "96 % of 30 s"), (NewReno, 0.70, "60 % of 30 s")]
    {
        rows.push(whole("shallow", SHALLOW, contender, (100 * MBIT, 50 * MS, 0.1), floor, linux));
    }
    for (contender, linux) in [(Cubic, "96 %"), (Bbr, "95 %")] {
        let path = (1000 * MBIT, 100 * MS, 1.0);
        rows.push(whole("gigabit", "1 Gbit/s, 100 ms, queue 1 BDP", contender, path, 0.90, linux));
    }
    rows.push(Row::new("deep", "100 Mbit/s, 50 ms, queue 10 BDP", Bbr, deep));
    rows
}

const SHALLOW: &str = "100 Mbit/s, 50 ms, queue 0.1 BDP";

/// 60 s over a path of so many bits per second, round trip and queue.
fn whole(
    name: &'static str,
    link: &'static str,
    contender: Contender,
    (rate, rtt, queue): (u64, Duration, f64),
    floor: f64,
    linux: &'static str,
) -> Row {
    Row::new(name, link, contender, move |setting| {
        let scenario = setting.bulk(rate, rtt, queue, 60);
        let outcome = scenario.run(setting.seed);
        let share = outcome.share(0, ZERO, scenario.duration);
        Sheet::new(&outcome, rate).with(Figure::share("goodput", share, floor, linux))
    })
}

/// How full a controller that measures the path keeps a queue that would take much more.
fn deep(setting: &Setting<'_>) -> Sheet {
    let scenario = setting.bulk(100 * MBIT, 50 * MS, 10.0, 60);
    let outcome = scenario.run(setting.seed);
    let mut rtts: Vec<_> = outcome.flows[0].rtts.iter().map(|rtt| rtt.1).collect();
    let mut times = |percent| {
        percentile(&mut rtts, percent).map_or(f64::NAN, |rtt| rtt.as_secs_f64() / scenario.rtt.as_secs_f64())
    };
    let figure = |name, value, most, linux| Figure {
        name,
        unit: Unit::Times,
        value,
        bound: Bound::AtMost(most),
        linux,
    };
    Sheet::new(&outcome, scenario.rate)
        .with(figure("median RTT over base", times(50.0), 1.4, "1.9 x"))
        .with(figure("95 % of RTTs over base", times(95.0), 2.0, "2.2 x"))
}
