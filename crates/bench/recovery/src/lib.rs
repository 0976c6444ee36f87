//! What loss recovery and congestion control reach over simulated links, as a table with floors and as plots.
//!
//! A [`Row`] is one link with one controller; it runs once per seed on the event heap of `netstack-sim`, in virtual
//! time, and the medians are held against its floors. The package is apart from the other benchmarks because it needs neither a
//! runtime nor a device, and builds in a fraction of their time:
//!
//! ```sh
//! cargo run --release -p netstack-bench-recovery             # the table, into docs/recovery.md
//! cargo run --release -p netstack-bench-recovery -- --quick --row shallow
//! cargo run --release -p netstack-bench-recovery -- --plots docs/recovery
//! ```

mod contender;
mod document;
mod figure;
mod plots;
mod rows;
mod table;

use std::error::Error;
use std::path::PathBuf;

use rayon::prelude::*;

pub use contender::Contender;
pub use document::write_section;
pub use figure::{Bound, Figure, Sheet, Unit};
pub use rows::{Row, Scale, rows};
pub use table::{Line, Table};

/// What to run, from the command line.
#[derive(Debug, clap::Args)]
pub struct RecoveryArgs {
    /// Only the rows whose name contains this; may be given again.
    #[arg(long)]
    row: Vec<String>,
    /// Only this controller: newreno, cubic, cubic-paced or bbr.
    #[arg(long)]
    controller: Option<String>,
    /// Runs per row, with the seeds 1, 2, and so on.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// A quarter of the time, to look at while developing; the floors are meant for the whole of it.
    #[arg(long)]
    quick: bool,
    /// Draws the controllers' windows, times and queues into this folder, and runs no table.
    #[arg(long)]
    plots: Option<PathBuf>,
}

/// Runs the table, prints it, and writes it to `docs/recovery.md` if it is whole; or draws the plots.
///
/// # Errors
///
/// A file cannot be written, or no row has the name asked for.
pub fn run(args: &RecoveryArgs) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = &args.plots {
        return plots::draw(folder);
    }
    let chosen: Vec<_> = rows()
        .into_iter()
        .filter(|row| args.row.is_empty() || args.row.iter().any(|name| row.name.contains(name.as_str())))
        .filter(|row| args.controller.as_ref().is_none_or(|name| row.contender.name() == name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = rows().iter().map(|row| row.name).collect();
        return Err(format!("no such row; there are {}", names.join(", ")).into());
    }
    let scale = if args.quick { Scale::Quick } else { Scale::Full };
    let table = measure(&chosen, scale, args.seeds.max(1));
    println!("{table}");
    let whole = args.row.is_empty() && args.controller.is_none() && !args.quick && args.seeds >= 5;
    if whole {
        write_section("recovery", &format!("{table}\n{}", table.summary()))?;
    }
    println!("{}", table.summary());
    Ok(())
}

/// Runs rows with the seeds 1 to `seeds`, on all cores.
pub fn measure(rows: &[Row], scale: Scale, seeds: u64) -> Table {
    let jobs: Vec<_> = rows.iter().flat_map(|row| (1..=seeds).map(move |seed| (row, seed))).collect();
    // One at a time from the list: the runs differ in length by a factor of a hundred.
    let sheets: Vec<_> = jobs.par_iter().with_max_len(1).map(|(row, seed)| row.run(scale, *seed)).collect();
    let lines = rows.iter().zip(sheets.chunks(seeds as usize)).map(|(row, sheets)| Line::new(row, sheets));
    Table { lines: lines.collect() }
}

#[cfg(test)]
mod tests;
