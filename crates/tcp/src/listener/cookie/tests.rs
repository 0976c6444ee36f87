//! Cookies from a client's SYN to its data, and what is no answer to one.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader};
use proptest::prelude::*;

use super::{MSS_CLASSES, SynCookies};
use crate::config::TcpConfig;
use crate::connection::{Connection, Opening};
use crate::ecn::{EcnMode, EcnPolicy};
use crate::event::Event;
use crate::fast_open::FastOpenAnswer;
use crate::info::TcpInfo;
use crate::negotiate::SynRecord;
use crate::segment::Segment;
use crate::state::State;
use crate::testing::{Script, pattern};
use crate::time::Instant;
use crate::tuple::FourTuple;

/// Some time after the start, so that there is a past.
const NOW: Instant = Instant::from_nanos(1_000_000_000_007);
const TS_OFFSET: u32 = 0xdead_beef;

fn tuple() -> FourTuple {
    Script::tuple()
}

fn tuple_v6() -> FourTuple {
    FourTuple::new("[2001:db8::1]:7".parse().unwrap(), "[2001:db8::2]:50000".parse().unwrap())
}

fn cookies() -> SynCookies {
    SynCookies::new([7; 16])
}

fn segment(header: TcpHeader, payload: Bytes) -> Segment {
    Segment { header, payload, ecn: netstack_wire::Ecn::NotEct, gso_size: 0 }
}

fn opening(tuple: FourTuple, iss: SeqNum) -> Opening {
    Opening { tuple, iss, ts_offset: TS_OFFSET, mtu: 1500 }
}

/// All that `connection` sends now.
fn sent(connection: &mut Connection, now: Instant) -> Vec<Segment> {
    let mut payload = Vec::new();
    let mut all = Vec::new();
    while let Some(transmit) = connection.poll_transmit(now, &mut payload, 1400) {
        all.push(segment(transmit.header, Bytes::from(payload.concat())));
    }
    all
}

/// A client that has sent its SYN, and the listener's stateless answer.
fn half_way(tuple: FourTuple, theirs: &TcpConfig, ours: &TcpConfig) -> (Connection, TcpHeader) {
    let opening_of_client = opening(tuple.flipped(), SeqNum(0xffff_ffff));
    let mut client = Connection::connect(NOW, opening_of_client, Arc::new(theirs.clone()));
    let syn = sent(&mut client, NOW).remove(0);
    let record = SynRecord::from_segment(tuple, &syn, NOW);
    let ours = Arc::new(ours.clone());
    let answer = cookies().answer(NOW, &record, opening(tuple, SeqNum(0)), &ours);
    (client, answer)
}

/// A client and the connection that its answer to a cookie brought forth, `later`.
fn opened(
    tuple: FourTuple,
    theirs: &TcpConfig,
    ours: &TcpConfig,
    later: Duration,
) -> (Connection, Connection) {
    let (mut client, answer) = half_way(tuple, theirs, ours);
    let now = NOW + later;
    client.handle_segment(now, segment(answer, Bytes::new()));
    assert_eq!(client.state(), State::Established);
    let ack = sent(&mut client, now).remove(0);
    let record = cookies().check(now, tuple, &ack, ours).expect("a good cookie");
    let opening = opening(tuple, ack.header.ack - 1);
    let mut server = Connection::from_cookie(now, &record, &ack, opening, Arc::new(ours.clone()));
    assert_eq!(server.state(), State::Established);
    assert_eq!(server.poll_event(), Some(Event::Connected));
    server.handle_segment(now, ack);
    assert!(sent(&mut server, now).is_empty(), "nothing to say");
    assert_eq!(server.info().srtt, None, "nobody measured the round trip");
    (client, server)
}

/// Moves `octets` each way, and checks what arrives.
fn exchange(a: &mut Connection, b: &mut Connection, octets: u32) {
    let mut now = NOW + Duration::from_secs(1000);
    let data = pattern(1, 1 + octets);
    a.write(data.clone()).unwrap();
    b.write(data.clone()).unwrap();
    let mut read = [Vec::new(), Vec::new()];
    for _ in 0..1_000 {
        now += Duration::from_millis(1);
        for connection in [&mut *a, &mut *b] {
            if connection.poll_timeout().is_some_and(|at| at <= now) {
                connection.handle_timeout(now);
            }
        }
        for segment in sent(a, now) {
            b.handle_segment(now, segment);
        }
        for segment in sent(b, now) {
            a.handle_segment(now, segment);
        }
        for (connection, read) in [&mut *a, &mut *b].into_iter().zip(&mut read) {
            while let Some(piece) = connection.read() {
                read.extend_from_slice(&piece);
            }
            connection.set_unread(0);
        }
    }
    assert_eq!(read.map(|read| read == data), [true, true]);
}

fn options(info: &TcpInfo) -> (bool, bool, u8, u8) {
    (info.timestamps, info.sack, info.snd_wscale, info.rcv_wscale)
}

