//! What several targets draw from their input.

use arbitrary::Unstructured;
use netstack_tcp::congestion::{CongestionControl, Pacing};
use netstack_tcp::{EcnPolicy, TcpConfig};

/// A configuration, each feature on or off.
pub(super) fn config(input: &mut Unstructured<'_>) -> arbitrary::Result<TcpConfig> {
    let [features, more, buffers] = input.arbitrary::<[u8; 3]>()?;
    let has = |bit: u8| features & 1 << bit == 0;
    let mut config = TcpConfig::new();
    config
        .timestamps(has(0))
        .sack(has(1))
        .window_scaling(has(2))
        .nodelay(!has(3))
        .mtu_probing(has(4))
        .path_mtu_discovery(has(5))
        .pacing(if has(6) { Pacing::Auto } else { Pacing::On })
        .quick_acks(if has(7) { 16 } else { 0 })
        .congestion(
            [
                CongestionControl::Cubic,
                CongestionControl::NewReno,
                CongestionControl::Bbr,
                CongestionControl::Cubic,
            ][usize::from(more & 3)]
            .clone(),
        )
        .ecn(
            [EcnPolicy::Passive, EcnPolicy::Off, EcnPolicy::On, EcnPolicy::Accurate]
                [usize::from(more >> 2 & 3)],
        );
    match buffers & 3 {
        0 => {}
        1 => {
            config.recv_buffer(1024 << (buffers >> 5)).send_buffer(1024 << (buffers >> 2 & 7));
        }
        2 => {
            config.recv_buffer_limit(4096 << (buffers >> 4));
        }
        _ => {
            config.mss(64 << (buffers >> 5));
        }
    }
    Ok(config)
}
