//! The invariants of the sending half through any pattern of losses, duplicates and delays, with every controller. Most of
//! them are asserted inside: `una <= nxt <= max`, a deadline while octets are in flight, both windows at each transmission.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;
use proptest::prelude::*;

use super::{cases, ms};
use crate::config::TcpConfig;
use crate::congestion::{CongestionControl, Pacing};
use crate::state::State;
use crate::testing::{Fate, Flight, Pair, Side, pattern};

/// What the link does to the segments of one direction, one after another; to those that follow nothing.
#[derive(Debug, Clone)]
struct Way(Vec<Fate>);

fn way() -> impl Strategy<Value = Way> {
    // Links that lose little and links that lose most, some of it in bursts.
    let percent = prop_oneof![Just(0_u32), 1..10_u32, 10..60_u32];
    (percent.clone(), percent.clone(), percent).prop_flat_map(|(lost, late, twice)| {
        let fate = prop_oneof![
            100 => Just(Fate::Deliver),
            lost => Just(Fate::Drop),
            late => (1..120_u64).prop_map(|by| Fate::Delay(ms(by))),
            twice => Just(Fate::Duplicate),
        ];
        let burst = (fate, 1..4_usize).prop_map(|(fate, length)| vec![fate; length]);
        proptest::collection::vec(burst, 0..120).prop_map(|bursts| Way(bursts.concat()))
    })
}

#[derive(Debug, Clone)]
struct Case {
    ways: [Way; 2],
    config: TcpConfig,
    recv_buffer: usize,
    mtu: u16,
    delay: Duration,
    clock: Duration,
    octets: u32,
    /// The writer pauses this long after each part.
    pause: Duration,
}

fn settings() -> impl Strategy<Value = TcpConfig> {
    let controller = prop_oneof![
        Just(CongestionControl::NewReno),
        Just(CongestionControl::Cubic),
        Just(CongestionControl::Bbr)
    ];
    let pacing = prop_oneof![Just(Pacing::Auto), Just(Pacing::On), Just(Pacing::Off)];
    (controller, pacing, any::<[bool; 4]>()).prop_map(|(controller, pacing, [sack, ts, scale, nodelay])| {
        let mut config = TcpConfig::new();
        config.congestion(controller).pacing(pacing).sack(sack).timestamps(ts);
        config.window_scaling(scale).nodelay(nodelay).user_timeout(None).send_buffer(1 << 20);
        config
    })
}

fn case() -> impl Strategy<Value = Case> {
    let ways = (way(), way()).prop_map(|(forth, back)| [forth, back]);
    let buffer = prop_oneof![Just(5_000_usize), Just(60_000), Just(1 << 20)];
    let mtu = prop_oneof![Just(1500_u16), Just(576), Just(9_000)];
    let clock = prop_oneof![Just(1_u64), Just(1_000_000), Just(15_600_000)];
    let pause = prop_oneof![2 => Just(0_u64), 1 => 1..3_000_u64];
    (ways, settings(), buffer, mtu, (0..100_u64, clock), (1..400_000_u32, pause)).prop_map(
        |(ways, config, recv_buffer, mtu, (delay, clock), (octets, pause))| Case {
            ways,
            config,
            recv_buffer,
            mtu,
            delay: ms(delay),
            clock: Duration::from_nanos(clock),
            octets,
            pause: ms(pause),
        },
    )
}

/// What each end has announced and sent so far.
#[derive(Debug, Default)]
struct Watch {
    edges: [Option<SeqNum>; 2],
    shifts: [u8; 2],
    fates: [usize; 2],
}

