use std::time::Duration;

use proptest::prelude::*;

use super::chart::{self, Kind, Panel, Series, Strokes};
use super::palette::{BLUE, FLOWS, RED};
use super::{Label, LadderOptions, Picture, Theme, ladder, queue, state_diagram, throughput};
use super::{time_sequence, windows};
use crate::experiment::Experiment;
use crate::flow::Flow;
use netstack_sim::record::Log;

fn assert_apart(picture: &Picture) {
    let drawn = texts(picture);
    if !picture.labels().is_empty() {
        assert_eq!(drawn.1.len(), picture.labels().len());
    }
    let (page, labels) = drawn;
    for (place, label) in labels.iter().enumerate() {
        let other = labels[place + 1..].iter().find(|other| label.overlaps(other));
        assert!(other.is_none(), "{label:?} and {other:?}");
        let (right, bottom) = (label.x + label.width, label.y + label.height);
        let inside = label.x >= 0.0 && label.y >= 0.0 && right <= page.0 && bottom <= page.1;
        assert!(inside, "{label:?} on a page of {page:?}");
    }
}

/// The size of a picture and the boxes of its texts, as wide as those of a common font at most.
fn texts(picture: &Picture) -> ((f64, f64), Vec<Label>) {
    use svg::parser::Event;
    let document = picture.svg(Theme::Light);
    let (mut page, mut labels, mut open) = ((0.0, 0.0), Vec::new(), None);
    for event in svg::read(&document).unwrap() {
        match event {
            Event::Tag("svg", _, attributes) if page == (0.0, 0.0) => {
                let number = |name: &str| attributes[name].parse::<f64>().unwrap();
                page = (number("width"), number("height"));
            }
            Event::Tag("text", svg::node::element::tag::Type::Start, attributes) => open = Some(attributes),
            Event::Text(text) => labels.extend(open.take().map(|attributes| label(&attributes, text.trim()))),
            _ => {}
        }
    }
    (page, labels)
}

