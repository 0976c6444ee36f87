//! A pair of devices with a link between them, for whole stacks under paused Tokio time.
//!
//! Tokio's timers tick once a millisecond, so frames are delivered in ticks; each is stamped with its exact arrival time
//! ([`RxFrame::at`](netstack_device::RxFrame::at)), which is what the stack reckons with. For more than two ends, and for links
//! that change, see [`net`](crate::net).

use std::fmt;
use std::sync::Arc;

use crate::heap::Side;
pub use crate::net::SimDevice;
use crate::net::{Node, Shared};
use crate::{LinkConfig, LinkStats, Trace};

/// Two devices of IP MTU `mtu`, joined by a link; the third value tells what the link has done.
///
/// When one device is dropped, the other hears silence.
///
/// ```
/// use std::time::Duration;
/// use netstack_sim::{LinkConfig, device, heap::Side};
///
/// let mut path = LinkConfig::new();
/// path.rate(10_000_000).delay(Duration::from_millis(20)).loss(0.01);
/// let (a, b, wire) = device::pair(7, 1500, &path, &path);
/// # drop((a, b));
/// assert_eq!(wire.stats(Side::A).offered, 0);
/// ```
pub fn pair(seed: u64, mtu: usize, a_to_b: &LinkConfig, b_to_a: &LinkConfig) -> (SimDevice, SimDevice, Wire) {
    let network = Arc::new(Shared::new(seed));
    let out = network.build(|state| {
        let (a, b) = (state.add_node(Node::Host), state.add_node(Node::Host));
        state.add_link(a, b, a_to_b.clone().mtu(mtu), b_to_a.clone().mtu(mtu))
    });
    (SimDevice::attach(&network, out), SimDevice::attach(&network, out + 1), Wire { network })
}

/// A view of the link of a [`pair`]; stays valid while stacks own the devices.
#[derive(Clone)]
pub struct Wire {
    network: Arc<Shared>,
}

impl Wire {
    /// Hash of every packet so far, both directions: its bytes, when it was sent and when it arrives.
    pub fn trace(&self) -> Trace {
        self.network.trace()
    }

    /// What the direction that leaves `side` has done.
    pub fn stats(&self, side: Side) -> LinkStats {
        self.network.stats(side as usize)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("trace", &self.trace()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
