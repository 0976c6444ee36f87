use std::time::Duration;

use super::*;

#[test]
fn the_limiter_gives_its_burst_then_its_rate() {
    let limiter = Limiter::new((3, 100));
    let count = |now| (0..10).filter(|_| limiter.allow(now)).count();
    let start = Instant::ZERO + Duration::from_secs(5);
    assert_eq!(count(start), 3);
    assert_eq!(count(start + Duration::from_millis(9)), 0);
    assert_eq!(count(start + Duration::from_millis(20)), 2);
    assert_eq!(count(start + Duration::from_secs(60)), 3, "the bucket fills up to its size");
}

#[test]
fn unreachable_codes_mean_what_the_table_says() {
    for (code, v6, notice) in [
        (0, false, IcmpNotice::NetworkUnreachable),
        (1, false, IcmpNotice::HostUnreachable),
        (2, false, IcmpNotice::ProtocolUnreachable),
        (3, false, IcmpNotice::PortUnreachable),
        (5, false, IcmpNotice::SourceRouteFailed),
        (9, false, IcmpNotice::Prohibited),
        (10, false, IcmpNotice::Prohibited),
        (13, false, IcmpNotice::Prohibited),
        (0, true, IcmpNotice::NetworkUnreachable),
        (1, true, IcmpNotice::Prohibited),
        (3, true, IcmpNotice::HostUnreachable),
        (4, true, IcmpNotice::PortUnreachable),
        (5, true, IcmpNotice::Prohibited),
        (6, true, IcmpNotice::Prohibited),
    ] {
        assert_eq!(unreachable_notice(code, v6), notice, "code {code}, IPv6: {v6}");
    }
}

/// Source quench says nothing, to anybody.
// req: MUST-55, R5927-5
#[test]
fn source_quench_is_ignored() {
    let quench = IcmpMessage::Other { kind: 4, code: 0, rest: [0; 4], body: &[0x45; 28] };
    assert!(read_error(&quench, false).is_none());
}
