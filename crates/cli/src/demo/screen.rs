//! A scene in the terminal: 80 columns.

use crate::draw::{Clock, Words};
use crate::flow::{Flow, Seg};

/// Columns of a state, the longest of which is SYN-RECEIVED.
const STATE: usize = 12;
/// Columns between the two rails.
const SPAN: usize = 80 - 2 * (STATE + 2);

/// A segment as a rung: the state of each end beside it, that of the sender when it sends and that of the receiver when it has
/// received. Below it, if there is one, what is remarkable.
pub fn rung(flow: &Flow, segment: &Seg, clock: Clock) -> Vec<String> {
    let arrives = segment.arrives.unwrap_or(segment.t);
    let mut states = ["", ""];
    for (side, state) in states.iter_mut().enumerate() {
        let at = if side == segment.from { segment.t } else { arrives };
        let changed =
            flow.states[side].iter().enumerate().take_while(|(place, (t, _))| *place == 0 || *t <= at);
        *state = changed.last().map_or("", |(_, (_, state))| state.as_ref());
    }
    let text = format!(" {} ", Words.segment(segment));
    let rest = SPAN.saturating_sub(text.chars().count() + 3);
    let mut shaft: Vec<char> = "-".repeat(rest).chars().collect();
    if segment.is_lost()
        && let Some(end) = shaft.len().checked_sub(6)
    {
        shaft[end..].fill(' ');
        shaft[end] = 'X';
    }
    let arrow = match segment.from {
        0 => format!("--{text}{}>", shaft.iter().collect::<String>()),
        _ => format!("<{}{text}--", shaft.iter().rev().collect::<String>()),
    };
    let arrow = match segment.is_lost() {
        true if segment.from == 0 => arrow.replace('>', " "),
        true => arrow.replacen('<', " ", 1),
        false => arrow,
    };
    let mut lines = vec![format!("{:<STATE$} |{arrow}| {}", states[0], states[1])];
    let mut about = clock.show(segment.t);
    match segment.arrives {
        Some(arrives) => about += &format!(" to {}", clock.show(arrives)),
        None => about += " sent",
    }
    let remark = Words.remark(segment);
    if !remark.is_empty() {
        about += &format!(" ({remark})");
    }
    lines.push(format!("{:STATE$} |{about:^SPAN$}|", ""));
    lines
}

/// A text in lines of at most `width` columns.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last] += word;
        }
    }
    lines
}
