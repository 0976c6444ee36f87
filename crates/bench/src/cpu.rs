//! How much processor time was spent: by a thread, by a process, by the whole machine.

use std::io;
use std::time::Duration;

/// Processor time of the calling thread so far. On a busy machine it tells a cost where the clock on the wall does not.
///
/// # Errors
///
/// Where there is no `/proc/thread-self/schedstat`: on systems other than Linux, or a kernel without statistics of its
/// scheduler.
pub fn thread_time() -> io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    stat.split_whitespace()
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .map(Duration::from_nanos)
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "no time in /proc/thread-self/schedstat"))
}

/// How long a tick of `/proc` lasts: USER_HZ is 100 on every architecture that Rust knows Linux on.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of another process so far, in user and in kernel mode, all its threads together.
///
/// # Errors
///
/// Where there is no such process, or no `/proc`.
pub fn process_time(process: u32) -> io::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    ticks_of_process(&std::fs::read_to_string(&path)?).ok_or_else(|| unreadable(&path))
}

/// Processor time of all cores so far that was not idle: programs, the kernel and its interrupts.
///
/// # Errors
///
/// Where there is no `/proc/stat`.
pub fn machine_time() -> io::Result<Duration> {
    let path = "/proc/stat";
    ticks_of_machine(&std::fs::read_to_string(path)?).ok_or_else(|| unreadable(path))
}

fn unreadable(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("no times in {path}"))
}

/// utime and stime of proc_pid_stat(5). The name in front may hold blanks and brackets, so counting starts behind it.
fn ticks_of_process(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(TICK * user.checked_add(system)?)
}

/// user, nice, system, irq and softirq of the first line of proc_stat(5).
fn ticks_of_machine(stat: &str) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields =
        line.split_whitespace().map(|field| field.parse::<u64>().ok()).collect::<Option<Vec<_>>>()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = fields[..] else { return None };
    let ticks = user + nice + system + irq + softirq;
    Some(Duration::from_millis(ticks.checked_mul(10)?))
}

#[cfg(test)]
mod tests;
