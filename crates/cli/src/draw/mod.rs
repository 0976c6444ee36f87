//! Pictures that explain a connection, from a [`Flow`](crate::flow::Flow): each is a [`Picture`], saved as SVG or PNG.
//!
//! ```
//! use std::time::Duration;
//! use netstack_cli::draw::{self, Theme};
//! use netstack_cli::flow::Flow;
//! use netstack_sim::heap::{Pair, PairConfig, Receiver, Sender};
//! use netstack_sim::record::Recording;
//!
//! let mut config = PairConfig::new(7);
//! config.a_to_b.delay(Duration::from_millis(10));
//! let recording = Recording::of_pair(&config);
//! let mut pair = Pair::new(config, Sender::new(1_000), Receiver::new(), recording);
//! pair.run();
//! let log = pair.into_observer().into_log();
//! let picture = draw::ladder(&Flow::all(&log)[0], &draw::LadderOptions::default());
//! assert!(picture.svg(Theme::Auto).contains("SYN-SENT"));
//! ```

mod chart;
mod curves;
mod diagram;
mod edges;
mod ladder;
mod page;
mod palette;
#[cfg(feature = "png")]
mod png;
#[cfg(test)]
mod tests;
mod time_sequence;

use std::fs;
use std::io;
use std::path::Path;

pub use curves::{contrast, queue, throughput, windows};
pub use diagram::state_diagram;
pub use ladder::{Clock, LadderOptions, Words, ladder};
pub use page::Label;
pub use palette::Theme;
pub use time_sequence::time_sequence;

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// With the colours of [`Theme::Light`].
    svg: String,
    labels: Vec<Label>,
}

impl Picture {
    /// The picture as an SVG document.
    pub fn svg(&self, theme: Theme) -> String {
        palette::themed(&self.svg, theme)
    }

    /// The picture as PNG, `scale` pixels for a unit of the SVG. [`Theme::Auto`] is drawn light.
    ///
    /// # Errors
    ///
    /// If it has no pixels, or too many.
    #[cfg(feature = "png")]
    pub fn png(&self, theme: Theme, scale: f32) -> io::Result<Vec<u8>> {
        png::render(&self.svg(if theme == Theme::Auto { Theme::Light } else { theme }), scale)
    }

    /// Where the texts of the picture stand, where it keeps count: no two of them overlap.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Writes the picture to a file: PNG if its name ends so, else SVG.
    ///
    /// # Errors
    ///
    /// What the file system reports; a PNG where this program was built without.
    pub fn save(&self, path: &Path, theme: Theme) -> io::Result<()> {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
            #[cfg(feature = "png")]
            return fs::write(path, self.png(theme, 2.0)?);
            #[cfg(not(feature = "png"))]
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this build draws no PNG (feature `png`); name the file .svg",
            ));
        }
        fs::write(path, self.svg(theme))
    }
}
