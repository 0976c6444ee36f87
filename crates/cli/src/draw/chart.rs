//! Panels of curves below each other, drawn with plotters.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Picture;
use super::palette::{Colour, GRID, INK, MUTED, PAPER};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T> = Result<T, Box<dyn Error + Send + Sync>>;

const WIDTH: u32 = 960;
const HEAD: u32 = 40;
/// Height of a line of names, and where it begins.
const LINE: u32 = 26;
const LEFT: i32 = 90;
const PANEL: u32 = 250;
const FOOT: u32 = 16;

/// How the points of a series are drawn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each value holds until the next.
    Step,
    /// The same, and the area below it filled.
    Area,
    /// By themselves, with this radius.
    Dots(u32),
}

/// A named curve.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) colour: Colour,
    pub(super) kind: Kind,
    pub(super) points: Vec<(f64, f64)>,
}

/// Vertical strokes: time, lower and upper end.
pub(super) struct Strokes {
    pub(super) name: String,
    pub(super) colour: Colour,
    pub(super) width: u32,
    pub(super) strokes: Vec<(f64, f64, f64)>,
}

/// One panel: what its y axis shows, and what is in it.
pub(super) struct Panel {
    pub(super) y: String,
    pub(super) series: Vec<Series>,
    pub(super) strokes: Vec<Strokes>,
    /// Height, as a multiple of the usual one.
    pub(super) height: f64,
}

/// Draws the panels over one axis of time, seconds from `span.0` to `span.1`.
pub(super) fn draw(title: &str, span: (f64, f64), panels: &[Panel]) -> Picture {
    let heights: Vec<u32> =
        panels.iter().map(|panel| (f64::from(PANEL) * panel.height) as u32 + legend_height(panel)).collect();
    let height = HEAD + heights.iter().sum::<u32>() + FOOT;
    let mut svg = String::new();
    let drawn = (|| -> Drawn<()> {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&rgb(PAPER)).map_err(failed)?;
        let ink = rgb(INK);
        // Long addresses make for a long title, which must not be cut.
        let fits = f64::from(WIDTH - 32) / (title.chars().count().max(1) as f64 * 0.64);
        let head = font(fits.min(16.0)).style(FontStyle::Bold).into_text_style(&root).color(&ink);
        root.draw_text(title, &head, (16, 14)).map_err(failed)?;
        let mut y = HEAD;
        for (panel, height) in panels.iter().zip(heights) {
            let (from, to) = (y as i32, (y + height) as i32);
            let area = root.clone().shrink((0, from), (WIDTH, (to - from) as u32));
            draw_panel(&area, panel, span)?;
            y += height;
        }
        root.present().map_err(failed)
    })();
    // It draws into memory.
    debug_assert!(drawn.is_ok(), "{drawn:?}");
    Picture { svg, labels: Vec::new() }
}

fn failed<E: Error + Send + Sync + 'static>(error: DrawingAreaErrorKind<E>) -> Box<dyn Error + Send + Sync> {
    Box::new(error)
}

fn rgb(colour: Colour) -> RGBColor {
    let part = |at: usize| u8::from_str_radix(&colour.light[at..at + 2], 16).unwrap_or(0);
    RGBColor(part(1), part(3), part(5))
}

/// A font of this size in units of the picture; plotters counts in ones that are smaller.
fn font(size: f64) -> FontDesc<'static> {
    ("sans-serif", size * 1.24).into_font()
}

