//! The ladder as a drawing.

use super::layout::{LINE, Layout, fold_height};
use super::words::{Clock, Words, span};
use crate::draw::Picture;
use crate::draw::page::{Anchor, Page, Style};
use crate::draw::palette::{BLUE, Colour, GREEN, GRID, INK, MUTED, ORANGE, PANEL, PURPLE, RED, TEAL};
use crate::flow::{Flow, Seg};

const MARGIN: f64 = 24.0;
/// Between two texts side by side.
const SPACE: f64 = 12.0;
/// Between the labels of the two sides: here arrows end that do not arrive.
const GUTTER: f64 = 70.0;
const LEAST_WIDTH: f64 = 480.0;
const BAR: f64 = 6.0;
/// How much an arrow that does not arrive would have fallen.
const DROP: f64 = 44.0;
/// The caption below: a line for the signs, one for the names, one for the axis.
const CAPTION: f64 = 80.0;

/// Where the columns stand.
struct Columns {
    bars: [f64; 2],
    /// From a bar outwards: where times and timers begin.
    times: f64,
    timers: f64,
    /// Where arrows that do not arrive end.
    lost: f64,
    width: f64,
}

impl Columns {
    fn new(flow: &Flow, layout: &Layout, clock: Clock) -> Self {
        let style = Style::mono(INK, Anchor::Start);
        let widest = |texts: &mut dyn Iterator<Item = String>| {
            texts.map(|text| style.width(&text)).fold(0.0, f64::max)
        };
        let states = widest(&mut flow.states.iter().flatten().map(|(_, state)| state.to_string()));
        let times = widest(&mut layout.times.iter().map(|mark| clock.show(mark.t)));
        let timers = |side: usize| {
            let brackets = layout.brackets.iter().filter(|bracket| bracket.side == side);
            widest(&mut brackets.map(|bracket| timer_text(flow, side, bracket.span)))
        };
        let labels = |side: usize| {
            let arrows = layout.arrows.iter().map(|arrow| &flow.segments[arrow.segment]);
            widest(&mut arrows.filter(|segment| segment.from == side).map(|segment| {
                let remark = Words.remark(segment);
                if remark.is_empty() {
                    Words.segment(segment)
                } else {
                    format!("{}  {remark}", Words.segment(segment))
                }
            }))
        };
        let times_at = SPACE + states + SPACE;
        let timers_at = times_at + times + SPACE;
        let outside = |side: usize| match timers(side) {
            0.0 => timers_at,
            width => timers_at + TICK + 6.0 + width + SPACE,
        };
        let left = MARGIN + outside(0);
        let between = (labels(0) + labels(1) + GUTTER).max(LEAST_WIDTH);
        let spare = between - labels(0) - labels(1) - GUTTER;
        Self {
            bars: [left, left + between],
            times: times_at,
            timers: timers_at,
            lost: left + labels(0) + (GUTTER + spare) / 2.0,
            width: left + between + outside(1) + MARGIN,
        }
    }

    /// A place outside a bar, so far away from it.
    fn outside(&self, side: usize, distance: f64) -> f64 {
        self.bars[side] + if side == 0 { -distance } else { distance }
    }
}

/// The anchor of a text outside a bar.
fn outer(side: usize) -> Anchor {
    if side == 0 { Anchor::End } else { Anchor::Start }
}

