//! Where everything stands: each instant gets rows of its own, so that no two labels of a side meet.

use netstack_wire::tcp::TcpFlags;

use super::fold::{Fold, Part};
use crate::flow::Flow;

/// Height of a row: a label and what separates it from the next.
pub(super) const ROW: f64 = 22.0;
/// Between an instant and the next, at least.
const GAP: f64 = 20.0;
/// What a whole flight over the link adds to it.
const FLIGHT: f64 = 36.0;
/// What a break in the scale adds.
const BREAK: f64 = 26.0;
/// A wait of so many flights is drawn as a break.
const LONG: u64 = 6;
pub(super) const LINE: f64 = 16.0;
/// Above the first instant.
const TOP: f64 = 118.0;

/// An instant of a ladder.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    t: u64,
    y: f64,
    /// Rows used by each side.
    rows: [usize; 2],
}

/// A segment that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arrow {
    pub(super) segment: usize,
    /// Where it leaves its side, and where it arrives at the other one; `None` if it does not.
    pub(super) leaves: f64,
    pub(super) arrives: Option<f64>,
}

/// A time or a state beside a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) side: usize,
    pub(super) t: u64,
    pub(super) y: f64,
}

/// A timer beside a column: place among the flow's, and where it begins and ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bracket {
    pub(super) side: usize,
    pub(super) span: usize,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// Where everything stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) arrows: Vec<Arrow>,
    /// The instants at which a side sends or receives, each once.
    pub(super) times: Vec<Mark>,
    /// The states but for the first ones: side, place among the flow's, and where.
    pub(super) states: Vec<(usize, usize, f64)>,
    pub(super) brackets: Vec<Bracket>,
    /// Folds with their upper edges.
    pub(super) folds: Vec<(Fold, f64)>,
    /// Where the scale is broken.
    pub(super) breaks: Vec<f64>,
    pub(super) top: f64,
    pub(super) bottom: f64,
    groups: Vec<Group>,
}

/// What has to be placed, by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Arrive(usize),
    Send(usize),
    Fold(usize),
    /// A change of state, which shares the row of what brought it about.
    State(usize, usize),
    /// A timer that ends where nothing else happens.
    Timer(usize),
}

impl Layout {
    pub(super) fn new(flow: &Flow, parts: &[Part]) -> Self {
        let folds: Vec<&Fold> = parts.iter().filter_map(Part::fold).collect();
        let events = events(flow, parts);
        let flight = typical_flight(flow);
        let mut layout = Self { top: TOP, bottom: TOP, ..Self::default() };
        let mut start = 0;
        let mut last_t = None;
        let mut after_fold = false;
        while start < events.len() {
            let t = events[start].0;
            // An instant, as far as nothing of it is folded.
            let is_fold = |event: &(u64, Kind)| matches!(event.1, Kind::Fold(_));
            let alike = events[start..].iter().take_while(|event| event.0 == t && !is_fold(event)).count();
            let len = alike.max(1);
            let group = &events[start..start + len];
            let waited = last_t.map_or(0, |last: u64| t.saturating_sub(last));
            let mut y = layout.bottom + if last_t.is_some() { GAP } else { 0.0 };
            if waited > LONG * flight && !after_fold {
                layout.breaks.push(layout.bottom + (GAP + FLIGHT + BREAK) / 2.0);
                y += FLIGHT + BREAK;
            } else if !after_fold {
                y += FLIGHT * (waited as f64 / flight as f64).min(1.0);
            }
            if let Kind::Fold(fold) = group[0].1 {
                let height = fold_height(folds[fold]);
                layout.folds.push((folds[fold].clone(), y - 8.0));
                layout.bottom = y - 8.0 + height + 8.0;
                (last_t, after_fold) = (Some(folds[fold].to.max(t)), true);
            } else {
                layout.place(flow, t, y, group);
                (last_t, after_fold) = (Some(t), false);
            }
            start += len;
        }
        layout.bracket(flow);
        layout.bottom += 34.0;
        layout
    }

