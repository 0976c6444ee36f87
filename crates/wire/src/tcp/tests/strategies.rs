//! Random headers.

use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::option;
use proptest::prelude::*;

use super::*;

pub(super) fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(a, b)| (Ipv4Addr::from_bits(a).into(), Ipv4Addr::from_bits(b).into())),
        any::<(u128, u128)>()
            .prop_map(|(a, b)| (Ipv6Addr::from_bits(a).into(), Ipv6Addr::from_bits(b).into())),
    ]
}

pub(super) fn header() -> impl Strategy<Value = TcpHeader> {
    (any::<(u16, u16, u32, u32, u16, u16, u16)>(), options()).prop_map(|(fields, options)| {
        let (src_port, dst_port, seq, ack, flags, window, urgent) = fields;
        let flags = TcpFlags::from_bits(flags);
        TcpHeader { src_port, dst_port, seq: SeqNum(seq), ack: SeqNum(ack), flags, window, urgent, options }
    })
}

fn timestamps() -> impl Strategy<Value = Timestamps> {
    any::<(u32, u32)>().prop_map(|(val, ecr)| Timestamps { val, ecr })
}

fn blocks(max: usize) -> impl Strategy<Value = SackBlocks> {
    proptest::collection::vec(any::<(u32, u32)>(), 0..=max).prop_map(|edges| {
        let mut blocks = SackBlocks::default();
        for (left, right) in edges {
            assert!(blocks.push(SackBlock { left: SeqNum(left), right: SeqNum(right) }));
        }
        blocks
    })
}

fn cookie() -> impl Strategy<Value = FastOpenCookie> {
    (any::<[u8; 16]>(), prop_oneof![Just(0usize), Just(4), Just(8)])
        .prop_map(|(octets, len)| FastOpenCookie::new(&octets[..len]).unwrap())
}

fn acc_ecn() -> impl Strategy<Value = AccEcn> {
    (any::<bool>(), proptest::collection::vec(0u32..1 << 24, 0..=3)).prop_map(|(zero, counters)| {
        AccEcn::new(if zero { AccEcnOrder::Zero } else { AccEcnOrder::One }, &counters)
    })
}

/// Sets of options that fit into 40 octets, of the kinds that go on a SYN and of those that do not.
pub(super) fn options() -> impl Strategy<Value = TcpOptions> {
    let syn = (
        option::of(any::<u16>()),
        option::of(any::<u8>()),
        any::<bool>(),
        option::of(timestamps()),
        option::of(cookie()),
    )
        .prop_map(|(mss, window_scale, sack_permitted, timestamps, fast_open)| TcpOptions {
            mss,
            window_scale,
            sack_permitted,
            timestamps,
            fast_open,
            ..TcpOptions::default()
        });
    let with_timestamps = (option::of(timestamps()), blocks(3)).prop_map(|(timestamps, sack)| TcpOptions {
        timestamps,
        sack,
        ..TcpOptions::default()
    });
    let without = (blocks(4), option::of(1u32..2_000_000)).prop_map(|(sack, timeout)| TcpOptions {
        sack,
        user_timeout: timeout.and_then(UserTimeout::from_secs),
        ..TcpOptions::default()
    });
    let counted = (timestamps(), blocks(1), acc_ecn()).prop_map(|(timestamps, sack, counts)| TcpOptions {
        timestamps: Some(timestamps),
        sack,
        acc_ecn: Some(counts),
        ..TcpOptions::default()
    });
    prop_oneof![Just(TcpOptions::default()), syn, with_timestamps, without, counted]
}