/// Draws it.
pub(super) fn paint(flow: &Flow, layout: &Layout, title: &str) -> Picture {
    let clock = Clock::new(layout.times.iter().map(|mark| mark.t));
    let columns = Columns::new(flow, layout, clock);
    let notes = notes(flow, layout);
    let widest = notes.iter().map(|note| Style::mono(MUTED, Anchor::Start).width(note)).fold(0.0, f64::max);
    let width = columns.width.max(2.0 * MARGIN + Style::title().width(title).max(widest));
    let mut page = Page::new(width, layout.bottom + CAPTION);
    page.text((MARGIN, 30.0), title, Style::title());
    bars(&mut page, flow, layout, &columns);
    arrows(&mut page, flow, layout, &columns);
    for (fold, y) in &layout.folds {
        let height = fold_height(fold);
        let (left, right) = (columns.bars[0] + BAR, columns.bars[1] - BAR);
        page.rect((left, *y), (right - left, height), PANEL, Some((GRID, 1.0)), 6.0);
        let middle = (left + right) / 2.0;
        let head = format!("{} long, not drawn:", span(fold.to - fold.from));
        let names = [flow.ends[0].name.as_str(), flow.ends[1].name.as_str()];
        for (place, line) in std::iter::once(head).chain(Words.fold(fold, names)).enumerate() {
            let style = Style::mono(MUTED, Anchor::Middle);
            page.text((middle, y + LINE * (place + 1) as f64 + 2.0), &line, style);
        }
    }
    for mark in &layout.times {
        let at = (columns.outside(mark.side, columns.times), mark.y + 4.0);
        page.text(at, &clock.show(mark.t), Style::mono(MUTED, outer(mark.side)));
    }
    brackets(&mut page, flow, layout, &columns);
    labels(&mut page, flow, layout, &columns);
    caption(&mut page, flow, layout, &notes);
    page.finish()
}

fn bars(page: &mut Page, flow: &Flow, layout: &Layout, columns: &Columns) {
    for side in 0..2 {
        let (x, end) = (columns.bars[side], &flow.ends[side]);
        let address = end.addr.to_string();
        page.text((x, 62.0), &end.name, Style::mono(INK, Anchor::Middle).bold().sized(15.0));
        if end.name != address {
            page.text((x, 79.0), &address, Style::mono(MUTED, Anchor::Middle));
        }
        let (_, first) = &flow.states[side][0];
        let mut from = layout.top - 26.0;
        let mut state = first;
        let style = |state: &str| Style::mono(state_colour(state), outer(side)).bold();
        page.text((columns.outside(side, SPACE), from + 8.0), state, style(state));
        for &(_, place, y) in layout.states.iter().filter(|(of, ..)| *of == side) {
            page.rect((x - BAR / 2.0, from), (BAR, y - from), state_colour(state), None, 0.0);
            (from, state) = (y, &flow.states[side][place].1);
            page.text((columns.outside(side, SPACE), y + 4.0), state, style(state));
        }
        page.rect((x - BAR / 2.0, from), (BAR, layout.bottom - from), state_colour(state), None, 0.0);
        for &y in &layout.breaks {
            page.rect((x - BAR, y - 4.0), (2.0 * BAR, 8.0), crate::draw::palette::PAPER, None, 0.0);
            for y in [y - 4.0, y + 4.0] {
                page.line((x - 9.0, y + 3.0), (x + 9.0, y - 3.0), MUTED, 1.5, None);
            }
        }
    }
}

fn state_colour(state: &str) -> Colour {
    match state {
        "CLOSED" | "LISTEN" => MUTED,
        "SYN-SENT" | "SYN-RECEIVED" => ORANGE,
        "ESTABLISHED" => GREEN,
        "TIME-WAIT" => TEAL,
        _ => PURPLE,
    }
}

fn arrow_colour(segment: &Seg) -> Colour {
    if segment.is_lost() {
        RED
    } else if segment.retransmission {
        ORANGE
    } else if segment.len > 0 {
        BLUE
    } else {
        INK
    }
}

fn arrows(page: &mut Page, flow: &Flow, layout: &Layout, columns: &Columns) {
    for arrow in &layout.arrows {
        let segment = &flow.segments[arrow.segment];
        let inwards = if segment.from == 0 { BAR / 2.0 } else { -BAR / 2.0 };
        let from = columns.bars[segment.from] + inwards;
        let to = columns.bars[1 - segment.from] - inwards;
        let colour = arrow_colour(segment);
        match arrow.arrives {
            Some(arrives) => page.path(&[(from, arrow.leaves), (to, arrives)], colour, 1.5, true),
            None => {
                let share = (columns.lost - from) / (to - from);
                let end = (columns.lost, arrow.leaves + DROP * share);
                page.path(&[(from, arrow.leaves), end], colour, 1.5, false);
                page.cross(end, 6.0, RED);
            }
        }
    }
}

