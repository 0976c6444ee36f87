//! The links and flows of the cases.

use std::sync::Arc;
use std::time::Duration;

use netstack_sim::scenario::{FlowPlan, Scenario};
use netstack_tcp::TcpConfig;
use netstack_tcp::congestion::CongestionControl;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const ZERO: Duration = Duration::ZERO;

/// Every controller of the stack.
pub(crate) const CONTROLLERS: [CongestionControl; 3] =
    [CongestionControl::Cubic, CongestionControl::NewReno, CongestionControl::Bbr];

/// Settings with a controller and buffers that never limit.
pub(crate) fn tcp(control: &CongestionControl) -> TcpConfig {
    let mut tcp = TcpConfig::new();
    tcp.congestion(control.clone()).recv_buffer(32 << 20).send_buffer(32 << 20);
    tcp
}

/// One bulk flow through so many megabits per second, a round trip of 50 ms and a queue in bandwidth-delay products.
pub(crate) fn bulk(control: &CongestionControl, megabits: u64, queue: f64, length: Duration) -> Scenario {
    let mut scenario = Scenario::new(megabits * 1_000_000, 50 * MS, queue);
    scenario.flows.push(FlowPlan::bulk(&Arc::new(tcp(control))));
    scenario.duration = length;
    scenario
}
