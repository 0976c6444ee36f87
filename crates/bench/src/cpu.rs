//! How much processor time was spent: by a thread, by a process, by the whole machine.

use std::io;
use std::time::Duration;

use procfs::process::{Process, Schedstat};
use procfs::{CurrentSI, FromRead, KernelStats, ticks_per_second};

/// Processor time of the calling thread so far. On a busy machine it tells a cost where the clock on the wall does not.
///
/// # Errors
///
/// Where there is no `/proc/thread-self/schedstat`: on a kernel without statistics of its scheduler.
pub fn thread_time() -> io::Result<Duration> {
    let stat = Schedstat::from_file("/proc/thread-self/schedstat").map_err(io::Error::other)?;
    Ok(Duration::from_nanos(stat.sum_exec_runtime))
}

/// Processor time of another process so far, in user and in kernel mode, all its threads together.
///
/// # Errors
///
/// Where there is no such process, or no `/proc`.
pub fn process_time(process: u32) -> io::Result<Duration> {
    let process = Process::new(process.cast_signed()).map_err(io::Error::other)?;
    let stat = process.stat().map_err(io::Error::other)?;
    Ok(Duration::from_millis((stat.utime + stat.stime) * 1000 / ticks_per_second()))
}

/// Processor time of all cores so far that was not idle: programs, the kernel and its interrupts.
///
/// # Errors
///
/// Where there is no `/proc/stat`.
pub fn machine_time() -> io::Result<Duration> {
    let cpu = KernelStats::current().map_err(io::Error::other)?.total;
    let interrupts = [cpu.irq, cpu.softirq].into_iter().flatten().sum::<u64>();
    let ticks = cpu.user + cpu.nice + cpu.system + interrupts;
    Ok(Duration::from_millis(ticks * 1000 / ticks_per_second()))
}
