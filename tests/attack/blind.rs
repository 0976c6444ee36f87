//! What somebody who sees none of the traffic can guess: initial sequence numbers, cookies, timestamps and ports, by statistics
//! with fixed bounds. Keys are fixed, so that each run is the same.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use netstack_tcp::{
    FastOpenAnswer, FourTuple, Instant, IsnGenerator, Opening, PortAllocator, SynCookies, SynRecord,
    TcpConfig,
};
use netstack_wire::tcp::TcpFlags;
use netstack_wire::{Ecn, SeqNum};

const KEY: [u8; 16] = *b"any fixed secret";

/// Samples of each test.
const SAMPLES: u32 = 1 << 16;

/// Bounds of chi-square with 255 degrees of freedom: its mean is 255, its deviation 22.6; outside of these once in 50,000.
const CHI_SQUARE: std::ops::Range<f64> = 175.0..355.0;

/// Each octet of the numbers takes each value equally often, and no number follows from the one before it.
#[track_caller]
fn assert_unpredictable(name: &str, numbers: &[u32]) {
    let n = numbers.len() as f64;
    for shift in [0, 8, 16, 24] {
        let mut bins = [0_u32; 256];
        for number in numbers {
            bins[(number >> shift & 0xff) as usize] += 1;
        }
        let expected = n / 256.0;
        let chi: f64 = bins.iter().map(|&seen| (f64::from(seen) - expected).powi(2) / expected).sum();
        assert!(CHI_SQUARE.contains(&chi), "{name}, octet at {shift}: chi-square {chi:.0}");
    }
    let unit = |number: u32| f64::from(number) / f64::from(u32::MAX) - 0.5;
    for lag in [1, 2, 3] {
        let pairs = numbers.iter().zip(&numbers[lag..]);
        let sum: f64 = pairs.map(|(&a, &b)| unit(a) * unit(b)).sum();
        // The variance of a uniform number is 1/12.
        let correlation = 12.0 * sum / n;
        assert!(correlation.abs() < 5.0 / n.sqrt(), "{name}: serial correlation {correlation:.4} at {lag}");
    }
    // Nor do differences repeat.
    let mut steps: Vec<_> = numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    steps.sort_unstable();
    let repeated = steps.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!(repeated < 10, "{name}: {repeated} differences come twice");
}

/// Connections of one client to one server, by port, and of many clients.
fn tuples() -> [Vec<FourTuple>; 2] {
    let server = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 7));
    let by_port =
        (0..SAMPLES).map(|n| FourTuple::new(server, (Ipv4Addr::new(198, 51, 100, 1), n as u16).into()));
    let first = u32::from(Ipv4Addr::new(198, 51, 0, 0));
    let by_host = (0..SAMPLES).map(|n| FourTuple::new(server, (Ipv4Addr::from(first + n), 1024).into()));
    [by_port.collect(), by_host.collect()]
}

// req: R6528-1, MUST-9, SHLD-1
#[test]
fn initial_sequence_numbers() {
    let generator = IsnGenerator::new(KEY);
    let now = Instant::from_nanos(1_000_000_000);
    for tuples in tuples() {
        let numbers: Vec<_> = tuples.iter().map(|tuple| generator.isn(now, tuple).0).collect();
        assert_unpredictable("ISN", &numbers);
        let offsets: Vec<_> = tuples.iter().map(|tuple| generator.ts_offset(tuple)).collect();
        assert_unpredictable("timestamp offset", &offsets);
        // What one tells of the other: nothing.
        let both: Vec<_> = numbers.iter().zip(&offsets).map(|(a, b)| a ^ b).collect();
        assert_unpredictable("ISN against timestamp", &both);
    }
}

/// Cookies look like any other initial sequence number, though they carry the time and the MSS.
// req: R4987-3, R6528-1
#[test]
fn cookies() {
    let cookies = SynCookies::new(KEY);
    let config = Arc::new(TcpConfig::new());
    let now = Instant::from_nanos(1_000_000_000_000);
    let cookie = |tuple: FourTuple, irs: u32, now: Instant| {
        let syn = SynRecord {
            tuple,
            irs: SeqNum(irs),
            window: 1000,
            mss: Some(1460),
            window_scale: Some(7),
            ts_val: None,
            sack_permitted: true,
            ecn_flags: TcpFlags::empty(),
            ecn: Ecn::NotEct,
            fast_open: FastOpenAnswer::Ignored,
            received_at: now,
        };
        let opening = Opening { tuple, iss: SeqNum(0), ts_offset: 0, mtu: 1500 };
        cookies.answer(now, &syn, opening, &config).seq.0
    };
    for tuples in tuples() {
        let numbers: Vec<_> = tuples.iter().map(|&tuple| cookie(tuple, 1, now)).collect();
        assert_unpredictable("cookie", &numbers);
    }
    let tuple = tuples()[0][1];
    let by_irs: Vec<_> = (0..SAMPLES).map(|irs| cookie(tuple, irs, now)).collect();
    assert_unpredictable("cookie by IRS", &by_irs);
    // In another slot of time another number: an old answer is none.
    let later = now + Duration::from_secs(64);
    let same = (0..1_000).filter(|&irs| cookie(tuple, irs, now) == cookie(tuple, irs, later)).count();
    assert_eq!(same, 0);
}

/// The port of a connection to one destination says nothing of those to others.
// req: R6056-1, R6056-4
#[test]
fn ports() {
    let mut allocator = PortAllocator::new(KEY, PortAllocator::DYNAMIC);
    let local = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let first = u32::from(Ipv4Addr::new(198, 51, 0, 0));
    let mut bins = [0_u32; 256];
    let mut previous = 0.0;
    let mut product = 0.0;
    let range = PortAllocator::DYNAMIC;
    let count = f64::from(range.end() - range.start()) + 1.0;
    for n in 0..SAMPLES {
        let port = allocator.pick(local, (Ipv4Addr::from(first + n), 443).into(), |_| false).unwrap();
        let offset = port - range.start();
        bins[usize::from(offset >> 6)] += 1;
        let unit = f64::from(offset) / count - 0.5;
        product += unit * previous;
        previous = unit;
    }
    let expected = f64::from(SAMPLES) / 256.0;
    let chi: f64 = bins.iter().map(|&seen| (f64::from(seen) - expected).powi(2) / expected).sum();
    assert!(CHI_SQUARE.contains(&chi), "chi-square {chi:.0}");
    let correlation = 12.0 * product / f64::from(SAMPLES);
    assert!(correlation.abs() < 5.0 / f64::from(SAMPLES).sqrt(), "serial correlation {correlation:.4}");
}
