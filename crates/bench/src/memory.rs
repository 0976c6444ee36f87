//! How much memory the process holds.

use std::io;

/// Resident bytes of this process, as the kernel counts them.
///
/// # Errors
///
/// Where there is no `/proc/self/status`, or it has no `VmRSS` line: on systems other than Linux.
pub fn resident() -> io::Result<u64> {
    resident_in("/proc/self/status")
}

/// Resident bytes of another process.
///
/// # Errors
///
/// As [`resident`], and where there is no such process.
pub fn resident_of(process: u32) -> io::Result<u64> {
    resident_in(&format!("/proc/{process}/status"))
}

fn resident_in(path: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(path)?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, format!("no VmRSS in {path}")))
}
