//! The curve of one stretch of congestion avoidance, in octets and microseconds, without floating point.

use core::time::Duration;

/// Growth of the window in Reno's region, over 17: 3 (1 - beta) / (1 + beta) with a beta of 0.7 (RFC 9438 4.3).
const ALPHA: u128 = 9;
const ALPHA_BASE: u128 = 17;
/// The constant C is 0.4 segments per second cubed (RFC 9438 5.1).
const C_NUMERATOR: u128 = 4;
/// Ten, and cubic microseconds per cubic second.
const C_DENOMINATOR: u128 = 10 * 1_000_000_000_000_000_000;
/// Fractions of an octet that the Reno-friendly window keeps.
const FRACTION: u32 = 16;

/// What is left of `octets` after congestion: beta, 0.7.
pub(super) fn beta(octets: u32) -> u32 {
    (u64::from(octets) * 7 / 10) as u32
}

/// The plateau of fast convergence: `octets` times (1 + beta) / 2.
pub(super) fn converged(octets: u32) -> u32 {
    (u64::from(octets) * 17 / 20) as u32
}

/// A stretch of congestion avoidance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    /// The plateau of the curve, in octets.
    plateau: u32,
    /// K: when it is reached, in microseconds.
    k: u64,
    /// t: how long the epoch has run.
    elapsed: Duration,
    /// W_est: Reno's window, in octets and their fractions.
    w_est: u64,
    /// What growth was owed and not enough for an octet, in octets squared.
    owed: u64,
}

impl Epoch {
    /// Congestion avoidance begins with a window of `cwnd`, below the plateau `w_max` or, if that is lower, at the plateau.
    pub(super) fn new(cwnd: u32, w_max: u32, mss: u32) -> Self {
        let plateau = w_max.max(cwnd);
        let rise = u128::from(plateau - cwnd) * C_DENOMINATOR / (C_NUMERATOR * u128::from(mss.max(1)));
        let w_est = u64::from(cwnd) << FRACTION;
        Self { plateau, k: cube_root(rise), elapsed: Duration::ZERO, w_est, owed: 0 }
    }

    /// The epoch's clock runs on.
    pub(super) fn pass(&mut self, time: Duration) {
        self.elapsed = self.elapsed.saturating_add(time);
    }

    /// W_cubic `ahead` of now (RFC 9438 4.2, equation 1).
    pub(super) fn window(&self, ahead: Duration, mss: u32) -> u32 {
        let t = u64::try_from(self.elapsed.saturating_add(ahead).as_micros()).unwrap_or(u64::MAX);
        // A day from the plateau the window is beyond all bounds.
        let distance = u128::from(t.abs_diff(self.k).min(86_400_000_000));
        let change =
            distance.pow(3) / 1_000_000 * (C_NUMERATOR * u128::from(mss)) / (C_DENOMINATOR / 1_000_000);
        let change = u32::try_from(change).unwrap_or(u32::MAX);
        if t < self.k { self.plateau.saturating_sub(change) } else { self.plateau.saturating_add(change) }
    }

    /// W_est after `acked` more octets (RFC 9438 4.3). Once it has reached the window of the last congestion, `prior`, it
    /// grows as Reno does.
    pub(super) fn reno(&mut self, acked: u32, cwnd: u32, prior: u32, mss: u32) -> u32 {
        let alpha = if self.w_est >> FRACTION < u64::from(prior) { ALPHA } else { ALPHA_BASE };
        let growth = (alpha * u128::from(acked) * u128::from(mss)) << FRACTION;
        let growth = growth / (ALPHA_BASE * u128::from(cwnd.max(1)));
        self.w_est = self.w_est.saturating_add(u64::try_from(growth).unwrap_or(u64::MAX));
        u32::try_from(self.w_est >> FRACTION).unwrap_or(u32::MAX)
    }

    /// The part of `rise` that `acked` octets of a window of `cwnd` make: what was acknowledged over the window.
    pub(super) fn share(&mut self, acked: u32, rise: u32, cwnd: u32) -> u32 {
        let cwnd = u64::from(cwnd.max(1));
        let owed = self.owed + u64::from(acked.min(cwnd as u32)) * u64::from(rise);
        self.owed = owed % cwnd;
        (owed / cwnd) as u32
    }
}

/// The integer cube root, for values below 2^120.
fn cube_root(value: u128) -> u64 {
    let mut root = 0_u128;
    for bit in (0..40).rev() {
        let candidate = root | 1 << bit;
        if candidate.pow(3) <= value {
            root = candidate;
        }
    }
    root as u64
}
