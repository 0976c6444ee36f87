//! The seed of a run.

/// The variable that [`seed_or`] reads.
pub const SEED_VARIABLE: &str = "NETSTACK_SIM_SEED";

/// The seed that the environment variable `NETSTACK_SIM_SEED` holds, and `default` if it is not set: how a run that failed
/// is had again.
///
/// # Panics
///
/// If the variable holds something that is not a number.
pub fn seed_or(default: u64) -> u64 {
    match std::env::var(SEED_VARIABLE) {
        Ok(text) => text
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{SEED_VARIABLE} must be a number below 2^64, not {text:?}")),
        Err(_) => default,
    }
}
