//! The time-sequence diagram, in the manner of tcptrace.

use super::Picture;
use super::chart::{Kind, Panel, Series, Strokes, draw};
use super::curves::{busy_of, seconds};
use super::palette::{BLUE, GREEN, MUTED, ORANGE, PURPLE, RED};
use crate::flow::Flow;

/// Sequence numbers of the side of `flow` that sends, over time: a stroke for each segment from its first octet to its last, the
/// line of what is acknowledged, the line of the window's right edge, SACK blocks when they come, and what is sent again or lost.
pub fn time_sequence(flow: &Flow) -> Picture {
    let side = flow.sender();
    let kib = |number: i64| number as f64 / 1024.0;
    let (mut first, mut again, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for segment in flow.segments.iter().filter(|segment| segment.from == side && segment.len > 0) {
        let stroke = (seconds(segment.t), kib(segment.seq), kib(segment.end()));
        match (segment.is_lost(), segment.retransmission) {
            (true, _) => lost.push(stroke),
            (_, true) => again.push(stroke),
            _ => first.push(stroke),
        }
    }
    let mut heard: Vec<_> = flow
        .segments
        .iter()
        .filter(|segment| segment.from != side && !segment.is_lost())
        .filter_map(|segment| Some((segment.arrives.unwrap_or(segment.t), segment.ack?, segment)))
        .collect();
    heard.sort_by_key(|&(t, ack, _)| (t, ack));
    let (mut acks, mut edges, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut acked, mut edge) = (0, 0);
    for (t, ack, segment) in heard {
        acked = acked.max(ack);
        edge = edge.max(ack + segment.window.cast_signed());
        acks.push((seconds(t), kib(acked)));
        edges.push((seconds(t), kib(edge)));
        blocks.extend(segment.sack.iter().map(|&(left, right)| (seconds(t), kib(left), kib(right))));
    }
    let top = first.iter().chain(&again).chain(&lost).map(|stroke| stroke.2).fold(0.0, f64::max);
    // A window far beyond the data would press it flat.
    let room = 1.35 * top;
    let mut edge_name = "window's right edge";
    if edges.iter().any(|&(_, edge)| edge > room) {
        edge_name = "window's right edge (cut off at the top)";
        for point in &mut edges {
            point.1 = point.1.min(room);
        }
    }
    // A segment is small where the transfer is large: what matters of it is marked by a dot too.
    let dots = [("sent again", ORANGE, &again), ("lost", RED, &lost)];
    let dots = dots.into_iter().filter(|(.., strokes)| !strokes.is_empty()).map(|(name, colour, strokes)| {
        let points = strokes.iter().map(|&(t, from, to)| (t, (from + to) / 2.0)).collect();
        Series { name: name.to_owned(), colour, kind: Kind::Dots(4), points }
    });
    let dots: Vec<_> = dots.collect();
    let strokes = [("SACK blocks", PURPLE, 1, blocks), ("data", BLUE, 2, first)];
    let strokes = strokes
        .into_iter()
        .filter(|(.., strokes)| !strokes.is_empty())
        .map(|(name, colour, width, strokes)| Strokes { name: name.to_owned(), colour, width, strokes });
    let line =
        |name: &str, colour, points| Series { name: name.to_owned(), colour, kind: Kind::Step, points };
    let mut lines = vec![line("acknowledged", GREEN, acks), line(edge_name, MUTED, edges)];
    lines.extend(dots);
    let panel = Panel {
        y: "sequence number [KiB]".to_owned(),
        series: lines,
        strokes: strokes.collect(),
        height: 2.0,
    };
    let title = format!("{}: time and sequence of {}", flow.title(), flow.ends[side].name);
    draw(&title, busy_of(flow), &[panel])
}
