//! Windows and times, throughput, and queues over time.

use netstack_sim::record::{Figures, Log, Record};

use super::Picture;
use super::chart::{Kind, Panel, Series, Strokes, draw};
use super::palette::{BLUE, Colour, FLOWS, GREEN, ORANGE, PURPLE, RED};
use crate::demo::Arrival;
use crate::flow::Flow;

pub(super) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// The span of a log without the quiet after the last packet: 2 MSL would leave nothing of the rest.
pub(super) fn busy(log: &Log) -> (f64, f64) {
    let first = log.packets().map(|packet| packet.t).min().unwrap_or(0);
    let last = log.packets().map(|packet| packet.t).max().unwrap_or(0);
    (seconds(first), seconds(last))
}

/// The span of the segments of one connection: a capture may have others, before it and after it.
pub(super) fn busy_of(flow: &Flow) -> (f64, f64) {
    let times = || flow.segments.iter().flat_map(|segment| [Some(segment.t), segment.arrives]).flatten();
    (seconds(times().min().unwrap_or(0)), seconds(times().max().unwrap_or(0)))
}

fn series(name: &str, colour: Colour, kind: Kind, points: Vec<(f64, f64)>) -> Series {
    Series { name: name.to_owned(), colour, kind, points }
}

fn panel(y: &str, series: Vec<Series>) -> Panel {
    Panel { y: y.to_owned(), series, strokes: Vec::new(), height: 1.0 }
}

/// Congestion window, slow-start threshold, octets in flight and round-trip times of the side of `flow` that sends. A capture
/// has no windows of congestion: of it the octets in flight and the round trips are drawn.
pub fn windows(flow: &Flow) -> Picture {
    let side = flow.sender();
    let span = busy_of(flow);
    let figures: Vec<&Figures> =
        flow.figures[side].iter().filter(|figures| seconds(figures.t) <= span.1).collect();
    let over_time = |value: fn(&Figures) -> Option<f64>| -> Vec<(f64, f64)> {
        figures.iter().filter_map(|figures| Some((seconds(figures.t), value(figures)?))).collect()
    };
    let mut windows = Vec::new();
    if figures.is_empty() {
        windows.push(series("sent and not acknowledged", BLUE, Kind::Step, outstanding(flow, side)));
    } else {
        let flight = over_time(|figures| Some(f64::from(figures.flight) / 1024.0));
        windows.push(series("in flight", GREEN, Kind::Area, flight));
        let cwnd = over_time(|figures| Some(f64::from(figures.cwnd) / 1024.0));
        windows.push(series("congestion window (cwnd)", BLUE, Kind::Step, cwnd));
        let ssthresh = over_time(|figures| figures.ssthresh.map(|octets| f64::from(octets) / 1024.0));
        windows.push(series("slow-start threshold (ssthresh)", ORANGE, Kind::Step, ssthresh));
    }
    let trips: Vec<_> =
        flow.round_trips[side].iter().map(|&(t, trip)| (seconds(t), trip as f64 / 1e6)).collect();
    // Many in a row would become a beam.
    let dots = Kind::Dots(if trips.len() > 200 { 1 } else { 3 });
    let mut times = vec![series("round trip of a segment", BLUE, dots, trips)];
    if !figures.is_empty() {
        let srtt = over_time(|figures| figures.srtt.map(|nanos| nanos as f64 / 1e6));
        times.push(series("smoothed (srtt)", ORANGE, Kind::Step, srtt));
        let rto = over_time(|figures| figures.srtt.map(|_| figures.rto as f64 / 1e6));
        times.push(series("retransmission timeout (rto)", PURPLE, Kind::Step, rto));
    }
    let title = format!("{}: windows and round-trip times of {}", flow.title(), flow.ends[side].name);
    draw(&title, span, &[panel("octets [KiB]", windows), panel("time [ms]", times)])
}

/// Octets sent and not acknowledged, as far as segments tell.
fn outstanding(flow: &Flow, side: usize) -> Vec<(f64, f64)> {
    let (mut sent, mut acked) = (0_i64, 0_i64);
    let mut points = Vec::new();
    for segment in &flow.segments {
        if segment.from == side {
            sent = sent.max(segment.end());
        } else if let Some(ack) = segment.ack {
            acked = acked.max(ack);
        }
        points.push((seconds(segment.t), (sent - acked).max(0) as f64 / 1024.0));
    }
    points
}