fn draw_panel(area: &Area<'_>, panel: &Panel, span: (f64, f64)) -> Drawn<()> {
    legend(area, panel)?;
    let (width, height) = area.dim_in_pixel();
    let above = legend_height(panel);
    let plot = area.clone().shrink((0, above as i32), (width, height - above));
    let values = panel.series.iter().flat_map(|series| series.points.iter().map(|point| point.1));
    let tops = panel.strokes.iter().flat_map(|strokes| strokes.strokes.iter().map(|stroke| stroke.2));
    let top = values.chain(tops).fold(0.0, f64::max);
    let top = if top > 0.0 { top * 1.05 } else { 1.0 };
    let time = TimeAxis::new(span);
    let (start, end) = time.span;
    let mut chart = ChartBuilder::on(&plot)
        .margin_left(8)
        .margin_right(time.label_width() / 2 + 6)
        .x_label_area_size(40)
        .y_label_area_size(78)
        .build_cartesian_2d(start..end, 0.0..top)
        .map_err(failed)?;
    let label = |size| font(size).color(&rgb(INK));
    chart
        .configure_mesh()
        .x_desc(format!("time [{}]", time.unit))
        .y_desc(&panel.y)
        .x_labels(time.labels())
        .y_labels(6)
        .y_label_formatter(&|value| plain(*value, top))
        .x_label_formatter(&|value| plain(*value, end - start))
        .bold_line_style(rgb(GRID))
        .light_line_style(TRANSPARENT)
        .axis_style(rgb(MUTED))
        .label_style(label(12.0))
        .axis_desc_style(label(13.0))
        .draw()
        .map_err(failed)?;
    let pixel = (end - start) / f64::from(width);
    for strokes in &panel.strokes {
        let style = ShapeStyle::from(rgb(strokes.colour)).stroke_width(strokes.width);
        let scaled: Vec<_> =
            strokes.strokes.iter().map(|&(t, from, to)| (t * time.scale, from, to)).collect();
        let merged = merge(&scaled, pixel);
        let drawn = merged.into_iter().map(|(t, from, to)| PathElement::new(vec![(t, from), (t, to)], style));
        chart.draw_series(drawn).map_err(failed)?;
    }
    for series in &panel.series {
        let style = ShapeStyle::from(rgb(series.colour)).stroke_width(2);
        let scaled: Vec<_> = series.points.iter().map(|&(t, value)| (t * time.scale, value)).collect();
        let points = thin(&scaled, pixel);
        match series.kind {
            Kind::Dots(radius) => {
                let dots =
                    points.into_iter().map(|point| Circle::new(point, radius, rgb(series.colour).filled()));
                chart.draw_series(dots).map_err(failed)?;
            }
            Kind::Area => {
                let ground = |at: Option<&(f64, f64)>| at.map(|&(t, _)| (t, 0.0));
                let top = stairs(&points, end);
                let area =
                    ground(top.first()).into_iter().chain(top.iter().copied()).chain(ground(top.last()));
                let area = Polygon::new(area.collect::<Vec<_>>(), rgb(series.colour).mix(AREA).filled());
                chart.draw_series([area]).map_err(failed)?;
            }
            Kind::Step => {
                let stairs = stairs(&points, end);
                chart.draw_series(LineSeries::new(stairs, style)).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// How much an area covers what is behind it.
const AREA: f64 = 0.35;

/// The axis of time, in a unit that fits its length.
struct TimeAxis {
    /// From and to, in the unit.
    span: (f64, f64),
    /// Units in a second.
    scale: f64,
    unit: &'static str,
}

impl TimeAxis {
    fn new((start, end): (f64, f64)) -> Self {
        // A single instant has some room around it, too.
        let end = if end > start { end.max(start + 1e-6) } else { start + 1.0 };
        let (scale, unit) = match end - start {
            1.0.. => (1.0, "s"),
            1e-3.. => (1e3, "ms"),
            _ => (1e6, "us"),
        };
        Self { span: (start * scale, end * scale), scale, unit }
    }

    /// Width of the widest label, at most.
    fn label_width(&self) -> u32 {
        (plain(self.span.1, self.span.1 - self.span.0).len() as f64 * 7.7).ceil() as u32
    }

    /// How many labels fit, with space between them.
    fn labels(&self) -> usize {
        ((WIDTH - LEFT.unsigned_abs()) / (self.label_width() + 24)).clamp(2, 10) as usize
    }
}

/// What stands before a name.
#[derive(Copy, Clone, Debug)]
enum Sign {
    Line,
    Area,
    Dot(u32),
    Stroke,
}

/// The names of the curves with their colours and where they stand, in lines as wide as the picture.
fn entries(panel: &Panel) -> Vec<(&str, Colour, Sign, (i32, i32))> {
    let curves = panel.series.iter().map(|series| {
        let sign = match series.kind {
            Kind::Step => Sign::Line,
            Kind::Area => Sign::Area,
            Kind::Dots(radius) => Sign::Dot(radius),
        };
        (series.name.as_str(), series.colour, sign)
    });
    let strokes = panel.strokes.iter().map(|strokes| (strokes.name.as_str(), strokes.colour, Sign::Stroke));
    let (mut x, mut y) = (LEFT, 13);
    let mut entries = Vec::new();
    for (name, colour, sign) in strokes.chain(curves) {
        let width = 28 + (name.chars().count() as f64 * 7.2) as i32 + 18;
        if x > LEFT && x + width > WIDTH as i32 {
            (x, y) = (LEFT, y + LINE as i32);
        }
        entries.push((name, colour, sign, (x, y)));
        x += width;
    }
    entries
}

/// Height of the names above a panel.
fn legend_height(panel: &Panel) -> u32 {
    entries(panel).last().map_or(LINE, |&(.., (_, y))| y.unsigned_abs() + 13)
}

/// The names of the curves, above the panel: nothing is hidden behind them.
fn legend(area: &Area<'_>, panel: &Panel) -> Drawn<()> {
    let ink = rgb(INK);
    for (name, colour, sign, (x, y)) in entries(panel) {
        let line = ShapeStyle::from(rgb(colour)).stroke_width(3);
        match sign {
            Sign::Line => area.draw(&PathElement::new(vec![(x, y), (x + 22, y)], line)),
            Sign::Area => {
                area.draw(&Rectangle::new([(x, y - 6), (x + 22, y + 6)], rgb(colour).mix(AREA).filled()))
            }
            Sign::Dot(radius) => area.draw(&Circle::new((x + 11, y), radius.max(2), rgb(colour).filled())),
            Sign::Stroke => area.draw(&PathElement::new(vec![(x + 11, y - 7), (x + 11, y + 7)], line)),
        }
        .map_err(failed)?;
        let style = font(12.0).into_text_style(area).color(&ink).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(name, &style, (x + 28, y)).map_err(failed)?;
    }
    Ok(())
}

/// A number without digits that say nothing at this length of the axis; as a power of ten where it would be too wide.
fn plain(value: f64, axis: f64) -> String {
    if !(2e-4..1e7).contains(&axis) {
        return if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") };
    }
    // Ten labels: each tells a tenth of it.
    let decimals = (1.3 - axis.log10()).ceil().clamp(0.0, 5.0) as usize;
    format!("{value:.decimals$}")
}

/// Of the points within a pixel the first, the least, the largest and the last.
fn thin(points: &[(f64, f64)], pixel: f64) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    for within in points.chunk_by(|a, b| (a.0 / pixel).floor() == (b.0 / pixel).floor()) {
        if within.len() <= 4 {
            kept.extend_from_slice(within);
            continue;
        }
        let by =
            |order: fn(&(f64, f64), &(f64, f64)) -> std::cmp::Ordering| within.iter().copied().max_by(order);
        let most = by(|a, b| a.1.total_cmp(&b.1));
        let least = by(|a, b| b.1.total_cmp(&a.1));
        let mut middle: Vec<_> = most.into_iter().chain(least).collect();
        middle.sort_by(|a, b| a.0.total_cmp(&b.0));
        kept.push(within[0]);
        kept.extend(middle);
        kept.push(within[within.len() - 1]);
    }
    kept
}

/// Strokes within a pixel that touch become one.
fn merge(strokes: &[(f64, f64, f64)], pixel: f64) -> Vec<(f64, f64, f64)> {
    let mut merged: Vec<(f64, f64, f64)> = Vec::new();
    for &(t, from, to) in strokes {
        match merged.last_mut() {
            Some(last)
                if (last.0 / pixel).floor() == (t / pixel).floor() && from <= last.2 && to >= last.1 =>
            {
                *last = (last.0, last.1.min(from), last.2.max(to));
            }
            _ => merged.push((t, from, to)),
        }
    }
    merged
}

fn stairs(points: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let mut stairs = Vec::with_capacity(2 * points.len() + 1);
    for (place, &(t, value)) in points.iter().enumerate() {
        if place > 0 {
            stairs.push((t, points[place - 1].1));
        }
        stairs.push((t, value));
    }
    stairs.extend(points.last().map(|&(_, value)| (end, value)));
    stairs
}
