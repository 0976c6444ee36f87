//! A page to draw on that keeps count of its texts.

use std::fmt::Write as _;

use svg::Document;
use svg::node::element::{Line, Path, Rectangle, Text};

use super::Picture;
use super::palette::{Colour, INK, PAPER};

/// The family of texts whose width has to be known: all of its characters are equally wide.
const MONO: &str = "'DejaVu Sans Mono',Menlo,Consolas,monospace";
const SANS: &str = "'DejaVu Sans',Helvetica,Arial,sans-serif";
/// Width of a character of a monospaced font, in parts of its size; of the widest of those above.
const MONO_WIDTH: f64 = 0.602;
/// The same for a proportional one: the width of a long text at most.
const SANS_WIDTH: f64 = 0.64;

/// A text of a picture and the box that it fills.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// What it says.
    pub text: String,
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Label {
    fn new((x, y): (f64, f64), text: &str, style: Style) -> Self {
        let width = style.width(text);
        let left = match style.anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        // From the tallest letter to the deepest.
        Self { text: text.to_owned(), x: left, y: y - 0.78 * style.size, width, height: style.size }
    }

    /// Whether the boxes of two texts overlap.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }
}

/// Which point of a text is given.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Copy, Clone, Debug)]
pub(super) struct Style {
    pub(super) size: f64,
    pub(super) colour: Colour,
    pub(super) anchor: Anchor,
    pub(super) mono: bool,
    pub(super) bold: bool,
}

impl Style {
    pub(super) fn mono(colour: Colour, anchor: Anchor) -> Self {
        Self { size: 12.0, colour, anchor, mono: true, bold: false }
    }

    pub(super) fn title() -> Self {
        Self { size: 16.0, colour: INK, anchor: Anchor::Start, mono: false, bold: true }
    }

    pub(super) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) fn sized(self, size: f64) -> Self {
        Self { size, ..self }
    }

    /// Width of a text, at most.
    pub(super) fn width(&self, text: &str) -> f64 {
        let per_char = if self.mono { MONO_WIDTH } else { SANS_WIDTH };
        text.chars().count() as f64 * per_char * self.size
    }
}

/// A page; y grows downwards.
pub(super) struct Page {
    document: Document,
    labels: Vec<Label>,
}

impl Page {
    /// An empty page.
    pub(super) fn new(width: f64, height: f64) -> Self {
        let document = Document::new()
            .set("width", width.ceil())
            .set("height", height.ceil())
            .set("viewBox", (0, 0, width.ceil() as i64, height.ceil() as i64));
        let mut page = Self { document, labels: Vec::new() };
        page.rect((0.0, 0.0), (width.ceil(), height.ceil()), PAPER, None, 0.0);
        page
    }

    fn add(&mut self, node: impl svg::node::NodeClone + Into<Box<dyn svg::Node>>) {
        let document = std::mem::replace(&mut self.document, Document::new());
        self.document = document.add(node);
    }

    /// A text on a patch of paper: lines that pass behind it are interrupted.
    pub(super) fn patched(&mut self, at: (f64, f64), text: &str, style: Style) {
        let label = Label::new(at, text, style);
        self.rect((label.x - 2.0, label.y), (label.width + 4.0, label.height), PAPER, None, 2.0);
        self.text(at, text, style);
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), text: &str, style: Style) {
        self.labels.push(Label::new((x, y), text, style));
        let anchor = match style.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        // A rim of the paper's colour, so that lines that pass below do not cross the letters.
        let node = Text::new(text)
            .set("x", round(x))
            .set("y", round(y))
            .set("font-family", if style.mono { MONO } else { SANS })
            .set("font-size", style.size)
            .set("font-weight", if style.bold { "bold" } else { "normal" })
            .set("text-anchor", anchor)
            .set("fill", style.colour.light)
            .set("stroke", PAPER.light)
            .set("stroke-width", 3)
            .set("stroke-linejoin", "round")
            .set("paint-order", "stroke");
        self.add(node);
    }

    pub(super) fn line(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        colour: Colour,
        width: f64,
        dash: Option<&str>,
    ) {
        let mut node = Line::new()
            .set("x1", round(from.0))
            .set("y1", round(from.1))
            .set("x2", round(to.0))
            .set("y2", round(to.1))
            .set("stroke", colour.light)
            .set("stroke-width", width);
        if let Some(dash) = dash {
            node = node.set("stroke-dasharray", dash);
        }
        self.add(node);
    }

    pub(super) fn rect(
        &mut self,
        at: (f64, f64),
        size: (f64, f64),
        fill: Colour,
        stroke: Option<(Colour, f64)>,
        radius: f64,
    ) {
        let mut node = Rectangle::new()
            .set("x", round(at.0))
            .set("y", round(at.1))
            .set("width", round(size.0))
            .set("height", round(size.1))
            .set("rx", radius)
            .set("fill", fill.light);
        if let Some((colour, width)) = stroke {
            node = node.set("stroke", colour.light).set("stroke-width", width);
        }
        self.add(node);
    }

    /// A line through all of `points`, with an arrowhead at its end if it is an `arrow`.
    pub(super) fn path(&mut self, points: &[(f64, f64)], colour: Colour, width: f64, arrow: bool) {
        let mut data = String::new();
        for (place, (x, y)) in points.iter().enumerate() {
            let command = if place == 0 { 'M' } else { 'L' };
            // Writing to a string does not fail.
            let _ = write!(data, "{command}{} {}", round(*x), round(*y));
        }
        let node = Path::new()
            .set("d", data)
            .set("fill", "none")
            .set("stroke", colour.light)
            .set("stroke-width", width)
            .set("stroke-linejoin", "round");
        self.add(node);
        if let (true, [.., before, tip]) = (arrow, points) {
            self.arrowhead(*before, *tip, colour, 5.0 + 2.0 * width);
        }
    }

    fn arrowhead(&mut self, from: (f64, f64), tip: (f64, f64), colour: Colour, length: f64) {
        let (dx, dy) = (tip.0 - from.0, tip.1 - from.1);
        let norm = dx.hypot(dy).max(f64::EPSILON);
        let (ux, uy) = (dx / norm * length, dy / norm * length);
        let (left, right) =
            ((tip.0 - ux - uy * 0.4, tip.1 - uy + ux * 0.4), (tip.0 - ux + uy * 0.4, tip.1 - uy - ux * 0.4));
        let data = format!(
            "M{} {}L{} {}L{} {}Z",
            round(tip.0),
            round(tip.1),
            round(left.0),
            round(left.1),
            round(right.0),
            round(right.1)
        );
        self.add(Path::new().set("d", data).set("fill", colour.light));
    }

    /// A cross.
    pub(super) fn cross(&mut self, (x, y): (f64, f64), size: f64, colour: Colour) {
        self.line((x - size, y - size), (x + size, y + size), colour, 2.5, None);
        self.line((x - size, y + size), (x + size, y - size), colour, 2.5, None);
    }

    pub(super) fn finish(self) -> Picture {
        Picture { svg: format!("{}\n", self.document), labels: self.labels }
    }
}

/// Two decimals are enough, and make for small files.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
