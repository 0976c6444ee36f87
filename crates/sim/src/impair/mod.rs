//! What a link does to packets, one file per mechanism. [`Link`](crate::Link) runs them in the order in which a packet
//! meets them: queue, rate, congestion marks, loss, corruption, duplication, delay, reordering.

mod corrupt;
mod delay;
mod duplicate;
mod held;
mod loss;
mod mark;
mod queue;
mod rate;
mod reorder;

pub(crate) use corrupt::{Corrupt, flip};
pub(crate) use delay::Delay;
pub use delay::{Jitter, JitterDistribution};
pub(crate) use duplicate::Duplicate;
pub use held::Discipline;
pub(crate) use held::{Cause, Dropped, Held, Item};
pub(crate) use loss::{Loss, LossModel};
pub(crate) use mark::{Mark, sum_v4_header, write_ce};
pub(crate) use queue::Queue;
pub use queue::QueueLimit;
pub(crate) use rate::Rate;
pub(crate) use reorder::Reorder;
