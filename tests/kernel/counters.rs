//! The kernel's counters.

use std::{fs, io};

/// One counter of this thread's namespace, as `nstat` shows it: a line of names, then a line of numbers, in `/proc/net`.
pub(crate) fn counter(file: &str, group: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/thread-self/net/{file}"))?;
    let mut lines = text.lines().filter(|line| line.starts_with(group)).map(str::split_whitespace);
    let (names, numbers) = (lines.next(), lines.next());
    let found =
        names.zip(numbers).and_then(|(names, numbers)| names.zip(numbers).find(|(known, _)| *known == name));
    let number = found.and_then(|(_, number)| number.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("this kernel has no counter {name} in {file}")))
}