#[test]
fn a_cookie_opens_a_connection_with_all_its_options() {
    // req: R4987-3, R4987-5
    for tuple in [tuple(), tuple_v6()] {
        for later in [0, 1, 60, 120] {
            let mut theirs = TcpConfig::new();
            theirs.recv_buffer_limit(1 << 20);
            let ours = TcpConfig::new();
            let (mut client, mut server) = opened(tuple, &theirs, &ours, Duration::from_secs(later));
            assert_eq!(options(&server.info()), (true, true, 5, 7), "{tuple}");
            assert_eq!(options(&client.info()), (true, true, 7, 5));
            assert_eq!(server.info().mss, client.info().mss);
            exchange(&mut client, &mut server, 300_000);
        }
    }
}

#[test]
fn without_timestamps_only_the_mss_is_carried() {
    // req: R4987-5
    let (mut plain, mut full) = (TcpConfig::new(), TcpConfig::new());
    plain.timestamps(false);
    full.mss(1400);
    for (theirs, ours) in [(&plain, &full), (&full, &plain), (&plain, &plain)] {
        let (_, answer) = half_way(tuple(), theirs, ours);
        let carried = &answer.options;
        assert_eq!((carried.timestamps, carried.window_scale, carried.sack_permitted), (None, None, false));
        let (mut client, mut server) = opened(tuple(), theirs, ours, Duration::from_secs(1));
        assert_eq!(options(&server.info()), (false, false, 0, 0));
        assert_eq!(options(&client.info()), (false, false, 0, 0));
        let least = theirs.mss_limit().min(ours.mss_limit()).min(1460);
        assert_eq!(server.info().mss, u32::from(least));
        exchange(&mut client, &mut server, 300_000);
    }
}

#[test]
fn congestion_notification_is_off() {
    // req: R4987-5
    let mut config = TcpConfig::new();
    config.ecn(EcnPolicy::On);
    let (_, answer) = half_way(tuple(), &config, &config);
    assert_eq!(answer.flags, TcpFlags::SYN | TcpFlags::ACK);
    let (client, server) = opened(tuple(), &config, &config, Duration::ZERO);
    assert_eq!((client.info().ecn, server.info().ecn), (EcnMode::Off, EcnMode::Off));
}

/// Data and FIN may come on the segment that brings the cookie back.
#[test]
fn the_first_data_opens_the_connection_if_the_last_ack_was_lost() {
    // req: R4987-3
    let config = TcpConfig::new();
    let (mut client, answer) = half_way(tuple(), &config, &config);
    client.handle_segment(NOW, segment(answer, Bytes::new()));
    client.write(pattern(1, 101)).unwrap();
    client.shutdown_write();
    let first = sent(&mut client, NOW).remove(0);
    assert_eq!((first.payload.len(), first.header.flags.contains(TcpFlags::FIN)), (100, true));
    let record = cookies().check(NOW, tuple(), &first, &config).unwrap();
    let opening = opening(tuple(), first.header.ack - 1);
    let mut server = Connection::from_cookie(NOW, &record, &first, opening, Arc::new(config));
    server.handle_segment(NOW, first);
    assert_eq!(server.read(), Some(pattern(1, 101)));
    assert_eq!(server.state(), State::CloseWait);
    assert_eq!(sent(&mut server, NOW).len(), 1, "the acknowledgment");
}

/// The timestamp of the SYN-ACK runs at most 31 ms behind the clock, and never ahead of what follows.
#[test]
fn the_timestamp_never_runs_ahead() {
    // req: R4987-5, R7323-19
    let config = Arc::new(TcpConfig::new());
    for millis in 0..200 {
        let now = NOW + Duration::from_millis(millis);
        let record = record(tuple(), SeqNum(1), Some(1460));
        let answer = cookies().answer(now, &record, opening(tuple(), SeqNum(0)), &config);
        let clock = crate::time_wait::ts_clock(now).wrapping_add(TS_OFFSET);
        let lag = clock.wrapping_sub(answer.options.timestamps.unwrap().val);
        assert!(lag < 32, "{lag} ms");
    }
}

fn record(tuple: FourTuple, irs: SeqNum, mss: Option<u16>) -> SynRecord {
    SynRecord {
        tuple,
        irs,
        window: 1000,
        mss,
        window_scale: Some(7),
        ts_val: Some(5),
        sack_permitted: true,
        ecn_flags: TcpFlags::empty(),
        ecn: netstack_wire::Ecn::NotEct,
        fast_open: FastOpenAnswer::Ignored,
        received_at: NOW,
    }
}

/// The bare ACK that answers `cookie`.
fn ack_of(cookie: SeqNum, irs: SeqNum) -> Segment {
    let header = TcpHeader { seq: irs + 1, ack: cookie + 1, flags: TcpFlags::ACK, ..TcpHeader::default() };
    segment(header, Bytes::new())
}

