//! The texts of a ladder, on paper and in the terminal.

use netstack_sim::record::PacketFate;

use super::fold::Fold;
use crate::flow::Seg;

/// Names for the initial sequence numbers of the two sides: `x` and `y`.
#[derive(Clone, Copy, Debug)]
pub struct Words;

const NAMES: [&str; 2] = ["x", "y"];

impl Words {
    /// `seq = x + 1, ack = y + 1`, with the flags in front and the length behind.
    pub fn segment(self, segment: &Seg) -> String {
        let mut text = String::new();
        if !segment.flag_names.is_empty() {
            text = format!("{} ", segment.flag_names);
        }
        text += &format!("seq = {}", relative(NAMES[segment.from], segment.seq));
        if let Some(ack) = segment.ack {
            text += &format!(", ack = {}", relative(NAMES[1 - segment.from], ack));
        }
        match segment.len {
            0 => {}
            1 => text += ", 1 byte",
            len => text += &format!(", {len} bytes"),
        }
        text
    }

    /// What is remarkable about it; empty if nothing is.
    pub fn remark(self, segment: &Seg) -> String {
        let mut remarks = Vec::new();
        remarks.extend(segment.note.clone());
        if segment.retransmission {
            remarks.push("sent again".to_owned());
        }
        match segment.fate {
            PacketFate::Lost => remarks.push("lost".to_owned()),
            PacketFate::QueueFull => remarks.push("dropped, queue full".to_owned()),
            PacketFate::Delivered { copy: Some(_), .. } => remarks.push("arrives twice".to_owned()),
            PacketFate::Delivered { .. } | PacketFate::Seen => {}
        }
        if !segment.sack.is_empty() {
            let name = NAMES[1 - segment.from];
            let blocks: Vec<_> =
                segment.sack.iter().map(|(left, right)| format!("{left} to {right}")).collect();
            remarks.push(format!("has {name} + {}", blocks.join(", ")));
        }
        if segment.window == 0 && segment.ack.is_some() {
            remarks.push("window 0".to_owned());
        }
        remarks.join(", ")
    }

    /// The lines about what was folded.
    pub(super) fn fold(self, fold: &Fold, names: [&str; 2]) -> Vec<String> {
        let mut lines = Vec::new();
        for (side, (data, octets, bare)) in fold.counts.into_iter().enumerate() {
            let mut parts = Vec::new();
            if data > 0 {
                parts.push(format!("{} with {} bytes", segments(data), grouped(octets)));
            }
            if bare > 0 {
                parts.push(format!("{} without data", segments(bare)));
            }
            if !parts.is_empty() {
                lines.push(format!("from {}: {}", names[side], parts.join(", ")));
            }
        }
        lines
    }
}

fn segments(count: usize) -> String {
    format!("{} segment{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

fn relative(name: &str, number: i64) -> String {
    match number {
        0 => name.to_owned(),
        more @ 1.. => format!("{name} + {more}"),
        less => format!("{name} - {}", less.unsigned_abs()),
    }
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes times of one picture alike: in milliseconds if it lasts less than ten seconds, with as many decimals as tell its
/// instants, three at most.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    millis: bool,
    decimals: usize,
}

impl Clock {
    /// A clock for these instants.
    pub fn new(instants: impl IntoIterator<Item = u64>) -> Self {
        let instants: Vec<u64> = instants.into_iter().collect();
        let millis = instants.iter().all(|&instant| instant < 10_000_000_000);
        let unit: u64 = if millis { 1_000_000 } else { 1_000_000_000 };
        let exact = |decimals: &u32| {
            let step = unit / 10_u64.pow(*decimals);
            instants.iter().all(|instant| instant.is_multiple_of(step))
        };
        Self { millis, decimals: (0..3).find(exact).unwrap_or(3) as usize }
    }

    /// An instant or a span, with its unit.
    pub fn show(self, nanos: u64) -> String {
        let (value, unit) = if self.millis { (nanos as f64 / 1e6, "ms") } else { (nanos as f64 / 1e9, "s") };
        format!("{value:.*} {unit}", self.decimals)
    }
}

/// A span in its most fitting unit, without decimals that are zero.
pub(super) fn span(nanos: u64) -> String {
    let (value, unit) = match nanos {
        0..1_000_000 => (nanos as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    let text = format!("{value:.2}");
    format!("{} {unit}", text.trim_end_matches('0').trim_end_matches('.'))
}
