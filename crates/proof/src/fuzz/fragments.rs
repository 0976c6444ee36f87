//! Fragments of IP datagrams, against the datagrams that they are said to be of.

use arbitrary::Unstructured;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use netstack_tcp::Instant;
use netstack_wire::ip::{self, Fragment, IpHeader};
use netstack_wire::{Ecn, Protocol, icmp};

use crate::fragment::{Limits, Outcome, Reassembler};

/// Steps of one run.
const STEPS: usize = 200;

/// The octet at `at` of datagram `id`.
fn octet(id: u32, at: usize) -> u8 {
    (at as u32).wrapping_mul(31).wrapping_add(id.wrapping_mul(97)) as u8
}

/// Fragments in any order and of any shape: what is made whole is what its fragments say.
pub fn fragments(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut reassembler = Reassembler::new(Limits { total: 64 << 10, per_source: 32 << 10 });
    let mut now = Instant::ZERO;
    for _ in 0..STEPS {
        if input.is_empty() || step(&mut input, &mut reassembler, &mut now).is_err() {
            break;
        }
    }
    now += Duration::from_secs(61);
    while reassembler.pop_expired(now).is_some() {}
    assert_eq!(reassembler.deadline(), None, "nothing outlives its time");
}

fn step(
    input: &mut Unstructured<'_>,
    reassembler: &mut Reassembler,
    now: &mut Instant,
) -> arbitrary::Result<()> {
    let [kind, host, id, units, len]: [u8; 5] = input.arbitrary()?;
    *now += Duration::from_millis(u64::from(kind >> 4) * 100);
    while let Some(expired) = reassembler.pop_expired(*now) {
        assert!(expired.first.is_none_or(|first| first.len() <= icmp::v6::MAX_QUOTE));
    }
    let at = Fragment { offset: u16::from(units) * 8, more: kind & 1 != 0, id: u32::from(id & 3) };
    // Mostly whole units of eight octets, as a sender cuts; the last one may be of any length.
    let len = usize::from(if at.more && kind & 2 == 0 { len & !7 } else { len });
    let payload: Vec<u8> = (0..len).map(|octets| octet(at.id, usize::from(at.offset) + octets)).collect();
    let src = IpAddr::V4(Ipv4Addr::new(198, 51, 100, host & 3));
    let protocol = if kind & 4 == 0 { Protocol::UDP } else { Protocol::TCP };
    let header = IpHeader {
        fragment: Some(at),
        dont_fragment: false,
        ecn: Ecn::from_bits(kind >> 2),
        ..IpHeader::new(src, Ipv4Addr::new(192, 0, 2, 1).into(), protocol, payload.len())
    };
    let mut packet = vec![0; header.header_len()];
    header.emit(&mut packet);
    packet.extend_from_slice(&payload);
    let Ok(parsed) = ip::parse(&packet) else { return Ok(()) };
    let Some(at) = parsed.fragment else { return Ok(()) };
    if let Outcome::Whole(whole) = reassembler.handle(*now, 0, &parsed, at, &packet) {
        let whole = ip::parse(&whole).expect("what is made whole is a packet");
        assert_eq!((whole.src, whole.protocol, whole.fragment), (src, protocol, None));
        assert!(whole.payload.iter().enumerate().all(|(place, value)| *value == octet(at.id, place)));
    }
    Ok(())
}