#[test]
fn the_mss_is_never_rounded_up() {
    // req: R4987-3
    let config = TcpConfig::new();
    for mss in (88..=65_535).step_by(7).chain(MSS_CLASSES) {
        let record = record(tuple(), SeqNum(9), Some(mss));
        let cookie = cookies().cookie(NOW, &record);
        let read = cookies().check(NOW, tuple(), &ack_of(cookie, SeqNum(9)), &config).unwrap();
        let largest = MSS_CLASSES.into_iter().filter(|&class| class <= mss).max();
        assert_eq!(read.mss, largest, "{mss}");
    }
    for (tuple, default) in [(tuple(), 536), (tuple_v6(), 1220)] {
        let cookie = cookies().cookie(NOW, &record(tuple, SeqNum(9), None));
        let read = cookies().check(NOW, tuple, &ack_of(cookie, SeqNum(9)), &config).unwrap();
        assert_eq!(read.mss, Some(default), "RFC 9293 3.7.1");
    }
}

#[test]
fn a_cookie_is_good_for_a_few_minutes() {
    // req: R4987-4
    let config = TcpConfig::new();
    let cookie = cookies().cookie(NOW, &record(tuple(), SeqNum(9), Some(1460)));
    let good = |secs| {
        let now = NOW + Duration::from_secs(secs);
        cookies().check(now, tuple(), &ack_of(cookie, SeqNum(9)), &config).is_some()
    };
    let last = (0..100_000).rev().find(|&secs| good(secs)).unwrap();
    assert!((0..=last).all(good), "without a gap");
    assert!((120..SynCookies::LIFETIME.as_secs()).contains(&last), "{last} s");
    // Not from the future either, nor before there was time.
    let earlier = Instant::from_nanos(0);
    assert!(cookies().check(earlier, tuple(), &ack_of(cookie, SeqNum(9)), &config).is_none());
}

#[test]
fn a_bad_cookie_opens_nothing() {
    // req: R4987-4
    let config = TcpConfig::new();
    let irs = SeqNum(9);
    let cookie = cookies().cookie(NOW, &record(tuple(), irs, Some(1460)));
    let good = |cookies: &SynCookies, tuple, ack: &Segment| cookies.check(NOW, tuple, ack, &config).is_some();
    assert!(good(&cookies(), tuple(), &ack_of(cookie, irs)));
    for bit in 0..32 {
        assert!(!good(&cookies(), tuple(), &ack_of(SeqNum(cookie.0 ^ 1 << bit), irs)), "bit {bit}");
        assert!(!good(&cookies(), tuple(), &ack_of(cookie, SeqNum(irs.0 ^ 1 << bit))), "IRS, bit {bit}");
    }
    let other = FourTuple::new(tuple().local(), ([192, 0, 2, 1], 50_001).into());
    assert!(!good(&cookies(), other, &ack_of(cookie, irs)));
    assert!(!good(&SynCookies::new([8; 16]), tuple(), &ack_of(cookie, irs)));
    for flags in [TcpFlags::SYN, TcpFlags::RST] {
        let mut ack = ack_of(cookie, irs);
        ack.header.flags |= flags;
        assert!(!good(&cookies(), tuple(), &ack), "{flags}");
    }
    // Of a million guesses none is right: 24 numbers in 2^32 would be.
    let right = (0..1 << 20).filter(|guess: &u32| {
        good(&cookies(), tuple(), &ack_of(SeqNum(guess.wrapping_mul(2_654_435_761)), irs))
    });
    assert_eq!(right.count(), 0);
}

proptest! {
    /// Whatever the tuple, the time and the key: a cookie that was just made is good, and says nothing to who has not the key.
    #[test]
    fn every_cookie_is_read(
        key in any::<[u8; 16]>(),
        port in 1_u16..,
        irs in any::<u32>(),
        mss in 88_u16..,
        nanos in 0..1_u64 << 62,
    ) {
        // req: R4987-3
        let (cookies, now) = (SynCookies::new(key), Instant::from_nanos(nanos));
        let tuple = FourTuple::new(([192, 0, 2, 1], 7).into(), ([192, 0, 2, 2], port).into());
        let cookie = cookies.cookie(now, &record(tuple, SeqNum(irs), Some(mss)));
        let config = TcpConfig::new();
        let check = |now| cookies.check(now, tuple, &ack_of(cookie, SeqNum(irs)), &config);
        prop_assert!(check(now).is_some());
        prop_assert!(check(now + Duration::from_secs(120)).is_some());
        prop_assert!(check(now + SynCookies::LIFETIME).is_none());
    }
}

/// To all but us a cookie is a number like any other: neither the time nor the class of the MSS stands in it to be read.
#[test]
fn a_cookie_looks_like_any_initial_sequence_number() {
    // req: R4987-3, MUST-9
    let line: crate::testing::Line = "S 0:0(0) win 1000 <mss 1460>".parse().unwrap();
    let syn = |client: u32| line.to_segment((50_000, 7), SeqNum(client), SeqNum(0));
    let ours = Arc::new(TcpConfig::new());
    let tops: std::collections::HashSet<_> = (0..200)
        .map(|client| {
            let record = SynRecord::from_segment(tuple(), &syn(client), NOW);
            cookies().answer(NOW, &record, opening(tuple(), SeqNum(0)), &ours).seq.0 >> 27
        })
        .collect();
    assert!(tops.len() > 20, "{} of the 32 values of the highest five bits", tops.len());
}
