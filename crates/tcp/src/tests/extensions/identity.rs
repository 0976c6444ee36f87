//! Initial sequence numbers, timestamp offsets, ephemeral ports (RFC 6528, RFC 6056).

use core::time::Duration;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ms;
use crate::isn::IsnGenerator;
use crate::ports::PortAllocator;
use crate::time::Instant;
use crate::tuple::FourTuple;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn tuple(port: u16) -> FourTuple {
    FourTuple::new(SocketAddr::new(LOCAL, port), ([198, 51, 100, 7], 443).into())
}

fn remote(index: u32) -> SocketAddr {
    let [_, _, c, d] = index.to_be_bytes();
    SocketAddr::from(([198, 51, 100 + c % 3, d], 443 + (index / 256) as u16))
}

/// Chi-squared over 256 buckets of the top octet; 255 degrees of freedom: 400 is far in the tail.
fn chi_squared(values: impl Iterator<Item = u8>) -> f64 {
    let mut buckets = [0_u32; 256];
    let mut count = 0.0;
    for value in values {
        buckets[usize::from(value)] += 1;
        count += 1.0;
    }
    let mean = count / 256.0;
    buckets.iter().map(|seen| (f64::from(*seen) - mean).powi(2) / mean).sum()
}

#[test]
fn initial_sequence_numbers_are_uniform_over_ports() {
    // req: R6528-1, SHLD-1
    let generator = IsnGenerator::new([7; 16]);
    let isns: Vec<u32> =
        (0..10_000).map(|port| generator.isn(Instant::ZERO, &tuple(1024 + port)).0).collect();
    for shift in [24, 16, 8, 0] {
        let spread = chi_squared(isns.iter().map(|isn| (isn >> shift) as u8));
        assert!(spread < 400.0, "octet {shift}: {spread}");
    }
    let steps = chi_squared(isns.windows(2).map(|pair| (pair[1].wrapping_sub(pair[0]) >> 24) as u8));
    assert!(steps < 400.0, "steps between neighbours: {steps}");
    assert_eq!(isns.iter().collect::<HashSet<_>>().len(), isns.len());
}

#[test]
fn every_part_of_the_tuple_and_the_secret_count() {
    // req: R6528-1
    // Pitfall 19: two stacks of one configuration do not choose alike, unless a test gives them one secret.
    let base = FourTuple::new(([192, 0, 2, 1], 1).into(), ([192, 0, 2, 2], 2).into());
    let generator = IsnGenerator::new([1; 16]);
    let isn = generator.isn(Instant::ZERO, &base);
    for other in [
        FourTuple::new(([192, 0, 2, 3], 1).into(), ([192, 0, 2, 2], 2).into()),
        FourTuple::new(([192, 0, 2, 1], 3).into(), ([192, 0, 2, 2], 2).into()),
        FourTuple::new(([192, 0, 2, 1], 1).into(), ([192, 0, 2, 3], 2).into()),
        FourTuple::new(([192, 0, 2, 1], 1).into(), ([192, 0, 2, 2], 3).into()),
        base.flipped(),
    ] {
        assert_ne!(generator.isn(Instant::ZERO, &other), isn, "{other:?}");
    }
    let mut key = [1; 16];
    for octet in 0..16 {
        key[octet] ^= 0x80;
        assert_ne!(IsnGenerator::new(key).isn(Instant::ZERO, &base), isn, "octet {octet} of the secret");
        key[octet] ^= 0x80;
    }
    assert_eq!(IsnGenerator::new(key).isn(Instant::ZERO, &base), isn, "a given secret repeats the run");
    assert!(!format!("{generator:?}").contains('1'), "the secret is not shown");
}

#[test]
fn the_numbers_of_a_tuple_rise_with_the_clock() {
    // req: R6528-2, MUST-8
    let generator = IsnGenerator::new([9; 16]);
    let first = generator.isn(Instant::ZERO, &tuple(5_000));
    let mut now = Instant::ZERO;
    for steps in [1_u32, 250, 250_000, 3_000_000] {
        now = Instant::from_duration(Duration::from_micros(4 * u64::from(steps)));
        assert_eq!(generator.isn(now, &tuple(5_000)).distance_from(first), steps);
    }
    // A connection that sent less than the clock's 250 octets a millisecond is overtaken by its successor.
    let sent = 200 * 1_000;
    let successor = generator.isn(now + ms(1_000), &tuple(5_000));
    assert!(successor.after(generator.isn(now, &tuple(5_000)) + sent));
    // Around the clock's wrap after 4.77 hours too.
    let wrap = Instant::from_duration(Duration::from_micros(4 << 32));
    assert_eq!(generator.isn(wrap, &tuple(5_000)), first);
}

