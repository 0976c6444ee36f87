//! Which segments are drawn, and which are folded.

use netstack_wire::tcp::TcpFlags;

use crate::flow::Seg;

/// A part of a ladder, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The segment with this number is drawn.
    Segment(usize),
    /// These are not.
    Fold(Fold),
}

impl Part {
    pub(super) fn fold(&self) -> Option<&Fold> {
        match self {
            Self::Fold(fold) => Some(fold),
            Self::Segment(_) => None,
        }
    }
}

/// Segments that are not drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fold {
    /// When the first was sent.
    pub(super) from: u64,
    /// When the last was.
    pub(super) to: u64,
    /// Of each side: segments with data, their octets, and segments without.
    pub(super) counts: [(usize, u64, usize); 2],
}

/// Fewer are not worth a fold.
const LEAST: usize = 4;

/// Draws all of at most `limit` segments; of more, the beginning, the end, and what is remarkable as far as it fits.
pub(super) fn parts(segments: &[Seg], limit: usize) -> Vec<Part> {
    let mut shown = vec![segments.len() <= limit; segments.len()];
    if segments.len() > limit {
        // A third for each of the two ends, a third for what is remarkable.
        let edge = limit / 3;
        for place in (0..edge).chain(segments.len() - edge..segments.len()) {
            shown[place] = true;
        }
        let remarkable = (0..segments.len()).filter(|&place| is_remarkable(&segments[place]));
        let room = limit - 2 * edge;
        for place in remarkable.filter(|&place| !(0..edge).contains(&place)).take(room) {
            shown[place] = true;
        }
    }
    let mut parts = Vec::new();
    let mut at = 0;
    while at < segments.len() {
        let hidden = shown[at..].iter().take_while(|shown| !**shown).count();
        if hidden >= LEAST {
            parts.push(Part::Fold(fold(&segments[at..at + hidden])));
        } else {
            parts.extend((at..at + hidden).map(Part::Segment));
        }
        at += hidden;
        if at < segments.len() {
            parts.push(Part::Segment(at));
            at += 1;
        }
    }
    parts
}

fn is_remarkable(segment: &Seg) -> bool {
    segment.is_lost()
        || segment.retransmission
        || segment.note.is_some()
        || segment.flags.intersects(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST)
        || segment.window == 0
}

fn fold(segments: &[Seg]) -> Fold {
    let mut counts = [(0, 0, 0); 2];
    for segment in segments {
        let (data, octets, bare) = &mut counts[segment.from];
        *data += usize::from(segment.len > 0);
        *octets += u64::from(segment.len);
        *bare += usize::from(segment.len == 0);
    }
    let from = segments.iter().map(|segment| segment.t).min().unwrap_or(0);
    let to = segments.iter().map(|segment| segment.t).max().unwrap_or(0);
    Fold { from, to, counts }
}
