//! Whole transfers over bad links, through small buffers, and past the wrap of the sequence space.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use netstack_wire::{Ecn, SeqNum};
use proptest::prelude::*;

use super::{cases, config, ms};
use crate::config::TcpConfig;
use crate::connection::{Connection, Opening};
use crate::negotiate::SynRecord;
use crate::segment::Segment;
use crate::state::State;
use crate::testing::{Fate, Pair, Script, Side, pattern};
use crate::time::Instant;

/// A generator for fates and paces: a linear congruence is random enough here.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// An application that writes as space allows and consumes what it feels like.
#[derive(Debug)]
struct Slow {
    side: Side,
    written: usize,
    got: Vec<u8>,
    unread: usize,
}

impl Slow {
    fn new(side: Side) -> Self {
        Self { side, written: 0, got: Vec::new(), unread: 0 }
    }

    fn turn(&mut self, pair: &mut Pair, data: &Bytes, appetite: usize) {
        let space = pair.connection(self.side).send_space().min(data.len() - self.written);
        if space > 0 {
            pair.write(self.side, &data[self.written..self.written + space]);
            self.written += space;
        }
        while let Some(piece) = pair.connection(self.side).read() {
            self.unread += piece.len();
            self.got.extend_from_slice(&piece);
        }
        self.unread -= appetite.min(self.unread);
        let unread = self.unread;
        pair.command(self.side, |connection, _| connection.set_unread(unread));
    }
}

/// Both ends with 4 KiB buffers send `octets` to each other; says how long it took.
fn two_way(octets: u32, loss_per_mille: u64, seed: u64) -> Duration {
    let mut config = config();
    config.recv_buffer(4 << 10).send_buffer(4 << 10).user_timeout(None);
    let mut pair = Pair::established(&config);
    pair.set_reading(Side::A, false);
    pair.set_reading(Side::B, false);
    let mut dice = Dice(seed);
    let mut fates = dice.clone();
    pair.script(move |_| if fates.roll(1_000) < loss_per_mille { Fate::Drop } else { Fate::Deliver });
    let data = pattern(0, octets);
    let (mut a, mut b) = (Slow::new(Side::A), Slow::new(Side::B));
    let start = pair.now();
    while a.got.len() < data.len() || b.got.len() < data.len() {
        for end in [&mut a, &mut b] {
            // Sometimes nothing, sometimes a crumb, sometimes all.
            let appetite = [0, 1, 700, 1_400, 8_192][dice.roll(5) as usize];
            end.turn(&mut pair, &data, appetite);
        }
        pair.run_for(ms(1 + dice.roll(20)));
        pair.log.clear();
        let took = pair.now() - start;
        assert!(
            took < Duration::from_secs(3 * 3600),
            "wedged at {} and {} octets (loss {loss_per_mille}, seed {seed}): {pair:?}",
            a.got.len(),
            b.got.len()
        );
    }
    assert!(a.got == data && b.got == data, "both streams are exact");
    pair.now() - start
}

#[test]
fn tiny_buffers_in_both_directions_never_wedge() {
    // Pitfall 41
    // req: S-SEQ-1, S-SEQ-2
    for seed in 0..4 {
        let took = two_way(1_000_000, 0, seed);
        assert!(took < Duration::from_secs(120), "seed {seed}: {took:?}, paced by timers");
    }
}

#[test]
fn tiny_buffers_in_both_directions_never_wedge_under_loss() {
    // Pitfall 41
    // req: S-SEQ-1, S-SEQ-2
    for (loss, seed) in [(10, 1), (10, 2), (50, 3), (200, 4)] {
        two_way(if loss > 100 { 200_000 } else { 1_000_000 }, loss, seed);
    }
}

