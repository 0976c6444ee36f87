//! Cookies, the limit of a listener, and what a client remembers.

use core::net::IpAddr;
use core::time::Duration;

use netstack_wire::tcp::FastOpenCookie;
use proptest::prelude::*;

use super::queue::FastOpenQueue;
use super::{CookieKey, FastOpen, FastOpenAnswer, FastOpenCache, FastOpenNews, FastOpenOffer};
use crate::segment::Segment;
use crate::testing::{Line, Script};
use crate::time::Instant;
use crate::tuple::FourTuple;

const NOW: Instant = Instant::from_nanos(7);
const KEY: [u8; 16] = [9; 16];
const HOUR: Duration = Duration::from_secs(3600);

fn syn(cookie: Option<FastOpenCookie>) -> Segment {
    let line: Line = "S 0:100(100) win 1000 <mss 1460>".parse().unwrap();
    let mut segment = line.to_segment((50_000, 7), Script::IRS, Script::ISS);
    segment.header.options.fast_open = cookie;
    segment
}

fn tuple(client: [u8; 4], port: u16) -> FourTuple {
    FourTuple::new(Script::tuple().local(), (client, port).into())
}

#[test]
fn a_cookie_belongs_to_an_address_and_a_secret() {
    // req: R7413-2
    let key = CookieKey::new(KEY);
    let mut queue = FastOpenQueue::new(key, 10);
    let client = tuple([192, 0, 2, 1], 50_000);
    let FastOpenAnswer::Given(cookie) = queue.judge(NOW, &client, &syn(Some(FastOpenCookie::REQUEST))) else {
        panic!("a request earns a cookie")
    };
    assert!((4..=16).contains(&cookie.as_slice().len()) && cookie.as_slice().len().is_multiple_of(2));
    // Another port of the same client.
    let again = tuple([192, 0, 2, 1], 50_001);
    assert_eq!(queue.judge(NOW, &again, &syn(Some(cookie))), FastOpenAnswer::Accepted(None));
    assert_eq!(queue.pending(), 1);
    // Another client, another secret, another length.
    let other = tuple([192, 0, 2, 9], 50_000);
    let fresh = key.cookie(NOW, &other);
    assert_ne!(fresh, cookie);
    assert_eq!(queue.judge(NOW, &other, &syn(Some(cookie))), FastOpenAnswer::Refused(fresh));
    let foreign = CookieKey::new([8; 16]).cookie(NOW, &client);
    assert_eq!(queue.judge(NOW, &client, &syn(Some(foreign))), FastOpenAnswer::Refused(cookie));
    let cut = FastOpenCookie::new(&cookie.as_slice()[..6]).unwrap();
    assert_eq!(queue.judge(NOW, &client, &syn(Some(cut))), FastOpenAnswer::Refused(cookie));
    assert_eq!(queue.judge(NOW, &client, &syn(None)), FastOpenAnswer::Ignored);
    assert_eq!(queue.pending(), 1);
}

#[test]
fn a_cookie_lives_for_a_day_or_two_and_is_replaced_before_it_dies() {
    // req: R7413-2
    let key = CookieKey::new(KEY);
    let client = tuple([192, 0, 2, 1], 50_000);
    let mut queue = FastOpenQueue::new(key, 100);
    let cookie = key.cookie(NOW, &client);
    let mut judge = |after: Duration| queue.judge(NOW + after, &client, &syn(Some(cookie)));
    assert_eq!(judge(23 * HOUR), FastOpenAnswer::Accepted(None));
    let next = key.cookie(NOW + 24 * HOUR, &client);
    assert_ne!(next, cookie);
    assert_eq!(judge(24 * HOUR), FastOpenAnswer::Accepted(Some(next)));
    assert_eq!(judge(47 * HOUR), FastOpenAnswer::Accepted(Some(next)));
    let last = key.cookie(NOW + 48 * HOUR, &client);
    assert_eq!(judge(48 * HOUR), FastOpenAnswer::Refused(last));
}

#[test]
fn pending_connections_are_bounded_and_resets_count_for_a_minute() {
    // req: R7413-4
    let key = CookieKey::new(KEY);
    let client = tuple([192, 0, 2, 1], 50_000);
    let seg = syn(Some(key.cookie(NOW, &client)));
    let mut queue = FastOpenQueue::new(key, 3);
    for _ in 0..3 {
        assert!(queue.judge(NOW, &client, &seg).is_accepted());
    }
    for _ in 0..1_000 {
        assert_eq!(queue.judge(NOW, &client, &seg), FastOpenAnswer::Limited);
    }
    // A handshake that is complete, or given up, makes room at once; a reset does later.
    queue.ended(NOW, false);
    queue.ended(NOW, true);
    assert_eq!(queue.pending(), 2);
    assert!(queue.judge(NOW, &client, &seg).is_accepted());
    assert_eq!(queue.judge(NOW, &client, &seg), FastOpenAnswer::Limited);
    let later = NOW + Duration::from_secs(60);
    assert!(queue.judge(later, &client, &seg).is_accepted());
    assert_eq!(queue.judge(later, &client, &seg), FastOpenAnswer::Limited);
    // A cookie is given to whoever asks all the same.
    assert!(matches!(
        queue.judge(later, &client, &syn(Some(FastOpenCookie::REQUEST))),
        FastOpenAnswer::Given(_)
    ));
    queue.set_limit(0);
    assert_eq!(queue.judge(later, &client, &seg), FastOpenAnswer::Ignored);
}

