//! Hash and clock.

use core::time::Duration;

use proptest::prelude::*;

use super::IsnGenerator;
use crate::time::Instant;
use crate::tuple::FourTuple;

proptest! {
    /// For any secret and tuple the number moves by one each four microseconds, through the wrap.
    #[test]
    fn the_clock_runs_at_250_kilohertz(
        key in any::<[u8; 16]>(),
        port in 1_u16..,
        start in 0..1_u64 << 50,
        micros in 0..1_u64 << 33,
    ) {
        // req: MUST-8, R6528-2
        let tuple = FourTuple::new(([192, 0, 2, 1], port).into(), ([192, 0, 2, 2], 7).into());
        let generator = IsnGenerator::new(key);
        let start = Instant::from_nanos(start * 4_000);
        let later = start + Duration::from_micros(micros);
        let steps = generator.isn(later, &tuple).distance_from(generator.isn(start, &tuple));
        prop_assert_eq!(u64::from(steps), micros / 4);
        prop_assert_eq!(generator.ts_offset(&tuple), generator.ts_offset(&tuple), "kept for the connection");
    }
}

#[test]
fn addresses_of_the_two_families_differ() {
    // req: R6528-1
    let generator = IsnGenerator::new([1; 16]);
    let v4 = FourTuple::new("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
    let v6 = FourTuple::new("[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:2".parse().unwrap());
    assert_ne!(generator.isn(Instant::ZERO, &v4), generator.isn(Instant::ZERO, &v6));
}