fn label(attributes: &svg::node::Attributes, text: &str) -> Label {
    let of = |name: &str| attributes.get(name).map(|value| value.to_string());
    let number = |name: &str| of(name).map_or(0.0, |value| value.parse::<f64>().unwrap());
    // In heights of a small letter, or in sizes of the font.
    let lowered = of("dy").map_or(0.0, |dy| match dy.strip_suffix("ex") {
        Some(heights) => 0.53 * heights.parse::<f64>().unwrap(),
        None => dy.trim_end_matches("em").parse().unwrap(),
    });
    // The escapes are a character each.
    let text = text.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&");
    let (size, mono) = (number("font-size"), of("font-family").is_some_and(|family| family.contains("Mono")));
    let bold = of("font-weight").is_some_and(|weight| weight == "bold");
    // Digits and small letters of DejaVu Sans, the widest of the usual ones.
    let per_char = if mono || bold { 0.602 } else { 0.58 };
    let width = text.chars().count() as f64 * per_char * size;
    let base = number("y") + lowered * size;
    let x = match of("text-anchor").as_deref() {
        Some("middle") => number("x") - width / 2.0,
        Some("end") => number("x") - width,
        _ => number("x"),
    };
    let upright = Label { text, x, y: base - 0.78 * size, width, height: size };
    match of("transform") {
        // Written upwards, around its own place.
        Some(turn) if turn.contains("270") => {
            let (x, y) = (number("x"), number("y"));
            let Label { text, x: left, y: above, width, height } = upright;
            Label { text, x: x + (above - y), y: y - (left - x) - width, width: height, height: width }
        }
        _ => upright,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happened, whoever saw it, and however much of it is folded.
    #[test]
    fn no_two_labels_of_a_ladder_overlap(
        seed in 0_u64..1_000_000,
        loss in 0.0..0.2_f64,
        jitter in 0_u64..40,
        bytes in 1_u64..200_000,
        limit in 6_usize..120,
    ) {
        let experiment = Experiment {
            seed,
            loss,
            loss_back: loss / 2.0,
            bytes,
            jitter: Duration::from_millis(jitter),
            jitter_reorders: true,
            duplicate: 0.02,
            ..Experiment::default()
        };
        let outcome = experiment.run(|_| {});
        let options = LadderOptions { limit, ..LadderOptions::default() };
        assert_apart(&ladder(&outcome.flows[0], &options));
        let mut capture = Vec::new();
        outcome.log.write_pcapng(&mut capture).unwrap();
        let seen = Log::read_capture(&capture[..]).unwrap();
        assert_apart(&ladder(&Flow::all(&seen)[0], &options));
        for (log, flows) in [(&outcome.log, &outcome.flows), (&seen, &Flow::all(&seen))] {
            assert_apart(&time_sequence(&flows[0]));
            assert_apart(&windows(&flows[0]));
            assert_apart(&throughput(log, flows, 100));
            assert_apart(&queue(log));
        }
    }
}

proptest! {
    /// Charts of whatever size, at whatever time, with names as long as two IPv6 addresses.
    #[test]
    fn no_two_labels_of_a_chart_overlap(
        start in prop_oneof![Just(0.0), 0.0..4_000.0_f64],
        length in -9.0..6.0_f64,
        size in -7.0..13.0_f64,
        names in proptest::collection::vec(1_usize..97, 0..7),
    ) {
        let (length, size) = (10_f64.powf(length), 10_f64.powf(size));
        let points: Vec<_> = (0..20).map(|place| (start + length * f64::from(place) / 20.0, size)).collect();
        let kinds = [Kind::Step, Kind::Area, Kind::Dots(3)];
        let series = names.iter().enumerate().map(|(place, &len)| Series {
            name: "f".repeat(len),
            colour: FLOWS[place % FLOWS.len()],
            kind: kinds[place % kinds.len()],
            points: points.clone(),
        });
        let strokes =
            Strokes { name: "lost".to_owned(), colour: RED, width: 2, strokes: vec![(start, 0.0, size)] };
        let one = Series { name: "one".to_owned(), colour: BLUE, kind: Kind::Step, points: vec![(start, size)] };
        let panel = |series, strokes| Panel { y: "octets [KiB]".to_owned(), series, strokes, height: 1.0 };
        let panels = [panel(series.collect(), vec![strokes]), panel(vec![one], Vec::new())];
        let title = "2001:db8:85a3:1234:5678:8a2e:370:7334 and so on".repeat(1 + names.len() / 3);
        assert_apart(&chart::draw(&title, (start, start + length), &panels));
    }
}

#[test]
fn the_chart_of_a_connection_covers_its_time_and_no_other() {
    let outcome = Experiment { bytes: 50_000, flows: 2, ..Experiment::default() }.run(|_| {});
    let mut later = outcome.flows[1].clone();
    for segment in &mut later.segments {
        segment.t += 100_000_000_000;
        segment.arrives = segment.arrives.map(|at| at + 100_000_000_000);
    }
    let labels = texts(&time_sequence(&later)).1;
    let times: Vec<f64> = labels.iter().filter_map(|label| label.text.parse().ok()).collect();
    assert!(labels.iter().any(|label| label.text == "time [ms]"), "{labels:?}");
    assert!(times.iter().filter(|&&time| time > 100_000.0).count() > 3, "{times:?}");
}

#[test]
fn no_two_labels_of_the_state_diagram_overlap() {
    let outcome = Experiment { bytes: 1_000, ..Experiment::default() }.run(|_| {});
    for side in 0..2 {
        let picture = state_diagram(&outcome.flows[0], side);
        assert_apart(&picture);
        assert!(picture.labels().iter().any(|label| label.text.starts_with("1. ")));
    }
}

#[test]
fn the_middle_of_a_long_transfer_is_folded_and_its_losses_are_not() {
    let outcome = Experiment { bytes: 500_000, loss: 0.01, seed: 3, ..Experiment::default() }.run(|_| {});
    let picture = ladder(&outcome.flows[0], &LadderOptions::default());
    let has = |part: &str| picture.labels().iter().any(|label| label.text.contains(part));
    assert!(outcome.flows[0].segments.len() > 400);
    assert!(picture.labels().len() < 300);
    assert!(has("long, not drawn") && has("lost") && has("sent again") && has("SYN, ACK"));
}

#[test]
fn a_capture_has_the_states_that_the_log_has() {
    let outcome = Experiment { bytes: 20_000, ..Experiment::default() }.run(|_| {});
    let mut capture = Vec::new();
    outcome.log.write_pcapng(&mut capture).unwrap();
    let seen = Flow::all(&Log::read_capture(&capture[..]).unwrap());
    for side in 0..2 {
        let names = |flow: &Flow| -> Vec<String> {
            flow.states[side]
                .iter()
                .map(|(_, state)| state.to_string())
                .filter(|state| state != "CLOSED")
                .collect()
        };
        assert_eq!(names(&seen[0]), names(&outcome.flows[0]));
    }
}