/// What the data of each flow brought across per second: payload that arrived for the first time, in `slots` equal spans.
pub fn throughput(log: &Log, flows: &[Flow], slots: usize) -> Picture {
    let span = busy(log);
    let slot = ((span.1 - span.0) / slots.max(1) as f64).max(1e-6);
    let rates = flows.iter().zip(FLOWS.iter().cycle()).map(|(flow, &colour)| {
        let side = flow.sender();
        let mut octets = vec![0.0; slots.max(1)];
        let mut arrivals: Vec<(u64, i64, i64)> = flow
            .segments
            .iter()
            .filter(|segment| segment.from == side && segment.len > 0 && !segment.is_lost())
            .map(|segment| (segment.arrives.unwrap_or(segment.t), segment.seq, segment.end()))
            .collect();
        arrivals.sort_unstable();
        let mut covered = Covered::default();
        for (t, seq, end) in arrivals {
            let place = (((seconds(t) - span.0) / slot) as usize).min(octets.len() - 1);
            octets[place] += covered.add(seq, end) as f64;
        }
        let points = octets
            .iter()
            .enumerate()
            .map(|(place, octets)| (span.0 + slot * place as f64, octets * 8.0 / slot / 1e6));
        series(&flow.title(), colour, Kind::Step, points.collect())
    });
    let title = format!("Throughput: payload that arrives for the first time, in spans of {}", short(slot));
    draw(&title, span, &[panel("rate [Mbit/s]", rates.collect())])
}

/// A span of seconds in a unit that fits.
fn short(seconds: f64) -> String {
    match seconds {
        1.0.. => format!("{seconds:.1} s"),
        1e-2.. => format!("{:.0} ms", seconds * 1e3),
        1e-3.. => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{:.0} us", seconds * 1e6),
    }
}

/// Sequence numbers that have arrived.
#[derive(Default)]
struct Covered(std::collections::BTreeMap<i64, i64>);

impl Covered {
    /// Adds a range; gives how many numbers of it are new.
    fn add(&mut self, from: i64, to: i64) -> i64 {
        let mut new = to - from;
        let (mut left, mut right) = (from, to);
        let touching: Vec<(i64, i64)> =
            self.0.range(..=to).rev().map(|(&a, &b)| (a, b)).take_while(|&(_, b)| b >= from).collect();
        for (a, b) in touching {
            new -= (b.min(to) - a.max(from)).max(0);
            (left, right) = (left.min(a), right.max(b));
            self.0.remove(&a);
        }
        self.0.insert(left, right);
        new
    }
}

/// What waited in front of each link's line; a link before which nothing ever waited is left out.
pub fn queue(log: &Log) -> Picture {
    let mut curves = Vec::new();
    let mut packets = Vec::new();
    for (link, name) in log.header.links.iter().enumerate() {
        let depths: Vec<_> = log
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Queue(depth) if depth.link == link => Some(*depth),
                _ => None,
            })
            .collect();
        if depths.is_empty() {
            continue;
        }
        let colour = FLOWS[link % FLOWS.len()];
        let of = |value: fn(&netstack_sim::record::QueueDepth) -> f64| -> Vec<(f64, f64)> {
            depths.iter().map(|depth| (seconds(depth.t), value(depth))).collect()
        };
        curves.push(series(&name.name, colour, Kind::Step, of(|depth| depth.bytes as f64 / 1024.0)));
        packets.push(series(&name.name, colour, Kind::Step, of(|depth| depth.packets as f64)));
    }
    let title = match curves.is_empty() {
        true => "Queues: nothing waited, or the file does not tell (no capture does)",
        false => "Queues: what waits in front of a link",
    };
    draw(title, busy(log), &[panel("octets [KiB]", curves), panel("packets", packets)])
}

/// How long after it was sent an application had each message, over TCP and over UDP.
pub fn contrast(messages: &[Arrival]) -> Picture {
    let points = |late: fn(&Arrival) -> Option<u64>| -> Vec<(f64, f64)> {
        messages
            .iter()
            .filter_map(|message| Some((seconds(message.sent), late(message)? as f64 / 1e6)))
            .collect()
    };
    let lost = messages.iter().filter(|message| message.udp.is_none());
    let lost = Strokes {
        name: "never, over UDP".to_owned(),
        colour: RED,
        width: 3,
        strokes: lost.map(|message| (seconds(message.sent), 0.0, 8.0)).collect(),
    };
    let panel = Panel {
        y: "after it was sent [ms]".to_owned(),
        series: vec![
            series("over TCP: all, and in order", BLUE, Kind::Dots(5), points(|message| message.tcp)),
            series("over UDP", ORANGE, Kind::Dots(3), points(|message| message.udp)),
        ],
        strokes: vec![lost],
        height: 1.2,
    };
    let span = (0.0, messages.last().map_or(1.0, |message| seconds(message.sent) + 0.02));
    draw("When the application has each message: a link of 25 ms that loses a tenth", span, &[panel])
}

#[cfg(test)]
mod tests {
    use super::Covered;

    #[test]
    fn what_arrives_twice_counts_once() {
        let mut covered = Covered::default();
        assert_eq!(covered.add(0, 10), 10);
        assert_eq!(covered.add(20, 30), 10);
        assert_eq!(covered.add(5, 25), 10);
        assert_eq!(covered.add(0, 30), 0);
        assert_eq!(covered.add(29, 31), 1);
    }
}
