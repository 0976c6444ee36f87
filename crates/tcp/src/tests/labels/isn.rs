//! Initial sequence numbers (RFC 9293 3.4.1).

use core::time::Duration;

use crate::isn::IsnGenerator;
use crate::testing::Script;
use crate::time::Instant;
use crate::tuple::FourTuple;

fn tuple(port: u16) -> FourTuple {
    FourTuple::new(([192, 0, 2, 2], port).into(), ([192, 0, 2, 1], 7).into())
}

#[test]
fn the_clock_steps_every_four_microseconds() {
    // req: MUST-8
    let generator = IsnGenerator::new([7; 16]);
    let start = Instant::from_nanos(5_000_000_000);
    let first = generator.isn(start, &tuple(50_000));
    // The last one lies two wraps of the clock ahead.
    for micros in [0, 4, 40, 1_000_000, 3_600_000_000, 4 << 33] {
        let later = generator.isn(start + Duration::from_micros(micros), &tuple(50_000));
        assert_eq!(later.distance_from(first), (micros / 4) as u32, "after {micros} us");
    }
    assert_eq!(generator.isn(start + Duration::from_nanos(3_999), &tuple(50_000)), first);
}

#[test]
fn each_tuple_has_its_own_offset() {
    // req: SHLD-1
    let generator = IsnGenerator::new([7; 16]);
    let at = Instant::from_nanos(5_000_000_000);
    let offsets: Vec<u32> = (50_000..51_000).map(|port| generator.isn(at, &tuple(port)).0).collect();
    // Neighbours differ in about half of their bits: no step, no pattern.
    let differing: u32 = offsets.windows(2).map(|pair| (pair[0] ^ pair[1]).count_ones()).sum();
    assert!((15_000..17_000).contains(&differing), "{differing} bits over 999 pairs");
    let distinct: std::collections::BTreeSet<u32> = offsets.iter().copied().collect();
    assert_eq!(distinct.len(), offsets.len());
    // The address and the direction count as well.
    let here = Script::tuple();
    assert_ne!(generator.isn(at, &here), generator.isn(at, &here.flipped()));
    // Equal tuple and secret: equal offset.
    assert_eq!(generator.isn(at, &here), IsnGenerator::new([7; 16]).isn(at, &here));
}

#[test]
fn the_secret_decides_and_does_not_show() {
    // req: MUST-9
    let at = Instant::from_nanos(5_000_000_000);
    let mut key = [7; 16];
    let first = IsnGenerator::new(key);
    for place in 0..16 {
        key[place] ^= 1;
        let second = IsnGenerator::new(key);
        assert_ne!(first.isn(at, &tuple(1)), second.isn(at, &tuple(1)), "octet {place} of the secret counts");
        assert_ne!(first.ts_offset(&tuple(1)), second.ts_offset(&tuple(1)));
        key[place] ^= 1;
    }
    assert!(!format!("{first:?}").contains('7'), "the secret is in no output");
}
