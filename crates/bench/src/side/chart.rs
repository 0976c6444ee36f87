//! The results as a chart: a panel of horizontal bars for each of some figures.

use std::error::Error;
use std::path::Path;

use netstack_bench::spread::Spread;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::candidate::Candidate;
use super::client::bulk::Direction::{Download, Upload};
use super::job::Figure;
use super::results::Results;

/// What is drawn, in columns of two.
const PANELS: [Figure; 10] = [
    Figure::Bulk(Download, 1),
    Figure::Bulk(Upload, 1),
    Figure::Bulk(Download, 16),
    Figure::Bulk(Upload, 16),
    Figure::P50 { size: 1, connections: 1 },
    Figure::Turns { size: 1, connections: 64 },
    Figure::Connect(64),
    Figure::Memory,
    Figure::Machine(Download),
    Figure::Machine(Upload),
];

const COLUMNS: usize = 2;
const WIDTH: u32 = 1000;
const LEGEND: u32 = 40;
const BAR: i32 = 18;
const TITLE: i32 = 34;
/// Room for the names before the bars, and for the values behind the longest.
const NAMES: i32 = 135;
const VALUES: i32 = 75;

// One background for light and dark pages, so that the text on it can be read on both.
const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(36, 41, 47);
const OWN: RGBColor = RGBColor(31, 119, 180);
const KERNEL: RGBColor = RGBColor(110, 119, 129);
const PEER: RGBColor = RGBColor(230, 145, 56);
const CEILING: RGBColor = RGBColor(200, 205, 211);

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws what there is of [`PANELS`].
///
/// # Errors
/// The file cannot be written.
pub(super) fn draw(results: &Results, path: &Path) -> Result<(), Box<dyn Error>> {
    let panels: Vec<_> = PANELS
        .iter()
        .map(|&figure| (figure, bars(results, figure)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let most = panels.iter().map(|(_, bars)| bars.len()).max().unwrap_or(0);
    let rows = panels.len().div_ceil(COLUMNS).max(1);
    let height = TITLE + BAR * i32::try_from(most)? + BAR;
    let whole = (WIDTH, LEGEND + u32::try_from(height)? * u32::try_from(rows)?);
    let root = SVGBackend::new(path, whole).into_drawing_area();
    root.fill(&PAPER)?;
    let (top, rest) = root.split_vertically(LEGEND);
    legend(&top)?;
    for (area, (figure, bars)) in rest.split_evenly((rows, COLUMNS)).iter().zip(&panels) {
        panel(area, title(*figure), bars, figure.digits())?;
    }
    root.present()?;
    Ok(())
}

/// A candidate's figure; `None` where every run failed.
struct Bar {
    candidate: Candidate,
    spread: Option<Spread>,
}

fn bars(results: &Results, figure: Figure) -> Vec<Bar> {
    let bar = |candidate| {
        let spread = results.spread(figure, candidate);
        let failed = !results.failures(figure, candidate).is_empty();
        (spread.is_some() || failed).then_some(Bar { candidate, spread })
    };
    Candidate::ALL.into_iter().filter_map(bar).collect()
}

fn colour(candidate: Candidate) -> RGBColor {
    match candidate {
        Candidate::Kernel | Candidate::KernelPlain | Candidate::KernelBbr => KERNEL,
        Candidate::Offload | Candidate::Plain | Candidate::PlainCoalescing | Candidate::PlainBbr => OWN,
        Candidate::Ipstack
        | Candidate::NetstackSmoltcp
        | Candidate::NetstackSmoltcpOffload
        | Candidate::Smoltcp => PEER,
        Candidate::CeilingOffload | Candidate::CeilingPlain => CEILING,
    }
}

fn title(figure: Figure) -> String {
    let better = if figure.more_is_better() { "more" } else { "less" };
    format!("{} ({better} is better)", figure.title())
}

fn font(size: i32, horizontal: HPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center))
}

fn legend(area: &Canvas<'_>) -> Result<(), Box<dyn Error>> {
    let entries = [
        ("this stack", OWN),
        ("the kernel", KERNEL),
        ("other Rust stacks", PEER),
        ("ceiling of the device path", CEILING),
    ];
    for (left, (name, colour)) in (20..).step_by(150).zip(entries) {
        area.draw(&Rectangle::new([(left, 14), (left + 14, 28)], colour.filled()))?;
        area.draw(&Text::new(name, (left + 20, 21), font(13, HPos::Left)))?;
    }
    let note = "bars: medians; thin lines: least to greatest";
    area.draw(&Text::new(note, (i32::try_from(WIDTH)? - 20, 21), font(12, HPos::Right)))?;
    Ok(())
}

fn panel(area: &Canvas<'_>, title: String, bars: &[Bar], digits: usize) -> Result<(), Box<dyn Error>> {
    let (width, _) = area.dim_in_pixel();
    let room = f64::from(i32::try_from(width)? - NAMES - VALUES);
    let longest = bars.iter().filter_map(|bar| Some(bar.spread?.greatest)).fold(f64::MIN_POSITIVE, f64::max);
    let place = |value: f64| NAMES + (value / longest * room).round() as i32;
    area.draw(&Text::new(title, (20, TITLE / 2), font(14, HPos::Left)))?;
    for (number, bar) in (0..).zip(bars) {
        let top = TITLE + number * BAR;
        let middle = top + BAR / 2 - 1;
        area.draw(&Text::new(bar.candidate.name(), (NAMES - 8, middle), font(12, HPos::Right)))?;
        let Some(spread) = bar.spread else {
            area.draw(&Text::new("failed", (NAMES + 6, middle), font(12, HPos::Left)))?;
            continue;
        };
        let end = place(spread.median).max(NAMES + 1);
        let body = [(NAMES, top + 1), (end, top + BAR - 3)];
        area.draw(&Rectangle::new(body, colour(bar.candidate).filled()))?;
        let line = [spread.least, spread.greatest].map(|value| (place(value), middle));
        area.draw(&PathElement::new(line, INK.stroke_width(1)))?;
        let value = format!("{:.digits$}", spread.median);
        let behind = end.max(line[1].0) + 6;
        area.draw(&Text::new(value, (behind, middle), font(12, HPos::Left)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