#[test]
fn with_window_zero_an_ack_beyond_rcv_nxt_moves_us_on() {
    // Pitfall 41
    // req: S-SEQ-1
    let mut script = Script::listen(&config(), "S 0:0(0) win 65535 <mss 1460,wscale 0>");
    script.inject(". 1:1(0) ack 1 win 5000");
    script.auto_read = false;
    // All of the buffer of 1 MiB but 8 octets, which a field in units of 32 cannot say.
    let (mut at, end) = (1_u32, 1 + (1 << 20) - 8);
    while at < end {
        let upto = (at + 60_000).min(end);
        script.inject(&format!(". {at}:{upto}({}) ack 1 win 5000", upto - at));
        at = upto;
    }
    script.forget_sent();
    script.write(20_000);
    let last = core::iter::from_fn(|| script.next_sent()).last().expect("text left");
    assert_eq!(last.1.header.window, 0);
    assert_eq!(script.connection.info().in_flight, 4380, "three segments; the rest of the window is silly");
    // The peer has sent those 8 octets; they are lost, but its ACKs come from behind them.
    let edge = end + 8;
    script.inject(&format!(". {edge}:{edge}(0) ack 4381 win 65535"));
    assert_eq!(script.connection.send_queued(), 20_000 - 4_380);
    assert!(script.connection.info().in_flight > 10_000, "its window counts as well");
    // One above the edge: answered, and its ACK still counts.
    script.forget_sent();
    let above = edge + 1;
    script.inject(&format!(". {above}:{above}(0) ack 8761 win 65535"));
    assert_eq!(script.connection.send_queued(), 20_000 - 8_760);
}

#[derive(Debug, Clone)]
struct Link {
    seed: u64,
    loss: u64,
    duplicates: u64,
    reordering: u64,
    mtu: u16,
    delay: u64,
}

fn link() -> impl Strategy<Value = Link> {
    (
        any::<u64>(),
        0..8_u64,
        0..8_u64,
        0..20_u64,
        prop_oneof![Just(1500_u16), Just(576), Just(9_000)],
        0..50_u64,
    )
        .prop_map(|(seed, loss, duplicates, reordering, mtu, delay)| Link {
            seed,
            loss,
            duplicates,
            reordering,
            mtu,
            delay,
        })
}

fn options() -> impl Strategy<Value = TcpConfig> {
    let buffer = || prop_oneof![Just(2_048_usize), Just(20_000), Just(1 << 20)];
    (any::<[bool; 4]>(), buffer(), buffer(), 0..20_u8).prop_map(
        |([ts, sack, scale, nodelay], send, recv, quick)| {
            let mut config = TcpConfig::new();
            config.timestamps(ts).sack(sack).window_scaling(scale).nodelay(nodelay).quick_acks(quick);
            config.send_buffer(send).recv_buffer(recv).user_timeout(None);
            config
        },
    )
}

proptest! {
    #![proptest_config(cases(100))]

    /// Whatever the link does short of death, both streams arrive exactly, and both ends close in order.
    #[test]
    fn every_stream_arrives_and_every_connection_closes(
        link in link(),
        options in (options(), options()),
        sizes in (0..120_000_u32, 0..120_000_u32),
    ) {
        // req: R2018-7, R6582-3, S-SEQ-7, R2883-5
        let mut pair = Pair::with_mtu(options.0, options.1, ms(link.delay), link.mtu);
        let mut dice = Dice(link.seed);
        pair.script(move |_| {
            let roll = dice.roll(100);
            match roll {
                _ if roll < link.loss => Fate::Drop,
                _ if roll < link.loss + link.duplicates => Fate::Duplicate,
                _ if roll < link.loss + link.duplicates + link.reordering => Fate::Delay(ms(dice.roll(40))),
                _ => Fate::Deliver,
            }
        });
        let hour = Duration::from_secs(3600);
        prop_assert!(pair.run_until(hour, |pair| pair.connection(Side::A).state() == State::Established));
        let data = (pattern(0, sizes.0), pattern(0, sizes.1));
        pair.write(Side::A, &data.0);
        pair.command(Side::A, |connection, _| connection.shutdown_write());
        // B has a connection since the handshake, if not an open one.
        pair.write(Side::B, &data.1);
        pair.command(Side::B, |connection, _| connection.shutdown_write());
        let done = pair.run_until(hour, |pair| {
            [Side::A, Side::B].into_iter().all(|side| {
                matches!(pair.connection(side).state(), State::TimeWait | State::Closed)
            })
        });
        prop_assert!(done, "{:?}", pair);
        prop_assert!(pair.received(Side::B) == data.0, "{} of {}", pair.received(Side::B).len(), data.0.len());
        prop_assert!(pair.received(Side::A) == data.1, "{} of {}", pair.received(Side::A).len(), data.1.len());
        for side in [Side::A, Side::B] {
            let reason = pair.connection(side).close_reason();
            prop_assert!(reason.is_none_or(|reason| reason == crate::CloseReason::Normal), "{reason:?}");
        }
    }
}

