//! What a program says on its standard output, for as long as somebody reads it.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process;

/// Prints a line. When the reader is gone, as in `| head`, the program ends without a word.
macro_rules! say {
    ($($line:tt)*) => { $crate::say::line(format_args!($($line)*)) };
}
pub(crate) use say;

pub(crate) fn line(line: Arguments<'_>) {
    let mut stdout = io::stdout();
    match writeln!(stdout, "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            eprintln!("cannot write to the standard output: {error}");
            process::exit(1);
        }
    }
}
