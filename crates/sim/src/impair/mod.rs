//! What a link does to packets, one file per mechanism. [`Link`](crate::Link) runs them in the order in which a packet
//! meets them: queue, rate, congestion marks, loss, duplication, delay, reordering.

mod delay;
mod duplicate;
mod loss;
mod mark;
mod queue;
mod rate;
mod reorder;

pub(crate) use delay::Delay;
pub use delay::Jitter;
pub(crate) use duplicate::Duplicate;
pub(crate) use loss::{Loss, LossModel};
pub(crate) use mark::{Mark, write_ce};
pub(crate) use queue::Queue;
pub use queue::QueueLimit;
pub(crate) use rate::Rate;
pub(crate) use reorder::Reorder;
