//! `netstack ladder` and `netstack plot`.

use super::{Failure, connection, with_file};
use crate::args::{Kind, Ladder, Plot};
use netstack_cli::draw::{self, LadderOptions};
use netstack_cli::flow::Flow;

/// Spans in a picture of throughput.
pub(super) const SLOTS: usize = 100;

pub(super) fn ladder(args: &Ladder) -> Result<(), Failure> {
    let (_, flow) = connection(&args.source)?;
    let options = LadderOptions { title: args.title.clone(), limit: args.segments as usize };
    draw::ladder(&flow, &options)
        .save(&args.output, args.style.theme)
        .map_err(|error| with_file("write", &args.output, error))
}

pub(super) fn run(args: &Plot) -> Result<(), Failure> {
    let (log, flow) = connection(&args.source)?;
    let picture = match args.kind {
        Kind::TimeSequence => draw::time_sequence(&flow),
        Kind::Windows => draw::windows(&flow),
        Kind::Throughput => draw::throughput(&log, &Flow::all(&log), SLOTS),
        Kind::Queue => draw::queue(&log),
        Kind::States => draw::state_diagram(&flow, usize::from(args.side)),
    };
    picture.save(&args.output, args.style.theme).map_err(|error| with_file("write", &args.output, error))
}
