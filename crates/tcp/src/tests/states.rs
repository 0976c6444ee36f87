//! The states and their edges.

use core::time::Duration;

use crate::config::TcpConfig;
use crate::state::State;
use crate::testing::{Pair, Script, Side};

fn config() -> TcpConfig {
    TcpConfig::new()
}

#[test]
fn active_open_then_close_first() {
    // req: S-OPEN-1, S-SYNSENT-4, S-ACK-8, S-FIN-6
    let mut script = Script::connect(&config());
    script.expect("S 0:0(0) win 65535 <mss 1460,wscale 5,sackOK,ts 1000 0>");
    script.inject("S. 0:0(0) ack 1 <mss 1460,wscale 7,sackOK,ts 1 1000>");
    script.expect(". 1:1(0) ack 1");
    script.write(10);
    script.expect("P. 1:11(10) ack 1");
    script.inject(". 1:1(0) ack 11");
    script.shutdown_write();
    script.expect("F. 11:11(0) ack 1");
    assert_eq!(script.state(), State::FinWait1);
    script.inject(". 1:1(0) ack 12");
    assert_eq!(script.state(), State::FinWait2);
    script.inject("F. 1:1(0) ack 12");
    script.expect(". 12:12(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
    script.advance(Duration::from_secs(61));
    assert_eq!(script.state(), State::Closed);
    script.expect_nothing();
}

#[test]
fn a_megabyte_arrives_whole_in_both_directions() {
    let mut pair = Pair::established(&config());
    let data: Vec<u8> = (0..1_000_000u32).map(|at| (at % 251) as u8).collect();
    pair.write(Side::A, &data);
    pair.write(Side::B, &data);
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.received(Side::A), data);
    assert_eq!(pair.received(Side::B), data);
    pair.command(Side::A, |connection, _| connection.shutdown_write());
    pair.run_for(Duration::from_secs(1));
    pair.command(Side::B, |connection, _| connection.shutdown_write());
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.connection(Side::A).state(), State::TimeWait);
    assert_eq!(pair.connection(Side::B).state(), State::Closed);
}
