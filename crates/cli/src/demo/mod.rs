//! Classic scenes of TCP, played by the stack itself in virtual time, with words for each segment.

mod actor;
mod contrast;
mod scenes;
mod screen;
mod steps;
#[cfg(test)]
mod tests;

use std::fmt;

use clap::ValueEnum;
use netstack_sim::record::Log;

pub use contrast::{Arrival, Contrast, contrast};
pub use screen::{rung, wrapped};

use crate::draw::{LadderOptions, Picture, ladder};
use crate::flow::Flow;

/// A scene between two ends, A and B, 25 ms apart.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Scene {
    /// The three-way handshake
    Handshake,
    /// The close by both ends, one after the other
    Teardown,
    /// Both ends open at once (RFC 9293, figure 7)
    SimultaneousOpen,
    /// Both ends close at once (RFC 9293, figure 13)
    SimultaneousClose,
    /// The first SYN is lost
    LostSyn,
    /// A SYN of an earlier connection turns up (RFC 9293, figure 8)
    OldDuplicateSyn,
    /// The last ACK is lost, and TIME-WAIT answers for it
    TimeWait,
    /// One end has sent everything and goes on receiving
    HalfClose,
    /// The same messages over TCP and over UDP on a link that loses
    TcpVsUdp,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// A scene that was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// A heading.
    pub title: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Everything that happened.
    pub log: Log,
    /// Why each segment is there, in the order in which they were sent.
    pub steps: &'static [&'static str],
    /// What is to be seen at the end.
    pub end: &'static str,
}

impl Played {
    /// Plays a scene of segments; `None` for [`Scene::TcpVsUdp`], which is a [`Contrast`].
    pub fn new(scene: Scene) -> Option<Self> {
        let words = steps::words(scene)?;
        Some(Self {
            title: words.title,
            about: words.about,
            log: scenes::play(scene),
            steps: words.steps,
            end: words.end,
        })
    }

    /// Its one connection.
    pub fn flow(&self) -> Flow {
        Flow::all(&self.log).swap_remove(0)
    }

    /// The scene as a ladder.
    pub fn picture(&self) -> Picture {
        ladder(
            &self.flow(),
            &LadderOptions { title: Some(self.title.to_owned()), ..LadderOptions::default() },
        )
    }
}
