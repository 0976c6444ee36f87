//! How much memory the process holds.

use std::io;

/// Resident bytes of this process, as the kernel counts them.
///
/// # Errors
///
/// Where there is no `/proc/self/status`, or it has no `VmRSS` line: on systems other than Linux.
pub fn resident() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "no VmRSS in /proc/self/status"))
}
