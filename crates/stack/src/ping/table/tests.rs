use super::*;
use crate::ping::PingFailure;

const TARGET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn pings() -> Pings {
    Pings::new([7; 16])
}

fn answered() -> Outcome {
    Outcome::Answered { at: Instant::ZERO, hop_limit: 64 }
}

#[test]
fn places_are_bounded_and_come_back() {
    let pings = pings();
    let mut waiting: Vec<_> = (0..MOST).map(|_| pings.register(LOCAL, TARGET, 56).unwrap()).collect();
    let error = pings.register(LOCAL, TARGET, 56).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    waiting.pop();
    drop(pings.register(LOCAL, TARGET, 56).unwrap());
    drop(waiting);
    assert!(lock(&pings.slots).is_empty());
}

#[test]
fn names_do_not_follow_one_another() {
    let pings = pings();
    let waiting: Vec<_> = (0..100).map(|_| pings.register(LOCAL, TARGET, 0).unwrap().name).collect();
    let follows =
        |pair: &[(u16, u16)]| pair[0].0.abs_diff(pair[1].0) < 2 || pair[0].1.abs_diff(pair[1].1) < 2;
    assert!(waiting.windows(2).filter(|pair| follows(pair)).count() < 5, "{waiting:?}");
    let other = Pings::new([8; 16]);
    assert_ne!(waiting[0], other.register(LOCAL, TARGET, 0).unwrap().name, "the key decides");
}

#[test]
fn an_answer_has_to_come_from_the_target_with_all_that_was_sent() {
    let pings = pings();
    let waiting = pings.register(LOCAL, TARGET, 20).unwrap();
    let (id, seq) = waiting.name;
    let data = waiting.request.data.clone();
    let mut changed = data.clone();
    changed[0] ^= 1;
    for (pair, name, data) in [
        ((LOCAL, TARGET), (id, seq), &data),
        ((TARGET, TARGET), (id, seq), &data),
        ((TARGET, LOCAL), (id, seq.wrapping_add(1)), &data),
        ((TARGET, LOCAL), (id.wrapping_add(1), seq), &data),
        ((TARGET, LOCAL), (id, seq), &changed),
        ((TARGET, LOCAL), (id, seq), &data[..19].to_vec()),
    ] {
        assert!(!pings.answer(pair, name, data, answered()), "{pair:?} {name:?}");
    }
    let error = PingError { from: TARGET, reason: PingFailure::TooBig(1280) };
    assert!(!pings.fail((TARGET, LOCAL), (id, seq), error), "the quote has our address first");
    assert!(pings.answer((TARGET, LOCAL), (id, seq), &data, answered()));
}
