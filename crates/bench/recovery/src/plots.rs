//! Window, threshold, round-trip time and queue over time, a picture for each controller.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use netstack_sim::scenario::{FlowPlan, Outcome, PAYLOAD, Scenario};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::contender::Contender;

const SIZE: (u32, u32) = (960, 760);
const RATE: u64 = 100_000_000;
const RTT: Duration = Duration::from_millis(50);
const LENGTH: Duration = Duration::from_secs(30);
/// Seconds between two points that no line joins.
const GAP: f64 = 0.3;

// One background for light and dark pages, so that the text on it can be read on both.
const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(36, 41, 47);
const GRID: RGBColor = RGBColor(225, 228, 232);
const FIRST: RGBColor = RGBColor(31, 119, 180);
const SECOND: RGBColor = RGBColor(214, 110, 20);

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A named line.
struct Series {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws `<controller>.svg` into `folder` for each controller that there is.
pub(crate) fn draw(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for contender in [Contender::NewReno, Contender::Cubic, Contender::CubicPaced, Contender::Bbr] {
        let mut scenario = Scenario::new(RATE, RTT, 1.0);
        scenario.flows.push(FlowPlan::bulk(&contender.tcp()));
        scenario.duration = LENGTH;
        let outcome = scenario.run(1);
        let path = folder.join(format!("{}.svg", contender.name()));
        picture(contender.name(), &outcome, &path)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn picture(name: &str, outcome: &Outcome, path: &Path) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&PAPER)?;
    let title = format!("{name}: one flow, 100 Mbit/s, 50 ms, queue of one bandwidth-delay product");
    let rest = root.titled(&title, ("sans-serif", 18).into_font().color(&INK))?;
    let samples = &outcome.flows[0].samples;
    let seconds = |at: Duration| at.as_secs_f64();
    let segments = |octets: u32| f64::from(octets) / PAYLOAD as f64;
    let windows = [
        Series {
            name: "cwnd",
            colour: FIRST,
            points: samples.iter().map(|sample| (seconds(sample.at), segments(sample.cwnd))).collect(),
        },
        Series {
            name: "ssthresh",
            colour: SECOND,
            points: samples
                .iter()
                .filter_map(|sample| Some((seconds(sample.at), segments(sample.ssthresh?))))
                .collect(),
        },
    ];
    let rtts = outcome.flows[0].rtts.iter().step_by(20);
    let times = [Series {
        name: "RTT of single segments",
        colour: FIRST,
        points: rtts.map(|&(at, rtt)| (seconds(at), rtt.as_secs_f64() * 1e3)).collect(),
    }];
    let packets = [Series {
        name: "bytes in the bottleneck's queue",
        colour: FIRST,
        points: outcome.queue.iter().map(|sample| (seconds(sample.at), sample.bytes as f64 / 1e3)).collect(),
    }];
    let panels = rest.split_evenly((3, 1));
    panel(&panels[0], "window, segments", &windows)?;
    panel(&panels[1], "RTT, ms", &times)?;
    panel(&panels[2], "queue, kB", &packets)?;
    root.present()?;
    Ok(())
}

fn panel(area: &Canvas<'_>, unit: &str, series: &[Series]) -> Result<(), Box<dyn Error>> {
    let top = series.iter().flat_map(|series| &series.points).map(|point| point.1).fold(1.0, f64::max);
    // Room above the lines for the legend.
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(24)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..LENGTH.as_secs_f64(), 0.0..top * 1.5)?;
    let text = ("sans-serif", 13).into_font().color(&INK);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text.clone())
        .x_desc("time, s")
        .y_desc(unit)
        .x_labels(7)
        .y_labels(6)
        .x_label_formatter(&|seconds| format!("{seconds:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    for Series { name, colour, points } in series.iter().filter(|series| !series.points.is_empty()) {
        let colour = *colour;
        // No line where nothing was measured: while losses are repaired, no round trip is.
        for run in points.chunk_by(|before, after| after.0 - before.0 < GAP) {
            chart.draw_series(LineSeries::new(run.iter().copied(), colour.stroke_width(2)))?;
        }
        chart
            .draw_series(LineSeries::new([], colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(PAPER)
        .border_style(GRID)
        .label_font(text)
        .draw()?;
    Ok(())
}