/// The two ends of a link without delay, whose super-segments arrive as they leave.
struct Direct {
    sender: Connection,
    receiver: Connection,
    now: Instant,
}

impl Direct {
    fn new() -> Self {
        let mut config = config();
        config.recv_buffer(4 << 20).send_buffer(4 << 20);
        let config = Arc::new(config);
        let opening = Opening { tuple: Script::tuple(), iss: SeqNum(0xffff_ff00), ts_offset: 0, mtu: 1500 };
        let now = Instant::from_nanos(1);
        let mut sender = Connection::connect(now, opening, Arc::clone(&config));
        let syn = Self::leave(&mut sender, now).pop().expect("a SYN");
        let record = SynRecord::from_segment(opening.tuple.flipped(), &syn, now);
        let answer = Opening { tuple: opening.tuple.flipped(), iss: SeqNum(5), ..opening };
        let receiver = Connection::accept(now, &record, answer, config);
        let mut direct = Self { sender, receiver, now };
        direct.exchange();
        direct
    }

    fn leave(connection: &mut Connection, now: Instant) -> Vec<Segment> {
        let (mut payload, mut segments) = (Vec::new(), Vec::new());
        while let Some(transmit) = connection.poll_transmit(now, &mut payload, usize::MAX) {
            let payload = match payload.as_slice() {
                [one] => one.clone(),
                many => many.concat().into(),
            };
            segments.push(Segment {
                header: transmit.header,
                payload,
                ecn: Ecn::NotEct,
                gso_size: transmit.gso_size,
            });
        }
        segments
    }

    /// Carries segments to and fro until there are none.
    fn exchange(&mut self) {
        loop {
            self.now += Duration::from_micros(50);
            let forth = Self::leave(&mut self.sender, self.now);
            let back = Self::leave(&mut self.receiver, self.now);
            if forth.is_empty() && back.is_empty() {
                return;
            }
            for segment in forth {
                self.receiver.handle_segment(self.now, segment);
            }
            for segment in back {
                self.sender.handle_segment(self.now, segment);
            }
        }
    }
}

#[test]
fn five_gigabytes_pass_the_wrap_of_the_sequence_space() {
    // Pitfall 30: comparisons that hold for a while only, such as a mark left behind more than 2 GiB ago.
    let mut direct = Direct::new();
    let chunk = pattern(0, 44 * 1448);
    let (mut sent, mut got) = (0_u64, 0_u64);
    while sent < 5_000_000_000 {
        while direct.sender.send_space() >= chunk.len() {
            direct.sender.write(chunk.clone()).expect("it is open");
            sent += chunk.len() as u64;
        }
        direct.exchange();
        while let Some(data) = direct.receiver.read() {
            let place = (got % chunk.len() as u64) as usize;
            assert_eq!(data[0], chunk[place], "at {got}");
            got += data.len() as u64;
        }
        direct.receiver.set_unread(0);
        direct.exchange();
        if sent % 7 == 0 {
            // The timers get their chance too.
            direct.now += ms(50);
            direct.sender.handle_timeout(direct.now);
            direct.receiver.handle_timeout(direct.now);
        }
    }
    direct.now += ms(500);
    direct.receiver.handle_timeout(direct.now);
    direct.exchange();
    while let Some(data) = direct.receiver.read() {
        got += data.len() as u64;
    }
    assert_eq!(got, sent);
    let stats = direct.sender.info().stats;
    assert_eq!((stats.bytes_retransmitted, stats.timeouts), (0, 0));
    assert_eq!(stats.bytes_acked, sent);
}