const LOCAL: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1));

fn server(index: u32) -> IpAddr {
    let [.., high, low] = index.to_be_bytes();
    [198, 51, high, low].into()
}

fn news(outcome: FastOpen, cookie: Option<u8>, failed: bool) -> FastOpenNews {
    let cookie = cookie.map(|octet| FastOpenCookie::new(&[octet; 8]).unwrap());
    FastOpenNews { outcome, cookie, mss: Some(1400), failed }
}

#[test]
fn a_client_remembers_cookie_and_mss_for_two_days() {
    // req: R7413-5
    let mut cache = FastOpenCache::new();
    assert_eq!(cache.offer(NOW, LOCAL, server(1)), Some(FastOpenOffer::default()));
    cache.learn(NOW, LOCAL, server(1), &news(FastOpen::Cookie, Some(5), false));
    let known = FastOpenOffer { cookie: FastOpenCookie::new(&[5; 8]), mss: Some(1400) };
    assert_eq!(cache.offer(NOW, LOCAL, server(1)), Some(known));
    // Not from another address, and not to another.
    assert_eq!(cache.offer(NOW, server(9), server(1)), Some(FastOpenOffer::default()));
    assert_eq!(cache.offer(NOW, LOCAL, server(2)), Some(FastOpenOffer::default()));
    // A fresh one takes its place; an answer without leaves it.
    cache.learn(NOW, LOCAL, server(1), &news(FastOpen::Used, None, false));
    assert_eq!(cache.offer(NOW, LOCAL, server(1)), Some(known));
    cache.learn(NOW, LOCAL, server(1), &news(FastOpen::Fallback, Some(6), false));
    assert_eq!(cache.cookie(LOCAL, server(1)), FastOpenCookie::new(&[6; 8]));
    assert!(
        cache
            .offer(NOW + (48 * HOUR - Duration::from_nanos(1)), LOCAL, server(1))
            .is_some_and(|offer| offer.cookie.is_some())
    );
    assert_eq!(cache.offer(NOW + 48 * HOUR, LOCAL, server(1)), Some(FastOpenOffer::default()));
    assert_eq!(cache.cookie(LOCAL, server(1)), None);
}

#[test]
fn what_failed_is_not_tried_for_a_while_and_longer_each_time() {
    // req: R7413-5
    let mut cache = FastOpenCache::new();
    cache.learn(NOW, LOCAL, server(1), &news(FastOpen::Cookie, Some(5), false));
    let mut now = NOW;
    for (failure, minutes) in [
        (news(FastOpen::Fallback, None, true), 1),
        (news(FastOpen::Fallback, None, false), 2),
        (news(FastOpen::Tried, None, true), 4),
    ] {
        cache.learn(now, LOCAL, server(1), &failure);
        let pause = Duration::from_secs(60 * minutes);
        let almost = now + (pause - Duration::from_nanos(1));
        assert_eq!(cache.offer(almost, LOCAL, server(1)), None, "{minutes} min");
        now += pause;
        assert!(cache.offer(now, LOCAL, server(1)).is_some_and(|offer| offer.cookie.is_some()));
    }
    // A success forgives all of it.
    cache.learn(now, LOCAL, server(1), &news(FastOpen::Used, None, false));
    cache.learn(now, LOCAL, server(1), &news(FastOpen::Fallback, None, true));
    assert!(cache.offer(now + Duration::from_secs(60), LOCAL, server(1)).is_some());
    // However often: a day at most.
    for _ in 0..300 {
        cache.learn(now, LOCAL, server(1), &news(FastOpen::Fallback, None, true));
    }
    assert!(cache.offer(now + 24 * HOUR, LOCAL, server(1)).is_some());
}

#[test]
fn a_server_without_cookies_takes_no_memory_and_a_thousand_with_them_are_enough() {
    // req: R7413-5
    let mut cache = FastOpenCache::new();
    cache.learn(NOW, LOCAL, server(0), &news(FastOpen::Cookie, None, false));
    assert_eq!(cache.len(), 0);
    for index in 0..3_000 {
        let now = NOW + Duration::from_secs(index.into());
        cache.learn(now, LOCAL, server(index), &news(FastOpen::Cookie, Some(5), false));
    }
    assert_eq!(cache.len(), 1024);
    assert_eq!(cache.cookie(LOCAL, server(3_000 - 1_025)), None, "the oldest is gone");
    assert!(cache.cookie(LOCAL, server(3_000 - 1_024)).is_some());
}

proptest! {
    #[test]
    fn nobody_guesses_a_cookie(octets in proptest::collection::vec(any::<u8>(), 0..=8), day in 0_u64..1_000) {
        // req: R7413-2
        let Some(guess) = FastOpenCookie::new(&octets[..octets.len() / 2 * 2]) else { return Ok(()) };
        let (key, now) = (CookieKey::new(KEY), NOW + Duration::from_secs(24 * 3600 * day));
        let client = Script::tuple();
        let mut queue = FastOpenQueue::new(key, 1);
        let answer = queue.judge(now, &client, &syn(Some(guess)));
        prop_assert!(!answer.is_accepted());
        prop_assert_eq!(queue.pending(), 0);
    }
}