#[test]
fn timestamp_offsets_of_two_connections_are_unrelated() {
    // req: R7323-19
    let generator = IsnGenerator::new([3; 16]);
    let offsets: Vec<u32> = (0..10_000).map(|port| generator.ts_offset(&tuple(1024 + port))).collect();
    let spread = chi_squared(offsets.windows(2).map(|pair| (pair[1].wrapping_sub(pair[0]) >> 24) as u8));
    assert!(spread < 400.0, "{spread}");
    // Nor does one tell of the sequence number.
    let related = (0..10_000).filter(|port| {
        let tuple = tuple(1024 + port);
        generator.isn(Instant::ZERO, &tuple).0 == generator.ts_offset(&tuple)
    });
    assert_eq!(related.count(), 0);
}

#[test]
fn ports_of_many_destinations_are_spread_without_a_constant_step() {
    // req: R6056-1, R6056-2
    let mut ports = PortAllocator::new([4; 16], PortAllocator::DYNAMIC);
    let picked: Vec<u16> =
        (0..1_000).map(|index| ports.pick(LOCAL, remote(index), |_| false).unwrap()).collect();
    assert!(picked.iter().all(|port| PortAllocator::DYNAMIC.contains(port)));
    let mut steps = std::collections::HashMap::new();
    for pair in picked.windows(2) {
        *steps.entry(pair[1].wrapping_sub(pair[0])).or_insert(0) += 1;
    }
    assert!(steps.values().all(|count| *count <= 5), "a step that repeats tells the next port");
    let spread = chi_squared(picked.iter().map(|port| ((port - 49_152) >> 6) as u8));
    assert!(spread < 400.0, "{spread}");
}

#[test]
fn the_range_is_the_one_asked_for() {
    // req: R6056-2
    let mut ports = PortAllocator::new([4; 16], 1024..=65_535);
    let picked: HashSet<u16> =
        (0..70_000).filter_map(|index| ports.pick(LOCAL, remote(index % 60_000), |_| false)).collect();
    assert!(picked.iter().all(|port| *port >= 1024));
    assert!(picked.len() > 30_000, "wide: {}", picked.len());
    let mut one = PortAllocator::new([4; 16], 7_000..=7_000);
    assert_eq!(one.pick(LOCAL, remote(0), |_| false), Some(7_000));
    let (last, first) = (4, 5);
    let mut none = PortAllocator::new([4; 16], first..=last);
    assert_eq!(none.pick(LOCAL, remote(0), |_| false), None);
}

#[test]
fn a_used_port_is_skipped_and_exhaustion_is_told() {
    // req: R6056-3
    // A range whose size does not divide 65,536, from anywhere in the counters' run.
    let range = 1_024..=4_095_u16;
    for skip in [0, 1_000, 63_000, 65_000, 65_535] {
        let mut ports = PortAllocator::new([8; 16], range.clone());
        for _ in 0..skip {
            ports.pick(LOCAL, remote(1), |_| false);
        }
        for only in [1_024, 2_000, 4_095] {
            let mut asked = 0;
            let picked = ports.pick(LOCAL, remote(1), |port| {
                asked += 1;
                port != only
            });
            assert_eq!(picked, Some(only), "the one free port is found");
            assert!(asked <= range.len());
        }
        let mut asked = HashSet::new();
        assert_eq!(
            ports.pick(LOCAL, remote(1), |port| {
                asked.insert(port);
                true
            }),
            None
        );
        assert_eq!(asked.len(), range.len(), "each was asked for once");
    }
}

#[test]
fn two_secrets_choose_different_ports() {
    // req: R6056-4
    let mut one = PortAllocator::new([1; 16], PortAllocator::DYNAMIC);
    let mut other = PortAllocator::new([2; 16], PortAllocator::DYNAMIC);
    let same = (0..1_000).filter(|index| {
        one.pick(LOCAL, remote(*index), |_| false) == other.pick(LOCAL, remote(*index), |_| false)
    });
    assert!(same.count() < 10);
    // Nor does the port follow from the sequence number's secret being the same.
    assert!(!format!("{one:?}").contains("key"));
}
