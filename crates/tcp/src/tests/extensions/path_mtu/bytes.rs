//! Whatever the path takes, and whenever that changes: the bytes arrive as they were written.

use proptest::prelude::*;

use super::*;
use crate::testing::Fate;

/// An ACK with all the options that a header takes. Over what takes less, one with many blocks gets lost for good: it bears no
/// text, so that no router's report about it is believed (R5927-4).
const LEAST_PATH: u16 = 80;

#[derive(Debug, Clone)]
struct Change {
    after: u64,
    mtu: u16,
    reports: bool,
    /// What other connections have learned.
    shared: Option<u16>,
    /// What the device takes from then on.
    link: Option<u16>,
}

fn change() -> impl Strategy<Value = Change> {
    let mtu = prop_oneof![LEAST_PATH..1600, 1200..1501_u16];
    let shared = prop::option::weighted(0.2, 68..1600_u16);
    let link = prop::option::weighted(0.3, 68..1600_u16);
    (0..400_u64, mtu, any::<bool>(), shared, link).prop_map(|(after, mtu, reports, shared, link)| {
        // Packets that vanish below 576 octets without a word are no path that TCP can find.
        let mtu = if reports { mtu } else { mtu.max(576) };
        Change { after, mtu, reports, shared, link }
    })
}

proptest! {
    #![proptest_config(cases(60))]

    /// Any path MTU and any moment of change, of the path or of the link, with losses, with SACK or without. What leaves fits
    /// the link.
    // req: R1191-2, R4821-1, R4821-2, R8201-1
    #[test]
    fn any_path_at_any_time_keeps_the_bytes(
        changes in prop::collection::vec(change(), 1..6),
        octets in 1..300_000_u32,
        loss in prop::option::of(20..200_usize),
        sack in any::<bool>(),
        timestamps in any::<bool>(),
        bbr in any::<bool>(),
    ) {
        let mut config = TcpConfig::new();
        config.sack(sack).timestamps(timestamps).user_timeout(None).min_path_mtu(68);
        config.congestion(if bbr { CongestionControl::Bbr } else { CongestionControl::Cubic });
        let mut pair = sending(&config, octets);
        pair.write(Side::B, &pattern(1, 50_000));
        if let Some(nth) = loss {
            pair.script(move |flight| if flight.index % nth == 3 { Fate::Drop } else { Fate::Deliver });
        }
        let (mut link_mtu, mut from) = (1500, pair.log.len());
        for Change { after, mtu, reports, shared, link } in changes {
            pair.run_for(ms(after));
            let sent = packets(&pair, from);
            prop_assert!(sent.iter().all(|size| *size <= u32::from(link_mtu)), "{link_mtu}: {sent:?}");
            from = pair.log.len();
            if let Some(link) = link {
                link_mtu = link;
                pair.command(Side::A, |connection, _| connection.set_link_mtu(link));
            }
            pair.narrow(mtu, reports.then_some(mtu));
            if let Some(shared) = shared {
                pair.command(Side::A, |connection, now| connection.set_path_mtu(now, shared));
            }
        }
        finish(&mut pair, octets, Duration::from_secs(3_000));
        let back = pair.run_until(Duration::from_secs(3_000), |pair| pair.received(Side::A).len() == 49_999);
        prop_assert!(back && pair.received(Side::A) == pattern(1, 50_000), "and the other way");
    }
}
