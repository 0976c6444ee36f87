//! The same run over many seeds, on all cores.

use std::ops::Range;

use rayon::prelude::*;

/// Runs `run` once for each seed, on as many threads as rayon has, and gives the results in the order of the seeds.
///
/// A run depends on its seed alone, so the results are the same on any number of threads.
///
/// ```
/// use std::time::Duration;
/// use netstack_sim::heap::{Pair, PairConfig, Receiver, Sender};
/// use netstack_tcp::Instant;
///
/// // How long do 100 kB take over a link that loses 2 %?
/// let mut times = netstack_sim::sweep(0..32, |seed| {
///     let mut config = PairConfig::new(seed);
///     config.a_to_b.rate(10_000_000).delay(Duration::from_millis(20)).loss(0.02);
///     let mut pair = Pair::new(config, Sender::new(100_000), Receiver::new(), ());
///     while pair.app_b().received() < 100_000 {
///         pair.step();
///     }
///     pair.now() - Instant::ZERO
/// });
/// times.sort_unstable();
/// assert!(times[16] < Duration::from_secs(2), "the median");
/// ```
pub fn sweep<T: Send>(seeds: Range<u64>, run: impl Fn(u64) -> T + Send + Sync) -> Vec<T> {
    seeds.into_par_iter().map(run).collect()
}

#[cfg(test)]
mod tests;
