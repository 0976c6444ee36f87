//! How much memory a process holds.

use std::io;

use procfs::process::Process;

/// Resident bytes of this process, as the kernel counts them.
///
/// # Errors
///
/// Where there is no `/proc`.
pub fn resident() -> io::Result<u64> {
    resident_in(Process::myself())
}

/// Resident bytes of another process.
///
/// # Errors
///
/// As [`resident`], and where there is no such process.
pub fn resident_of(process: u32) -> io::Result<u64> {
    resident_in(Process::new(process.cast_signed()))
}

fn resident_in(process: procfs::ProcResult<Process>) -> io::Result<u64> {
    let status = process.and_then(|process| process.status()).map_err(io::Error::other)?;
    // A kernel thread or a process that has ended holds none.
    Ok(status.vmrss.unwrap_or(0) * 1024)
}
