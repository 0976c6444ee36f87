//! The manual pages.

use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::{Failure, with_file};
use crate::args::Args;

/// Writes `netstack.1`, and a page for each command.
pub(super) fn write(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| with_file("make the folder", folder, error))?;
    clap_mangen::generate_to(Args::command(), folder).map_err(|error| with_file("write into", folder, error))
}
