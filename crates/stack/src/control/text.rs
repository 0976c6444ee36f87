//! Connections as `ss -tin` prints them.

use std::fmt::Write;
use std::time::Duration;

use netstack_tcp::{RecoveryState, State, TcpInfo};

use crate::stack::Stack;

/// All connections, a line each, and below it the figures of those that have some.
pub(super) async fn connections(stack: &Stack) -> String {
    let mut rows = Vec::new();
    for entry in stack.connections() {
        let info = entry.info().await.ok();
        let queues = info.as_ref().map_or((0, 0), |info| (info.unread, info.unsent + info.in_flight));
        rows.push((
            name(entry.state()),
            queues,
            entry.local_addr().to_string(),
            entry.peer_addr().to_string(),
            info,
        ));
    }
    let local = rows.iter().map(|row| row.2.len()).max().unwrap_or(0).max("Local Address:Port".len());
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{:<10} {:>7} {:>7} {:>local$} Peer Address:Port",
        "State", "Recv-Q", "Send-Q", "Local Address:Port"
    );
    for (state, (recv, send), from, to, info) in &rows {
        let _ = writeln!(text, "{state:<10} {recv:>7} {send:>7} {from:>local$} {to}");
        if let Some(info) = info {
            let _ = writeln!(text, "\t {}", figures(info));
        }
    }
    text
}

fn name(state: State) -> &'static str {
    match state {
        State::Established => "ESTAB",
        State::SynReceived => "SYN-RECV",
        State::Closed => "UNCONN",
        other => other.name(),
    }
}

fn figures(info: &TcpInfo) -> String {
    let mut parts = Vec::new();
    parts.extend(info.timestamps.then(|| "ts".to_owned()));
    parts.extend(info.sack.then(|| "sack".to_owned()));
    parts.extend(info.ecn_sending.then(|| "ecn".to_owned()));
    parts.push(info.controller.to_owned());
    if (info.snd_wscale, info.rcv_wscale) != (0, 0) {
        parts.push(format!("wscale:{},{}", info.snd_wscale, info.rcv_wscale));
    }
    parts.push(format!("rto:{}", millis(info.rto)));
    if let Some(srtt) = info.srtt {
        parts.push(format!("rtt:{}/{}", millis(srtt), millis(info.rttvar)));
    }
    parts.push(format!("mss:{} pmtu:{}", info.mss, info.path_mtu));
    let segments = |octets: u32| octets / info.mss.max(1);
    parts.push(format!("cwnd:{}", segments(info.cwnd)));
    parts.extend(info.ssthresh.map(|octets| format!("ssthresh:{}", segments(octets))));
    let stats = &info.stats;
    let counts = [
        ("bytes_sent", stats.bytes_sent),
        ("bytes_retrans", stats.bytes_retransmitted),
        ("bytes_acked", stats.bytes_acked),
        ("bytes_received", stats.bytes_received),
        ("segs_out", stats.segments_sent),
        ("segs_in", stats.segments_received),
    ];
    parts.extend(
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name}:{count}")),
    );
    if let Some(srtt) = info.srtt.filter(|srtt| !srtt.is_zero()) {
        parts.push(format!("send {}", rate(f64::from(info.cwnd) / srtt.as_secs_f64())));
    }
    parts.extend(info.pacing_rate.map(|octets| format!("pacing_rate {}", rate(octets as f64))));
    parts.extend(
        (info.delivery_rate > 0).then(|| format!("delivery_rate {}", rate(info.delivery_rate as f64))),
    );
    parts.extend(
        (info.in_flight > 0).then(|| format!("unacked:{}", info.in_flight.div_ceil(info.mss.max(1)))),
    );
    parts.extend((info.retries > 0).then(|| format!("backoff:{}", info.retries)));
    parts.extend((stats.bytes_lost > 0).then(|| format!("bytes_lost:{}", stats.bytes_lost)));
    parts.extend(recovery(info.recovery).map(str::to_owned));
    parts.extend((info.unsent > 0).then(|| format!("notsent:{}", info.unsent)));
    parts.push(format!("rcv_space:{} snd_wnd:{}", info.rcv_wnd, info.snd_wnd));
    parts.extend(info.min_rtt.map(|min| format!("minrtt:{}", millis(min))));
    parts.join(" ")
}

fn recovery(state: RecoveryState) -> Option<&'static str> {
    Some(match state {
        RecoveryState::Open => return None,
        RecoveryState::Disorder => "disorder",
        RecoveryState::Recovery => "recovery",
        RecoveryState::Loss => "loss",
        _ => "resizing",
    })
}

/// Milliseconds without a unit, as `ss` has them.
fn millis(time: Duration) -> String {
    let text = format!("{:.3}", time.as_secs_f64() * 1e3);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Octets per second, in bits.
fn rate(octets: f64) -> String {
    let bits = octets * 8.0;
    let (value, unit) = match bits {
        1e9.. => (bits / 1e9, "Gbps"),
        1e6.. => (bits / 1e6, "Mbps"),
        1e3.. => (bits / 1e3, "Kbps"),
        _ => (bits, "bps"),
    };
    format!("{value:.1}{unit}")
}
