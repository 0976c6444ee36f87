//! Short responses on kept connections.

use std::time::Duration;

use netstack_sim::heap::{EndId, Pick, Side, Victim};
use netstack_sim::scenario::{FlowOutcome, FlowPlan, Load, PAYLOAD, Scenario, percentile};

use super::{MBIT, MS, Row, Scale, Setting};
use crate::contender::ACK_DELAY;
use crate::contender::Contender::{Bbr, Cubic, NewReno};
use crate::figure::{Figure, Sheet};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    // BBR has no threshold.
    for (contender, lowered) in [(Cubic, Some(1)), (Bbr, None), (NewReno, Some(1))] {
        let link = "50 ms, the last of 20 segments lost";
        rows.push(Row::new("tail", link, contender, move |setting| tail(setting, lowered)));
    }
    for (contender, lowered) in [(Cubic, Some(0)), (Bbr, None), (NewReno, Some(0))] {
        let link = "its twin: only the ACK of the last segment lost";
        rows.push(Row::new("tail-ack", link, contender, move |setting| tail_ack(setting, lowered)));
    }
    let link = "100 Mbit/s, 50 ms, 1 % random loss, ten kept connections, 100 responses of 30 KB each";
    rows.push(Row::new("responses", link, Cubic, responses));
    rows
}

const SENDER: EndId = EndId { flow: 0, side: Side::A };
const SEGMENTS: u64 = 20;

/// Two responses of 20 segments; the first one lets the path be known.
fn two_responses(setting: &Setting<'_>) -> Scenario {
    let mut scenario = Scenario::new(100 * MBIT, 50 * MS, 1.0);
    let response = (SEGMENTS * PAYLOAD) as usize;
    let load = Load::Exchange { count: 2, request: 100, response, pause: 1000 * MS };
    scenario.flows.push(FlowPlan { load, ..FlowPlan::bulk(setting.tcp) });
    scenario
}

fn tail(setting: &Setting<'_>, lowered: Option<u64>) -> Sheet {
    let mut scenario = two_responses(setting);
    let clean = scenario.run(setting.seed);
    scenario.victims.push(Victim::new(SENDER, Pick::Data(2 * SEGMENTS)));
    let outcome = scenario.run(setting.seed);
    let flow = &outcome.flows[0];
    let last = |latencies: &[Duration]| latencies.last().map_or(f64::NAN, |last| last.as_secs_f64() * 1e3);
    let longer = last(&flow.latencies) - last(&clean.flows[0].latencies);
    let most = 4.0 * scenario.rtt.as_secs_f64() * 1e3 + ACK_DELAY.as_secs_f64() * 1e3;
    let sheet =
        Sheet::new(&outcome, scenario.rate).with(Figure::millis("longer than without", longer, most, ""));
    recovery(sheet, flow, lowered)
}

/// One segment resent without a timeout, and how often the threshold was lowered.
fn recovery(sheet: Sheet, flow: &FlowOutcome, lowered: Option<u64>) -> Sheet {
    let sheet = sheet.with(Figure::count("timeouts", u64::from(flow.stats.timeouts), 0)).with(Figure::count(
        "segments resent",
        flow.resent.div_ceil(PAYLOAD),
        1,
    ));
    match lowered {
        Some(times) => sheet.with(Figure::count("threshold lowered", flow.lowered.len() as u64, times)),
        None => sheet,
    }
}

fn tail_ack(setting: &Setting<'_>, lowered: Option<u64>) -> Sheet {
    let mut scenario = two_responses(setting);
    let all = (2 * SEGMENTS * PAYLOAD) as u32;
    scenario.victims.push(Victim::new(SENDER.other(), Pick::Ack(all)));
    let outcome = scenario.run(setting.seed);
    // The one probe is no loss, and the most that may be resent.
    recovery(Sheet::plain(&outcome, scenario.rate), &outcome.flows[0], lowered)
}

fn responses(setting: &Setting<'_>) -> Sheet {
    let mut scenario = Scenario::new(100 * MBIT, 50 * MS, 1.0);
    scenario.bottleneck.loss(0.01);
    scenario.back.loss(0.01);
    let count = if setting.scale == Scale::Full { 100 } else { 25 };
    let load = Load::Exchange { count, request: 100, response: 30_000, pause: Duration::ZERO };
    scenario.flows = vec![FlowPlan { load, ..FlowPlan::bulk(setting.tcp) }; 10];
    scenario.duration = Duration::from_secs(300);
    let outcome = scenario.run(setting.seed);
    let mut latencies: Vec<_> =
        outcome.flows.iter().flat_map(|flow| flow.latencies.iter().copied()).collect();
    let all = latencies.len() == 10 * count;
    let mut millis =
        |percent| percentile(&mut latencies, percent).map_or(f64::NAN, |at| at.as_secs_f64() * 1e3);
    Sheet::new(&outcome, scenario.rate)
        .with(Figure::millis("p50", millis(50.0), 110.0, "107 ms"))
        .with(Figure::millis("p99", millis(99.0), 310.0, "306 ms"))
        .with(Figure::millis("p99.9", millis(99.9), 550.0, "510 ms"))
        .with(Figure::seen("all answered", all))
}