impl Watch {
    /// Our right edge never moves left, but by what the field cannot say.
    fn see(&mut self, flight: &Flight) {
        let (side, header) = (flight.from as usize, &flight.segment.header);
        let syn = header.flags.contains(TcpFlags::SYN);
        if syn {
            self.shifts[side] = header.options.window_scale.unwrap_or(0);
        }
        if !header.flags.contains(TcpFlags::ACK) {
            return;
        }
        let shift = if syn { 0 } else { self.shifts[side] };
        let edge = header.ack + (u32::from(header.window) << shift);
        if let Some(largest) = self.edges[side].filter(|largest| edge.before(*largest)) {
            let back = largest.distance_from(edge);
            assert!(back < 1 << shift, "the right edge of {:?} moved left by {back}", flight.from);
        }
        self.edges[side] = Some(self.edges[side].map_or(edge, |largest| largest.max(edge)));
    }
}

/// The link of `case`, which lets everything pass behind the first `most` segments of each direction.
fn link(case: &Case, watch: &Rc<RefCell<Watch>>, most: usize) -> impl FnMut(&Flight) -> Fate + 'static {
    let (ways, watch) = (case.ways.clone(), Rc::clone(watch));
    move |flight| {
        let mut watch = watch.borrow_mut();
        watch.see(flight);
        let fates = &mut watch.fates[flight.from as usize];
        if *fates == most {
            return Fate::Deliver;
        }
        *fates += 1;
        ways[flight.from as usize].0.get(*fates - 1).copied().unwrap_or(Fate::Deliver)
    }
}

fn run(case: &Case) {
    let mut receiver = case.config.clone();
    receiver.recv_buffer(case.recv_buffer);
    let mut pair = Pair::with_mtu(case.config.clone(), receiver, case.delay, case.mtu);
    pair.set_clock(case.clock);
    let watch = Rc::new(RefCell::new(Watch::default()));
    let hour = Duration::from_secs(3_600);
    // With a SYN lost too often an end gives up, and there is nothing to send.
    pair.script(link(case, &watch, 2));
    let open = pair.run_until(hour, |pair| {
        // B has a connection once a SYN has arrived.
        pair.connection(Side::A).state() == State::Established
            && pair.connection(Side::B).state() == State::Established
    });
    assert!(open, "not open after an hour");
    pair.script(link(case, &watch, usize::MAX));
    let data = pattern(0, case.octets);
    for part in data.chunks(data.len().div_ceil(3)) {
        pair.write(Side::A, part);
        pair.run_for(case.pause);
    }
    pair.command(Side::A, |connection, _| connection.shutdown_write());
    pair.command(Side::B, |connection, _| connection.shutdown_write());
    let over =
        |pair: &mut Pair, side| matches!(pair.connection(side).state(), State::TimeWait | State::Closed);
    let done = pair.run_until(hour, |pair| over(pair, Side::A) && over(pair, Side::B));
    let infos = [Side::A, Side::B].map(|side| pair.connection(side).info());
    assert!(done, "not over after an hour: {infos:#?}");
    assert!(pair.received(Side::B) == data, "{} of {}", pair.received(Side::B).len(), data.len());
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn windows_and_deadlines_hold_through_any_pattern(case in case()) {
        // req: R5681-8, R9937-7, R6675-9, R8985-20, S-TEXT-1
        run(&case);
    }
}

#[test]
fn pacing_goes_on_through_a_recovery_with_little_in_flight() {
    // Duplicates of what had arrived start a recovery in which PRR lets next to nothing leave: that is no measure of the rate.
    // req: R9937-8
    let mut config = TcpConfig::new();
    config.congestion(CongestionControl::NewReno).pacing(Pacing::On).sack(false).timestamps(true);
    config.window_scaling(false).nodelay(true).user_timeout(None).send_buffer(1 << 20);
    let mut forth = vec![Fate::Deliver; 39];
    for at in [23, 24, 25, 37, 38] {
        forth[at] = Fate::Duplicate;
    }
    let mut back = vec![Fate::Deliver; 42];
    for at in [39, 40, 41] {
        back[at] = Fate::Duplicate;
    }
    let case = Case {
        ways: [Way(forth), Way(back)],
        config,
        recv_buffer: 5_000,
        mtu: 9_000,
        delay: ms(57),
        clock: Duration::from_nanos(1),
        octets: 283_353,
        pause: ms(0),
    };
    run(&case);
}
