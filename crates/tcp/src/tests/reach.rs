//! Brings a scripted connection into any state.

use crate::config::TcpConfig;
use crate::state::State;
use crate::testing::Script;

/// A connection in `state`, opened by the peer without any option but MSS (SYN-SENT: by us); what left is forgotten. No
/// data was exchanged.
pub(crate) fn reach(state: State) -> Script {
    reach_with(&TcpConfig::new(), state)
}

/// The same with a configuration of the test's own.
pub(crate) fn reach_with(config: &TcpConfig, state: State) -> Script {
    let mut script = match state {
        State::SynSent => Script::connect(config),
        State::SynReceived => Script::listen(config, "S 0:0(0) win 65535 <mss 1460>"),
        _ => Script::established_plain(config),
    };
    walk_on(&mut script, state);
    assert_eq!(script.state(), state, "the script leads there");
    script.forget_sent();
    script.drain_events();
    script
}

/// From ESTABLISHED on.
fn walk_on(script: &mut Script, state: State) {
    match state {
        State::SynSent | State::SynReceived | State::Established => {}
        State::FinWait1 => script.shutdown_write(),
        State::FinWait2 => {
            script.shutdown_write();
            script.inject(". 1:1(0) ack 2");
        }
        State::CloseWait => script.inject("F. 1:1(0) ack 1"),
        State::Closing => {
            script.shutdown_write();
            script.inject("F. 1:1(0) ack 1");
        }
        State::LastAck => {
            script.inject("F. 1:1(0) ack 1");
            script.shutdown_write();
        }
        State::TimeWait => {
            script.shutdown_write();
            script.inject("F. 1:1(0) ack 2");
        }
        State::Closed => script.abort(),
    }
}

/// SND.NXT of a connection fresh from [`reach`], relative.
pub(crate) fn snd_nxt(state: State) -> u32 {
    match state {
        State::SynSent | State::SynReceived | State::Established | State::CloseWait | State::Closed => 1,
        State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait => 2,
    }
}

/// SND.UNA of a connection fresh from [`reach`], relative.
pub(crate) fn snd_una(state: State) -> u32 {
    match state {
        State::SynSent | State::SynReceived => 0,
        State::FinWait2 | State::TimeWait => 2,
        _ => 1,
    }
}

/// RCV.NXT of a connection fresh from [`reach`], relative.
pub(crate) fn rcv_nxt(state: State) -> u32 {
    match state {
        State::CloseWait | State::Closing | State::LastAck | State::TimeWait => 2,
        _ => 1,
    }
}

/// The states in which the handshake is complete and a connection exists.
pub(crate) fn synchronized() -> impl Iterator<Item = State> {
    State::ALL.into_iter().filter(|state| state.is_synchronized())
}
