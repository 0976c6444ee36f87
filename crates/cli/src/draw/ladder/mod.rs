//! The ladder: two ends as columns, time running down, an arrow for each segment.

mod fold;
mod layout;
mod paint;
mod words;

use super::Picture;
use crate::flow::Flow;

pub use words::{Clock, Words};

/// How a ladder is drawn.
#[derive(Clone, Debug)]
pub struct LadderOptions {
    /// The heading; the two addresses by default.
    pub title: Option<String>,
    /// The most segments that are drawn one by one; of a longer connection the middle is folded, but for what is remarkable.
    pub limit: usize,
}

impl Default for LadderOptions {
    /// The addresses as heading, 40 segments.
    fn default() -> Self {
        Self { title: None, limit: 40 }
    }
}

/// Draws a connection as a ladder.
pub fn ladder(flow: &Flow, options: &LadderOptions) -> Picture {
    let parts = fold::parts(&flow.segments, options.limit);
    let layout = layout::Layout::new(flow, &parts);
    let title = options.title.clone().unwrap_or_else(|| flow.title());
    paint::paint(flow, &layout, &title)
}