fn labels(page: &mut Page, flow: &Flow, layout: &Layout, columns: &Columns) {
    for arrow in &layout.arrows {
        let segment = &flow.segments[arrow.segment];
        let (text, remark) = (Words.segment(segment), Words.remark(segment));
        let anchor = if segment.from == 0 { Anchor::Start } else { Anchor::End };
        let style = Style::mono(INK, anchor);
        let remark_style = Style::mono(if segment.is_lost() { RED } else { ORANGE }, anchor);
        let space = style.width("  ");
        let y = arrow.leaves - 5.0;
        let x = columns.bars[segment.from] + if segment.from == 0 { 10.0 } else { -10.0 };
        // Read from left to right on both sides.
        let (text_x, remark_x) = match segment.from {
            0 => (x, x + style.width(&text) + space),
            _ if remark.is_empty() => (x, x),
            _ => (x - style.width(&remark) - space, x),
        };
        page.patched((text_x, y), &text, style);
        if !remark.is_empty() {
            page.patched((remark_x, y), &remark, remark_style);
        }
    }
}

/// Length of the ends of a bracket.
const TICK: f64 = 7.0;

fn timer_text(flow: &Flow, side: usize, place: usize) -> String {
    let timer = &flow.timers[side][place];
    let end = if timer.fired { "" } else { ", set anew" };
    format!("{} {}{end}", timer.name, span(timer.to - timer.from))
}

fn brackets(page: &mut Page, flow: &Flow, layout: &Layout, columns: &Columns) {
    for side in 0..2 {
        // Labels of one lane stand below each other.
        let mut free = f64::NEG_INFINITY;
        for bracket in layout.brackets.iter().filter(|bracket| bracket.side == side) {
            let near = columns.outside(side, columns.timers);
            let far = columns.outside(side, columns.timers + TICK);
            let (from, to) = (bracket.from + 2.0, bracket.to - 2.0);
            page.path(&[(near, from), (far, from), (far, to), (near, to)], TEAL, 1.5, false);
            let y = ((from + to) / 2.0 + 4.0).max(free);
            free = y + LINE;
            let at = (columns.outside(side, columns.timers + TICK + 6.0), y);
            page.text(at, &timer_text(flow, side, bracket.span), Style::mono(TEAL, outer(side)));
        }
    }
}

/// What the colours and the letters mean, as far as they occur.
fn caption(page: &mut Page, flow: &Flow, layout: &Layout, notes: &[String]) {
    let shown = || layout.arrows.iter().map(|arrow| &flow.segments[arrow.segment]);
    let signs = [
        ("without data", INK, shown().any(|segment| segment.len == 0)),
        ("with data", BLUE, shown().any(|segment| segment.len > 0)),
        ("sent again", ORANGE, shown().any(|segment| segment.retransmission)),
        ("lost", RED, shown().any(Seg::is_lost)),
    ];
    let style = Style::mono(MUTED, Anchor::Start);
    let (mut x, y) = (MARGIN, layout.bottom + 18.0);
    for (name, colour, _) in signs.into_iter().filter(|sign| sign.2) {
        page.path(&[(x, y), (x + 28.0, y)], colour, 1.5, colour != RED);
        if colour == RED {
            page.cross((x + 28.0, y), 4.0, RED);
        }
        page.text((x + 38.0, y + 4.0), name, style);
        x += 38.0 + style.width(name) + 24.0;
    }
    for (place, note) in notes.iter().enumerate() {
        page.text((MARGIN, y + 26.0 + 18.0 * place as f64), note, style);
    }
}

/// What the names and the axis mean.
fn notes(flow: &Flow, layout: &Layout) -> [String; 2] {
    let [a, b] = [&flow.ends[0].name, &flow.ends[1].name];
    let mut axis = "Down the page time goes on, not to scale.".to_owned();
    if !layout.breaks.is_empty() {
        axis += " A bar is cut where a long wait is shortened.";
    }
    [format!("x and y: initial sequence numbers of {a} and {b}."), axis]
}
