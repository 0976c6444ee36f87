//! Two ends over a link that loses, repeats and reorders what the handshake is made of.

use core::time::Duration;

use proptest::prelude::*;

use super::super::{cases, ms};
use super::{FastOpenCookie, config, cookie};
use crate::config::TcpConfig;
use crate::fast_open::{CookieKey, FastOpen, FastOpenCache, FastOpenOffer};
use crate::listener::Listener;
use crate::state::State;
use crate::testing::{Fate, Pair, Side, pattern};

const KEY: CookieKey = CookieKey::new([3; 16]);

/// A server B with room for `limit` early connections, and a link of 50 ms one way.
fn pair(config: &TcpConfig, limit: usize) -> Pair {
    let mut pair = Pair::idle(config.clone(), config.clone(), ms(50), 1500);
    let mut listener = Listener::new(16, 16);
    listener.set_fast_open(KEY, limit);
    pair.listen(Side::B, listener);
    pair
}

/// What A knows if it has been to B before.
fn known(pair: &Pair) -> FastOpenOffer {
    FastOpenOffer { cookie: Some(KEY.cookie(pair.now(), &pair.tuple(Side::B))), mss: Some(1460) }
}

#[test]
fn a_request_and_its_answer_take_one_round_trip() {
    // req: R7413-3
    let mut pair = pair(&config(), 1);
    let offer = known(&pair);
    pair.connect_fast(Side::A, &offer, &[1; 700]);
    assert!(pair.run_until(ms(50), |pair| pair.received(Side::B).len() == 700));
    assert_eq!(pair.connection(Side::B).state(), State::SynReceived);
    pair.write(Side::B, &[2; 5_000]);
    assert!(pair.run_until(ms(50), |pair| pair.received(Side::A).len() == 5_000), "one round trip in all");
    pair.run_for(ms(200));
    assert_eq!(pair.connection(Side::A).poll_fast_open().unwrap().outcome, FastOpen::Used);
    assert_eq!(pair.connection(Side::B).state(), State::Established);
}

#[test]
fn a_cookie_is_asked_for_once_and_works_the_next_time() {
    // req: R7413-2, R7413-5
    let mut cache = FastOpenCache::new();
    for visit in 0..3 {
        let mut pair = pair(&config(), 1);
        let tuple = pair.tuple(Side::A);
        let (local, remote) = (tuple.local().ip(), tuple.remote().ip());
        let offer = cache.offer(pair.now(), local, remote).unwrap();
        pair.connect_fast(Side::A, &offer, b"hello");
        pair.run_for(ms(500));
        assert_eq!(pair.received(Side::B), b"hello");
        let news = pair.connection(Side::A).poll_fast_open().unwrap();
        assert_eq!(news.outcome, if visit == 0 { FastOpen::Cookie } else { FastOpen::Used });
        cache.learn(pair.now(), local, remote, &news);
    }
}

/// What the link does to one of the first segments of an end.
fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Deliver),
        3 => Just(Fate::Drop),
        2 => Just(Fate::Duplicate),
        2 => (1_u64..4_000).prop_map(|millis| Fate::Delay(Duration::from_millis(millis))),
    ]
}

fn offers() -> impl Strategy<Value = fn(&Pair) -> FastOpenOffer> {
    let options: [fn(&Pair) -> FastOpenOffer; 4] = [
        known,
        |pair| FastOpenOffer { mss: Some(300), ..known(pair) },
        |_| FastOpenOffer { cookie: Some(cookie()), mss: Some(1460) },
        |_| FastOpenOffer::default(),
    ];
    prop_oneof![4 => Just(options[0]), 1 => Just(options[1]), 2 => Just(options[2]), 1 => Just(options[3])]
}

proptest! {
    #![proptest_config(cases(400))]

    /// Every octet arrives once and in order, both ways, whatever becomes of the SYNs and what is behind them; and nothing
    /// arrives early without a cookie that is valid.
    #[test]
    fn streams_are_exact_whatever_happens_to_the_handshake(
        offer in offers(),
        limit in 0..3_usize,
        request in 0..6_000_u32,
        answer in 0..20_000_u32,
        fates in (proptest::collection::vec(fate(), 0..8), proptest::collection::vec(fate(), 0..8)),
        (sack, timestamps, at_once) in any::<(bool, bool, bool)>(),
    ) {
        // req: R7413-3, R7413-4, R7413-5
        let mut config = TcpConfig::new();
        config.sack(sack).timestamps(timestamps).syn_ack_timeout(Duration::from_secs(600));
        let mut pair = pair(&config, limit);
        let (of_a, of_b) = fates;
        pair.script(move |flight| {
            let fates = if flight.from == Side::A { &of_a } else { &of_b };
            fates.get(flight.index).copied().unwrap_or(Fate::Deliver)
        });
        let offer = offer(&pair);
        let valid = offer.cookie.is_some_and(|cookie: FastOpenCookie| Some(cookie) == known(&pair).cookie);
        pair.connect_fast(Side::A, &offer, &pattern(0, request));
        let limit_of_time = Duration::from_secs(150);
        prop_assert!(pair.run_until(limit_of_time, |pair| pair.has_connection(Side::B)));
        let early = pair.received(Side::B).len();
        prop_assert!(early == 0 || (valid && limit > 0), "{early} octets without leave");
        if at_once {
            pair.write(Side::B, &pattern(0, answer));
        }
        prop_assert!(pair.run_until(limit_of_time, |pair| pair.connection(Side::B).state() == State::Established));
        if !at_once {
            pair.write(Side::B, &pattern(0, answer));
        }
        let done = |pair: &mut Pair| {
            pair.received(Side::B).len() >= request as usize && pair.received(Side::A).len() >= answer as usize
        };
        prop_assert!(pair.run_until(limit_of_time, done), "all of it arrives");
        // Whatever is still on the way, or comes again, adds nothing.
        pair.run_for(Duration::from_secs(100));
        prop_assert_eq!(pair.received(Side::B), &pattern(0, request)[..]);
        prop_assert_eq!(pair.received(Side::A), &pattern(0, answer)[..]);
        for side in [Side::A, Side::B] {
            prop_assert_eq!(pair.connection(side).send_queued(), 0);
            prop_assert_eq!(pair.connection(side).state(), State::Established);
        }
        pair.command(Side::A, |connection, now| connection.close(now));
        pair.command(Side::B, |connection, now| connection.close(now));
        pair.run_for(Duration::from_secs(100));
        prop_assert!(pair.connection(Side::A).close_reason().is_some());
    }
}