    /// Places what happens at one instant from `y` on.
    fn place(&mut self, flow: &Flow, t: u64, y: f64, group: &[(u64, Kind)]) {
        let mut rows = [0_usize; 2];
        // The row in which each side sends its SYN or FIN.
        let mut control = [0_usize; 2];
        let row_y = |row: usize| y + ROW * row as f64;
        for &(_, kind) in group {
            match kind {
                Kind::Send(place) => {
                    let side = flow.segments[place].from;
                    let leaves = row_y(rows[side]);
                    let segment = &flow.segments[place];
                    if segment.flags.intersects(TcpFlags::SYN | TcpFlags::FIN) && segment.note.is_none() {
                        control[side] = rows[side];
                    }
                    rows[side] += 1;
                    self.times.push(Mark { side, t, y: leaves });
                    self.arrows.push(Arrow { segment: place, leaves, arrives: None });
                }
                Kind::Arrive(place) => {
                    let side = 1 - flow.segments[place].from;
                    let at = row_y(rows[side]);
                    rows[side] += 1;
                    // A capture at the other end does not know when.
                    if flow.segments[place].arrives.is_some() {
                        self.times.push(Mark { side, t, y: at });
                    }
                    if let Some(arrow) = self.arrows.iter_mut().rev().find(|arrow| arrow.segment == place) {
                        arrow.arrives = Some(at);
                    }
                }
                Kind::State(side, place) => {
                    if rows[side] == 0 {
                        rows[side] = 1;
                        self.times.push(Mark { side, t, y });
                    }
                    // These come with what is sent, the others with what arrived.
                    let state = flow.states[side][place].1.as_ref();
                    let sends = matches!(state, "SYN-SENT" | "FIN-WAIT-1" | "LAST-ACK");
                    let at = row_y(if sends { control[side] } else { 0 });
                    match self.states.iter_mut().rev().find(|state| state.0 == side && state.2 >= at) {
                        // Only passed through.
                        Some(last) => last.1 = place,
                        None => self.states.push((side, place, at)),
                    }
                }
                Kind::Timer(side) => rows[side] = rows[side].max(1),
                Kind::Fold(_) => {}
            }
        }
        self.groups.push(Group { t, y, rows });
        self.bottom = row_y(rows[0].max(rows[1]).max(1) - 1);
    }

    /// Where an instant stands on a side: the row in which something was last done at it, or the first one.
    fn y_of(&self, side: usize, t: u64, last: bool) -> f64 {
        let after = self.groups.partition_point(|group| group.t <= t);
        let Some(group) = after.checked_sub(1).and_then(|place| self.groups.get(place)) else {
            return self.top;
        };
        let row = if last { group.rows[side].max(1) - 1 } else { 0 };
        group.y + ROW * row as f64
    }

    fn bracket(&mut self, flow: &Flow) {
        for (side, spans) in flow.timers.iter().enumerate() {
            for (place, span) in spans.iter().enumerate() {
                let hidden = self.folds.iter().any(|(fold, _)| (fold.from..=fold.to).contains(&span.from));
                let (from, to) = (self.y_of(side, span.from, true), self.y_of(side, span.to, false));
                if !hidden && to - from >= ROW {
                    self.brackets.push(Bracket { side, span: place, from, to });
                }
            }
        }
    }
}

/// Octets of a capture's clock do not say how long a segment took: long enough for its arrow to lean.
const SEEN: u64 = 1;

fn events(flow: &Flow, parts: &[Part]) -> Vec<(u64, Kind)> {
    let is_folded =
        |t: u64| parts.iter().filter_map(Part::fold).any(|fold| (fold.from..=fold.to).contains(&t));
    // Within an instant: what arrives, what is sent or folded in the order of the parts, and what came of it.
    let mut events: Vec<((u64, u8, usize), Kind)> = Vec::new();
    let mut folds = 0;
    for (order, part) in parts.iter().enumerate() {
        match part {
            Part::Fold(fold) => {
                events.push(((fold.from, 1, order), Kind::Fold(folds)));
                folds += 1;
            }
            &Part::Segment(place) => {
                let segment = &flow.segments[place];
                events.push(((segment.t, 1, order), Kind::Send(place)));
                if !segment.is_lost() {
                    let at = segment.arrives.unwrap_or(segment.t + SEEN).max(segment.t + SEEN);
                    events.push(((at, 0, order), Kind::Arrive(place)));
                }
            }
        }
    }
    for (side, states) in flow.states.iter().enumerate() {
        for (place, &(t, _)) in states.iter().enumerate().skip(1) {
            events.push(((t, 2, place), Kind::State(side, place)));
        }
        for span in flow.timers[side].iter().filter(|span| !is_folded(span.from) && !is_folded(span.to)) {
            events.push(((span.to, 3, 0), Kind::Timer(side)));
        }
    }
    events.sort_by_key(|&(key, _)| key);
    events.into_iter().map(|((t, ..), kind)| (t, kind)).collect()
}

/// The median time between sending and arriving; of a capture, a hundredth of its length.
fn typical_flight(flow: &Flow) -> u64 {
    let mut flights: Vec<u64> = flow
        .segments
        .iter()
        .filter_map(|segment| Some(segment.arrives? - segment.t.min(segment.arrives?)))
        .filter(|&flight| flight > 0)
        .collect();
    flights.sort_unstable();
    let (first, last) = flow.span();
    flights.get(flights.len() / 2).copied().unwrap_or((last - first) / 20).max(1)
}

pub(super) fn fold_height(fold: &Fold) -> f64 {
    let sides = fold.counts.iter().filter(|(data, _, bare)| data + bare > 0).count();
    LINE * (sides + 1) as f64 + 12.0
}
