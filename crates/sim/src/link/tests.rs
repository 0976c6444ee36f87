use std::time::Duration;

use netstack_tcp::Instant;

use super::{Fate, Link, LinkConfig};
use crate::{Jitter, QueueLimit};

const PACKETS: u64 = 100_000;
const MS: u64 = 1_000_000;

fn link(configure: impl FnOnce(&mut LinkConfig)) -> Link {
    let mut config = LinkConfig::new();
    configure(&mut config);
    Link::new(&config, 7, 0)
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// Arrival of a packet that must arrive once.
fn arrival(link: &mut Link, now: u64, len: usize) -> u64 {
    match link.send(at(now), len) {
        Fate::Arrives { at, copy: None } => at.as_nanos(),
        other => panic!("expected one arrival, got {other:?}"),
    }
}

/// Fates of `PACKETS` packets of 1,000 bytes, one each millisecond.
fn fates(link: &mut Link) -> Vec<Fate> {
    (0..PACKETS).map(|i| link.send(at(i * MS), 1_000)).collect()
}

fn assert_share(count: u64, of: u64, expected: f64) {
    let mean = of as f64 * expected;
    // Five standard deviations of a binomial count.
    let slack = 5.0 * (mean * (1.0 - expected)).sqrt();
    assert!((count as f64 - mean).abs() <= slack, "{count} of {of}, expected {mean} within {slack}");
}

#[test]
fn a_default_link_is_a_perfect_wire() {
    let mut link = link(|_| {});
    assert_eq!(arrival(&mut link, 5, 1_500), 5);
    assert_eq!(arrival(&mut link, 5, 1_500), 5);
    assert_eq!(link.stats().delivered, 2);
    assert_eq!(link.stats().offered_bytes, 3_000);
}

#[test]
fn rate_and_delay_are_exact_to_the_nanosecond() {
    let mut link = link(|c| {
        c.rate(1_000_000_000).delay(Duration::from_millis(10));
    });
    // 1,500 bytes at 1 Gbit/s take 12 us; the second waits for the first.
    assert_eq!(arrival(&mut link, 0, 1_500), 10 * MS + 12_000);
    assert_eq!(arrival(&mut link, 0, 1_500), 10 * MS + 24_000);
    assert_eq!(arrival(&mut link, 50_000, 125), 10 * MS + 51_000);
}

#[test]
fn fractions_of_a_nanosecond_do_not_add_up_to_an_error() {
    // 1 byte at 3 Gbit/s takes 2 2/3 ns.
    let mut link = link(|c| {
        c.rate(3_000_000_000);
    });
    for n in 1..=3_000u64 {
        assert_eq!(arrival(&mut link, 0, 1), n * 8 / 3);
    }
    // After a pause the line starts afresh.
    assert_eq!(arrival(&mut link, 10_000, 1), 10_002);
}

#[test]
fn loss_falls_on_its_share_of_packets_and_on_no_other() {
    for share in [0.001, 0.05, 0.5] {
        let mut link = link(|c| {
            c.loss(share);
        });
        let lost = fates(&mut link).iter().filter(|fate| **fate == Fate::Lost).count() as u64;
        assert_eq!(link.stats().lost, lost);
        assert_eq!(link.stats().delivered, PACKETS - lost);
        assert_share(lost, PACKETS, share);
    }
    let mut cut = link(|c| {
        c.loss(1.0);
    });
    assert!(fates(&mut cut).iter().all(|fate| *fate == Fate::Lost));
}

#[test]
fn duplication_makes_its_share_of_copies() {
    let mut link = link(|c| {
        c.duplicate(0.03);
    });
    let copies =
        fates(&mut link).iter().filter(|fate| matches!(fate, Fate::Arrives { copy: Some(_), .. })).count()
            as u64;
    assert_eq!(link.stats().duplicated, copies);
    assert_eq!(link.stats().delivered, PACKETS + copies);
    assert_share(copies, PACKETS, 0.03);
}

#[test]
fn reordering_holds_its_share_back_within_the_limit_and_lets_others_overtake() {
    let mut link = link(|c| {
        c.delay(Duration::from_millis(5)).reorder(0.02, Duration::from_millis(4));
    });
    let mut late = 0;
    let mut overtaken = 0;
    let mut latest = 0;
    for i in 0..PACKETS {
        let due = i * MS + 5 * MS;
        let arrival = arrival(&mut link, i * MS, 100);
        assert!((due..=due + 4 * MS).contains(&arrival));
        late += u64::from(arrival > due);
        overtaken += u64::from(arrival < latest);
        latest = latest.max(arrival);
    }
    assert_eq!(link.stats().held_back, late);
    assert_share(late, PACKETS, 0.02);
    assert!(overtaken > PACKETS / 100, "{overtaken} packets overtook another");
}

#[test]
fn ordered_jitter_keeps_the_order_and_reordering_jitter_does_not() {
    let limit = Duration::from_millis(10);
    for (jitter, ordered) in [(Jitter::Ordered(limit), true), (Jitter::Reordering(limit), false)] {
        let mut link = link(|c| {
            c.delay(Duration::from_millis(20)).jitter(jitter);
        });
        let arrivals: Vec<_> = (0..PACKETS).map(|i| arrival(&mut link, i * MS, 100)).collect();
        assert_eq!(arrivals.is_sorted(), ordered);
        for (i, arrival) in arrivals.iter().enumerate() {
            let delay = arrival - i as u64 * MS;
            assert!((20 * MS..=30 * MS).contains(&delay), "packet {i} took {delay} ns");
        }
        let mean = arrivals.iter().enumerate().map(|(i, a)| a - i as u64 * MS).sum::<u64>() / PACKETS;
        assert!(mean > 24 * MS, "mean delay {mean} ns");
    }
}

#[test]
fn the_queue_holds_as_many_packets_as_it_says_besides_the_one_on_the_line() {
    // 1,000 bytes take 1 ms.
    let mut link = link(|c| {
        c.rate(8_000_000).queue(QueueLimit::Packets(3));
    });
    let burst: Vec<_> = (0..6).map(|_| link.send(at(0), 1_000)).collect();
    assert_eq!(burst.iter().filter(|fate| **fate == Fate::QueueFull).count(), 2);
    assert_eq!(link.stats().max_queue_packets, 3);
    assert_eq!(link.stats().queue_full, 2);
    // The first packet left at 1 ms: its successor moved on to the line and made room for exactly one.
    assert_eq!(link.send(at(MS - 1), 1_000), Fate::QueueFull);
    assert_eq!(link.send(at(MS), 1_000), Fate::Arrives { at: at(5 * MS), copy: None });
    assert_eq!(link.send(at(MS), 1_000), Fate::QueueFull);
}

#[test]
fn the_queue_holds_as_many_bytes_as_it_says() {
    let mut link = link(|c| {
        c.rate(8_000_000).queue(QueueLimit::Bytes(2_500));
    });
    for len in [1_000, 1_000, 1_000] {
        assert!(matches!(link.send(at(0), len), Fate::Arrives { .. }));
    }
    assert_eq!(link.send(at(0), 501), Fate::QueueFull);
    assert!(matches!(link.send(at(0), 500), Fate::Arrives { .. }));
    assert_eq!(link.stats().max_queue_bytes, 2_500);
    // All is sent by 3.5 ms; a packet of any size enters an idle line.
    assert!(matches!(link.send(at(4 * MS), 9_000), Fate::Arrives { .. }));
}

#[test]
fn the_same_seed_gives_the_same_fates_and_another_seed_others() {
    let run = |seed, direction| {
        let mut config = LinkConfig::new();
        config.loss(0.1).duplicate(0.1).reorder(0.1, Duration::from_millis(3));
        config.jitter(Jitter::Reordering(Duration::from_millis(2)));
        fates(&mut Link::new(&config, seed, direction))
    };
    assert_eq!(run(1, 0), run(1, 0));
    assert_ne!(run(1, 0), run(2, 0));
    assert_ne!(run(1, 0), run(1, 1));
}

#[test]
fn the_random_stream_is_the_same_in_every_version() {
    let mut config = LinkConfig::new();
    config.loss(0.25).jitter(Jitter::Reordering(Duration::from_nanos(1_000)));
    let mut link = Link::new(&config, 42, 3);
    let fates: Vec<_> = (0..12)
        .map(|_| match link.send(at(0), 100) {
            Fate::Arrives { at, .. } => Some(at.as_nanos()),
            _ => None,
        })
        .collect();
    assert_eq!(fates, GOLDEN);
}

/// A change here means that every seed ever written down replays another run: do it knowingly.
const GOLDEN: [Option<u64>; 12] = [
    Some(132),
    Some(593),
    Some(492),
    Some(383),
    None,
    Some(862),
    None,
    Some(319),
    Some(333),
    Some(945),
    Some(84),
    Some(462),
];

#[test]
fn switching_one_impairment_on_leaves_the_draws_of_the_others_alone() {
    let run = |loss: f64| {
        let mut config = LinkConfig::new();
        config.loss(loss).duplicate(0.2);
        fates(&mut Link::new(&config, 9, 0))
    };
    // Copies are drawn for surviving packets, in order: without loss the sequence of copies is the same, unthinned.
    let copies = |fates: &[Fate]| -> Vec<bool> {
        fates
            .iter()
            .filter(|f| **f != Fate::Lost)
            .map(|f| matches!(f, Fate::Arrives { copy: Some(_), .. }))
            .collect()
    };
    let with = copies(&run(0.3));
    let without = copies(&run(0.0));
    assert_eq!(with, without[..with.len()]);
}

#[test]
#[should_panic(expected = "between 0 and 1")]
fn a_probability_beyond_one_is_refused() {
    LinkConfig::new().loss(1.5);
}

#[test]
fn bursts_have_their_share_and_their_mean_length() {
    for (share, mean) in [(0.02, 5.0), (0.2, 2.0)] {
        let mut link = link(|c| {
            c.loss_bursts(share, mean);
        });
        let fates: Vec<_> = (0..20).flat_map(|_| fates_again(&mut link)).collect();
        let lost = fates.iter().filter(|lost| **lost).count() as f64;
        let runs = fates.chunk_by(|a, b| a == b).filter(|run| run[0]).count() as f64;
        let measured = lost / fates.len() as f64;
        assert!((measured / share - 1.0).abs() < 0.05, "{measured} of {share}");
        assert!((lost / runs / mean - 1.0).abs() < 0.05, "{} of {mean}", lost / runs);
    }
}

fn fates_again(link: &mut Link) -> Vec<bool> {
    (0..PACKETS).map(|_| link.send(at(0), 100) == Fate::Lost).collect()
}

#[test]
fn late_packets_are_late_within_the_bounds() {
    let mut link = link(|c| {
        c.late(0.02, Duration::from_millis(15), Duration::from_millis(30));
    });
    let mut late = 0;
    for i in 0..PACKETS {
        let by = arrival(&mut link, i * MS, 100) - i * MS;
        assert!(by == 0 || (15 * MS..=30 * MS).contains(&by), "{by}");
        late += u64::from(by > 0);
    }
    assert_share(late, PACKETS, 0.02);
}

#[test]
fn a_stalled_line_sends_nothing_for_its_time_and_goes_on_at_its_rate() {
    let mut link = link(|c| {
        // 1,000 bytes take 1 ms.
        c.rate(8_000_000).stall(Duration::from_millis(10), Duration::from_millis(500));
    });
    assert_eq!(arrival(&mut link, 9 * MS, 1_000), 10 * MS);
    assert_eq!(arrival(&mut link, 9 * MS + 1, 1_000), 511 * MS);
    assert_eq!(arrival(&mut link, 20 * MS, 1_000), 512 * MS);
    assert_eq!(link.waiting(at(500 * MS)), (2_000, 2));
    assert_eq!(link.waiting(at(511 * MS)), (0, 0));
    assert_eq!(arrival(&mut link, 600 * MS, 1_000), 601 * MS);
}

#[test]
fn corruption_hits_its_share_and_counts_as_loss_where_packets_are_lengths() {
    let mut link = link(|c| {
        c.corrupt(0.03);
    });
    let lost = fates(&mut link).iter().filter(|fate| **fate == Fate::Lost).count() as u64;
    assert_share(lost, PACKETS, 0.03);
    assert_eq!((link.stats().corrupted, link.stats().lost), (lost, 0));
}

#[test]
fn a_link_changes_and_keeps_what_it_has_taken() {
    let mut link = link(|c| {
        // 1,000 bytes take 1 ms.
        c.rate(8_000_000).queue(QueueLimit::Packets(2));
    });
    for n in 1..=3 {
        assert_eq!(arrival(&mut link, 0, 1_000), n * MS);
    }
    assert_eq!(link.send(at(0), 1_000), Fate::QueueFull);
    let mut faster = LinkConfig::new();
    faster.rate(80_000_000).queue(QueueLimit::Packets(3)).delay(Duration::from_millis(5));
    link.reconfigure(&faster);
    assert_eq!(arrival(&mut link, 0, 1_000), 8 * MS + MS / 10);
    assert_eq!(link.send(at(0), 1_000), Fate::QueueFull);
    assert_eq!((link.stats().offered, link.stats().queue_full), (6, 2));
    assert_eq!(link.config(), &faster);
}

#[test]
fn a_probability_changed_on_the_way_is_met_from_then_on() {
    let mut link = link(|c| {
        c.loss(0.2);
    });
    let before = fates(&mut link);
    link.reconfigure(LinkConfig::new().loss(0.05));
    let after: Vec<_> = (0..PACKETS).map(|i| link.send(at((PACKETS + i) * MS), 1_000)).collect();
    let lost = |fates: &[Fate]| fates.iter().filter(|fate| **fate == Fate::Lost).count() as u64;
    assert_share(lost(&before), PACKETS, 0.2);
    assert_share(lost(&after), PACKETS, 0.05);
}
