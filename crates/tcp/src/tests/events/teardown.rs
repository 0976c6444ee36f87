//! Every order in which two connections can be taken down, with and without loss.

use core::time::Duration;

use crate::config::TcpConfig;
use crate::state::{CloseReason, State};
use crate::testing::{Fate, Pair, Side};

/// One way, in milliseconds, of an established pair.
const DELAY: u64 = 10;

/// An order of closing: who closes when, in milliseconds, and the states that both ends pass through last.
const ORDERS: [(&str, [u64; 2], [State; 2]); 8] = [
    ("A, then B much later", [0, 500], [State::TimeWait, State::Closed]),
    ("B, then A much later", [500, 0], [State::Closed, State::TimeWait]),
    ("both at once", [0, 0], [State::TimeWait, State::TimeWait]),
    ("A, then B with the FIN on its way", [0, DELAY / 2], [State::TimeWait, State::TimeWait]),
    ("B, then A with the FIN on its way", [DELAY / 2, 0], [State::TimeWait, State::TimeWait]),
    ("A, then B with the ACK on its way", [0, DELAY + 5], [State::TimeWait, State::Closed]),
    ("B, then A with the ACK on its way", [DELAY + 5, 0], [State::Closed, State::TimeWait]),
    ("A, then B as the ACK arrives", [0, 2 * DELAY], [State::TimeWait, State::Closed]),
];

const SIDES: [Side; 2] = [Side::A, Side::B];

fn data(octets: u32) -> Vec<u8> {
    (0..octets).map(|at| (at % 251) as u8).collect()
}

/// Both ends write `octets` and close at their times.
fn take_down(pair: &mut Pair, times: [u64; 2], octets: u32) {
    let mut turns: Vec<_> = times.into_iter().zip(SIDES).collect();
    turns.sort_by_key(|(time, _)| *time);
    let mut clock = 0;
    for (time, side) in turns {
        pair.run_for(Duration::from_millis(time - clock));
        clock = time;
        pair.write(side, &data(octets));
        pair.command(side, |connection, _| connection.shutdown_write());
    }
}

#[test]
fn each_order_ends_as_it_should() {
    // req: S-ACK-8, S-ACK-9, S-ACK-10, S-FIN-5, S-FIN-6
    for (name, times, last) in ORDERS {
        for octets in [0, 5000] {
            let mut pair = Pair::established(&TcpConfig::new());
            take_down(&mut pair, times, octets);
            pair.run_for(Duration::from_secs(1));
            for (side, last) in SIDES.into_iter().zip(last) {
                assert_eq!(pair.connection(side).state(), last, "{name}, {octets} octets, {side:?}");
                assert_eq!(pair.received(side), data(octets), "{name}, {side:?}");
            }
            let sent = pair.log.len();
            pair.run_for(Duration::from_secs(60));
            for side in SIDES {
                assert_eq!(
                    pair.connection(side).close_reason(),
                    Some(CloseReason::Normal),
                    "{name}, {side:?}"
                );
            }
            assert_eq!(pair.log.len(), sent, "{name}: silence during TIME-WAIT");
        }
    }
}

#[test]
fn each_order_ends_as_it_should_when_both_halves_are_dropped() {
    // req: S-CLOSE-4, S-FIN-5, S-FIN-6
    for (name, times, last) in ORDERS {
        let mut pair = Pair::established(&TcpConfig::new());
        let mut turns: Vec<_> = times.into_iter().zip(SIDES).collect();
        turns.sort_by_key(|(time, _)| *time);
        let mut clock = 0;
        for (time, side) in turns {
            pair.run_for(Duration::from_millis(time - clock));
            clock = time;
            pair.command(side, |connection, now| connection.close(now));
        }
        pair.run_for(Duration::from_secs(1));
        for (side, last) in SIDES.into_iter().zip(last) {
            assert_eq!(pair.connection(side).state(), last, "{name}, {side:?}");
        }
        pair.run_for(Duration::from_secs(60));
        for side in SIDES {
            assert_eq!(pair.connection(side).close_reason(), Some(CloseReason::Normal), "{name}, {side:?}");
        }
    }
}

#[test]
fn each_order_survives_the_loss_of_any_segment() {
    // Pitfall 28: a lost FIN is sent again in every state; a lost ACK is made good by TIME-WAIT.
    // req: S-FIN-7, S-ACK-11, S-TMO-2
    for (name, times, _) in ORDERS {
        for octets in [0, 5000] {
            for victim in SIDES {
                for nth in 0..8 {
                    let mut pair = Pair::established(&TcpConfig::new());
                    let already = pair.log.iter().filter(|flight| flight.from == victim).count();
                    pair.script(move |flight| {
                        let hit = flight.from == victim && flight.index == already + nth;
                        if hit { Fate::Drop } else { Fate::Deliver }
                    });
                    take_down(&mut pair, times, octets);
                    pair.run_for(Duration::from_secs(130));
                    for side in SIDES {
                        let context =
                            format!("{name}, {octets} octets, {victim:?} loses its {nth}th, {side:?}");
                        assert_eq!(pair.received(side), data(octets), "{context}");
                        assert_eq!(
                            pair.connection(side).close_reason(),
                            Some(CloseReason::Normal),
                            "{context}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn each_order_survives_delay_and_duplication_of_any_segment() {
    // req: S-FIN-3, S-FIN-7
    for (name, times, _) in ORDERS {
        for fate in
            [Fate::Duplicate, Fate::Delay(Duration::from_millis(7)), Fate::Delay(Duration::from_millis(150))]
        {
            for nth in 0..6 {
                let mut pair = Pair::established(&TcpConfig::new());
                let already = pair.log.iter().filter(|flight| flight.from == Side::A).count();
                pair.script(move |flight| {
                    if flight.from == Side::A && flight.index == already + nth { fate } else { Fate::Deliver }
                });
                take_down(&mut pair, times, 5000);
                pair.run_for(Duration::from_secs(130));
                for side in SIDES {
                    assert_eq!(pair.received(side), data(5000), "{name}, {fate:?}, {nth}, {side:?}");
                    let reason = pair.connection(side).close_reason();
                    assert_eq!(reason, Some(CloseReason::Normal), "{name}, {fate:?}, {nth}, {side:?}");
                }
            }
        }
    }
}

#[test]
fn a_half_closed_connection_carries_the_reply() {
    // Pitfall 3: the client sends a request and its FIN, the server thinks for a second and replies with a megabyte.
    // req: S-TEXT-1, S-SEND-2, S-FIN-6
    for (client, server) in [(Side::A, Side::B), (Side::B, Side::A)] {
        let mut pair = Pair::established(&TcpConfig::new());
        pair.write(client, b"request");
        pair.command(client, |connection, _| connection.shutdown_write());
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.received(server), b"request");
        assert!(pair.connection(server).peer_closed());
        assert_eq!(pair.connection(server).state(), State::CloseWait);
        assert_eq!(pair.connection(client).state(), State::FinWait2);
        let reply = data(1_000_000);
        pair.write(server, &reply);
        pair.run_for(Duration::from_secs(5));
        assert_eq!(pair.received(client), reply);
        assert!(!pair.connection(client).peer_closed());
        pair.command(server, |connection, _| connection.shutdown_write());
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.connection(client).state(), State::TimeWait);
        assert_eq!(pair.connection(server).close_reason(), Some(CloseReason::Normal));
    }
}

#[test]
fn a_half_closed_connection_carries_a_lossy_reply() {
    // Pitfall 3, one segment in twenty lost each way.
    // req: S-TEXT-1
    let mut pair = Pair::established(&TcpConfig::new());
    let mut count = 0u32;
    pair.script(move |_| {
        count += 1;
        if count % 20 == 7 { Fate::Drop } else { Fate::Deliver }
    });
    pair.write(Side::A, b"request");
    pair.command(Side::A, |connection, _| connection.shutdown_write());
    let reply = data(200_000);
    pair.write(Side::B, &reply);
    pair.command(Side::B, |connection, _| connection.shutdown_write());
    let done = pair.run_until(Duration::from_secs(300), |pair| pair.connection(Side::A).peer_closed());
    assert!(done);
    assert_eq!(pair.received(Side::A), reply);
    assert_eq!(pair.received(Side::B), b"request");
}
