//! The table of cases.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_netstack::TcpConfig;

use crate::world::{CaseResult, World};
use crate::{
    change, close, connect, cookies, deferred, ecn, fastopen, hostile, icmp, lossy, many, narrow, options,
    postgres, reset, soak, transfer, udp,
};

/// The kind of Tokio runtime that the stack runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flavour {
    CurrentThread,
    MultiThread,
}

/// The addresses that a case uses; the stack has both at all times.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// The stack's address.
    pub(crate) fn stack_ip(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(192, 0, 2, 2).into(),
            Self::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2).into(),
        }
    }

    /// The kernel's address on the device.
    pub(crate) fn kernel_ip(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
            Self::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        }
    }
}

/// How frames pass the TUN device.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Link {
    /// One packet of at most the MTU at a time.
    Plain,
    /// The same, and what comes in is put together in software.
    Coalescing,
    /// Super-segments and unfinished checksums, where this kernel allows them.
    Offload,
}

/// What is built before the case runs.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) flavour: Flavour,
    pub(crate) family: Family,
    pub(crate) link: Link,
    /// Queues of the TUN device.
    pub(crate) queues: usize,
    pub(crate) mtu: usize,
    pub(crate) configure: fn(&mut TcpConfig),
    /// The stack takes every address, and the kernel sends it [`crate::world::FOREIGN_V4`] and its like.
    pub(crate) any_address: bool,
}

type Run = Pin<Box<dyn Future<Output = CaseResult>>>;

/// One test.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) setup: Setup,
    /// Seconds for what is always the same; see [`Case::deadline`].
    seconds: u64,
    pub(crate) run: fn(Arc<World>) -> Run,
}

impl Case {
    /// After this the case has failed.
    pub(crate) fn deadline(&self) -> Duration {
        let asked = if self.name.starts_with("soak::") { soak::extra() } else { Duration::ZERO };
        Duration::from_secs(self.seconds) + asked
    }
}

/// `name: function, flavour, family, link, deadline in seconds [, configuration] [=> queues] [| mtu] [where any_address];`
macro_rules! cases {
    (@configure) => { |_| () };
    (@configure $configure:path) => { $configure };
    (@any) => { false };
    (@any any_address) => { true };
    (@queues) => { 1 };
    (@queues $queues:literal) => { $queues };
    (@mtu) => { 1500 };
    (@mtu $mtu:literal) => { $mtu };
    ($($name:literal: $run:path, $flavour:ident, $family:ident, $link:ident, $seconds:literal $(, $configure:path)? $(=> $queues:literal)? $(| $mtu:literal)? $(where $any:ident)?;)*) => {
        pub(crate) static CASES: &[Case] = &[$(Case {
            name: $name,
            setup: Setup {
                flavour: Flavour::$flavour,
                family: Family::$family,
                link: Link::$link,
                queues: cases!(@queues $($queues)?),
                mtu: cases!(@mtu $($mtu)?),
                configure: cases!(@configure $($configure)?),
                any_address: cases!(@any $($any)?),
            },
            seconds: $seconds,
            run: |world| Box::pin($run(world)),
        }),*];
    };
}

cases! {
    "connect::from_kernel::v4": connect::from_kernel, MultiThread, V4, Plain, 10;
    "connect::from_kernel::v6": connect::from_kernel, CurrentThread, V6, Offload, 10;
    "connect::to_kernel::v4": connect::to_kernel, CurrentThread, V4, Plain, 10;
    "connect::to_kernel::v6": connect::to_kernel, MultiThread, V6, Offload, 10;
    "connect::refused_by_kernel::v4": connect::refused_by_kernel, MultiThread, V4, Plain, 10;
    "connect::refused_by_kernel::v6": connect::refused_by_kernel, CurrentThread, V6, Offload, 10;
    "connect::refused_by_stack::v4": connect::refused_by_stack, CurrentThread, V4, Plain, 10;
    "connect::refused_by_stack::v6": connect::refused_by_stack, MultiThread, V6, Offload, 10;
    "connect::silent::v4": connect::silent, MultiThread, V4, Plain, 15, connect::short_syn_limit;
    "connect::silent::v6": connect::silent, CurrentThread, V6, Offload, 15, connect::short_syn_limit;
    "connect::unreachable::v4": connect::unreachable, CurrentThread, V4, Plain, 15, connect::short_syn_limit;
    "connect::unreachable::v6": connect::unreachable, MultiThread, V6, Offload, 15, connect::short_syn_limit;
    "deferred::decisions::v4": deferred::decisions, MultiThread, V4, Plain, 20;
    "deferred::decisions::v6": deferred::decisions, CurrentThread, V6, Offload, 20;
    "deferred::any_address::v4": deferred::any_address, CurrentThread, V4, Offload, 20 where any_address;
    "deferred::any_address::v6": deferred::any_address, MultiThread, V6, Plain, 20 where any_address;
    "options::of_a_socket::v4": options::of_a_socket, CurrentThread, V4, Plain, 10;
    "options::of_a_socket::v6": options::of_a_socket, MultiThread, V6, Plain, 10;
    "fastopen::from_kernel::v4": fastopen::from_kernel, MultiThread, V4, Plain, 20;
    "fastopen::from_kernel::v6": fastopen::from_kernel, CurrentThread, V6, Offload, 20;
    "fastopen::to_kernel::v4": fastopen::to_kernel, CurrentThread, V4, Offload, 20;
    "fastopen::to_kernel::v6": fastopen::to_kernel, MultiThread, V6, Plain, 20;
    "ecn::both_roles::v4": ecn::both_roles, CurrentThread, V4, Plain, 20, ecn::asking;
    "ecn::both_roles::v6": ecn::both_roles, MultiThread, V6, Offload, 20, ecn::asking;
    "ecn::both_roles::accurate": ecn::both_roles, MultiThread, V4, Offload, 20, ecn::accurate;
    "ecn::marked::v6": ecn::marked, MultiThread, V6, Offload, 20, ecn::asking;
    "ecn::accurate_both_roles::v4": ecn::accurate_both_roles, CurrentThread, V4, Plain, 20, ecn::accurate;
    "ecn::accurate_both_roles::v6": ecn::accurate_both_roles, MultiThread, V6, Offload, 20, ecn::accurate;
    "close::kernel_first::v4": close::kernel_first, MultiThread, V4, Plain, 10;
    "close::kernel_first::v6": close::kernel_first, CurrentThread, V6, Offload, 10;
    "close::stack_first::v4": close::stack_first, CurrentThread, V4, Plain, 10;
    "close::stack_first::v6": close::stack_first, MultiThread, V6, Offload, 10;
    "close::simultaneous::v4": close::simultaneous, MultiThread, V4, Plain, 10;
    "close::simultaneous::v6": close::simultaneous, CurrentThread, V6, Offload, 10;
    "close::half_close_by_kernel::v4": close::half_close_by_kernel, MultiThread, V4, Plain, 15;
    "close::half_close_by_kernel::v6": close::half_close_by_kernel, CurrentThread, V6, Offload, 15;
    "close::half_close_by_stack::v4": close::half_close_by_stack, CurrentThread, V4, Plain, 15;
    "close::half_close_by_stack::v6": close::half_close_by_stack, MultiThread, V6, Offload, 15;
    "reset::by_linger::v4": reset::by_linger, MultiThread, V4, Plain, 10;
    "reset::by_linger::v6": reset::by_linger, CurrentThread, V6, Offload, 10;
    "reset::by_kill::v4": reset::by_kill, CurrentThread, V4, Plain, 10;
    "reset::by_kill::v6": reset::by_kill, MultiThread, V6, Offload, 10;
    "icmp::ping::v4": icmp::ping, MultiThread, V4, Plain, 10;
    "icmp::ping::v6": icmp::ping, CurrentThread, V6, Offload, 10;
    "icmp::long_ping::v4": icmp::long_ping, CurrentThread, V4, Plain, 20;
    "icmp::long_ping::v6": icmp::long_ping, MultiThread, V6, Offload, 20;
    "icmp::long_ping::v4::1280": icmp::long_ping, MultiThread, V4, Coalescing, 20 | 1280;
    "icmp::long_ping::v6::1280": icmp::long_ping, CurrentThread, V6, Plain, 20 | 1280;
    "icmp::ping_kernel::v4": icmp::ping_kernel, CurrentThread, V4, Plain, 15;
    "icmp::ping_kernel::v6": icmp::ping_kernel, MultiThread, V6, Offload, 15;
    "icmp::udp_to_closed_port::v4": icmp::udp_to_closed_port, CurrentThread, V4, Plain, 10;
    "icmp::udp_to_closed_port::v6": icmp::udp_to_closed_port, MultiThread, V6, Offload, 10;
    "udp::echo::v4": udp::echo, CurrentThread, V4, Plain, 10;
    "udp::echo::v4::offload": udp::echo, MultiThread, V4, Offload, 10;
    "udp::echo::v6": udp::echo, MultiThread, V6, Offload, 10;
    "udp::echo_in_fragments::v4": udp::echo_in_fragments, MultiThread, V4, Plain, 15;
    "udp::echo_in_fragments::v4::offload": udp::echo_in_fragments, CurrentThread, V4, Offload, 15;
    "udp::echo_in_fragments::v6": udp::echo_in_fragments, CurrentThread, V6, Offload, 15;
    "udp::refused::v4": udp::refused, MultiThread, V4, Plain, 10;
    "udp::refused::v6": udp::refused, CurrentThread, V6, Offload, 10;
    "udp::batch::v4": udp::batch, CurrentThread, V4, Plain, 10;
    "udp::batch::v4::offload": udp::batch, MultiThread, V4, Offload, 10;
    "udp::batch::v6": udp::batch, MultiThread, V6, Offload, 10;
    "udp::kernel_batch::v4": udp::kernel_batch, MultiThread, V4, Plain, 10;
    "udp::kernel_batch::v4::offload": udp::kernel_batch, CurrentThread, V4, Offload, 10;
    "udp::kernel_batch::v6": udp::kernel_batch, CurrentThread, V6, Offload, 10;
    "many::sequential::v4": many::sequential, MultiThread, V4, Plain, 30;
    "many::sequential::v6": many::sequential, CurrentThread, V6, Offload, 30;
    "many::concurrent::v4": many::concurrent, CurrentThread, V4, Plain, 20;
    "many::concurrent::v6": many::concurrent, MultiThread, V6, Offload, 20;
    "many::queues::v4": many::queues, MultiThread, V4, Offload, 60 => 2;
    "many::queues::v6": many::queues, MultiThread, V6, Plain, 60 => 2;
    "transfer::full::v4::plain": transfer::full, MultiThread, V4, Plain, 90;
    "transfer::full::v6::offload": transfer::full, MultiThread, V6, Offload, 90;
    "transfer::short::v4::plain": transfer::short, CurrentThread, V4, Plain, 45;
    "transfer::short::v4::offload": transfer::short, CurrentThread, V4, Offload, 45;
    "transfer::short::v6::plain": transfer::short, CurrentThread, V6, Plain, 45;
    "transfer::short::v4::coalescing": transfer::short, MultiThread, V4, Coalescing, 45;
    "transfer::coalesced::v4": transfer::coalesced, CurrentThread, V4, Coalescing, 45;
    "transfer::coalesced::v6": transfer::coalesced, MultiThread, V6, Coalescing, 45;
    "transfer::coalesced_with_ecn::v4": transfer::coalesced_with_ecn, MultiThread, V4, Coalescing, 45, ecn::accurate;
    "transfer::tiny_full::v4": transfer::tiny_full, MultiThread, V4, Plain, 120, transfer::tiny_buffers;
    "transfer::tiny_short::v6": transfer::tiny_short, CurrentThread, V6, Offload, 60, transfer::tiny_buffers;
    "lossy::both_directions::cubic": lossy::both_directions, MultiThread, V4, Plain, 60;
    "lossy::both_directions::bbr": lossy::both_directions, CurrentThread, V4, Plain, 60, lossy::bbr;
    "postgres::queries::v4": postgres::queries, MultiThread, V4, Offload, 60;
    "postgres::queries::v6": postgres::queries, CurrentThread, V6, Plain, 60;
    "narrow::reported::v4::plain": narrow::reported, MultiThread, V4, Plain, 30;
    "narrow::reported::v4::offload": narrow::reported, CurrentThread, V4, Offload, 30;
    "narrow::reported::v6::plain": narrow::reported, CurrentThread, V6, Plain, 30;
    "narrow::reported::v6::offload": narrow::reported, MultiThread, V6, Offload, 30;
    "narrow::datagrams::v4::plain": narrow::datagrams, CurrentThread, V4, Plain, 30;
    "narrow::datagrams::v4::offload": narrow::datagrams, MultiThread, V4, Offload, 30;
    "narrow::datagrams::v6::plain": narrow::datagrams, MultiThread, V6, Plain, 30;
    "narrow::datagrams::v6::offload": narrow::datagrams, CurrentThread, V6, Offload, 30;
    "narrow::silent::v4": narrow::silent, MultiThread, V4, Plain, 60;
    "narrow::silent::v6": narrow::silent, CurrentThread, V6, Plain, 60;
    "cookies::with_timestamps::v4": cookies::with_timestamps, MultiThread, V4, Plain, 45;
    "cookies::with_timestamps::v6": cookies::with_timestamps, CurrentThread, V6, Offload, 45;
    "cookies::without_timestamps::v4": cookies::without_timestamps, CurrentThread, V4, Plain, 45;
    "hostile::garbage::v4": hostile::garbage, MultiThread, V4, Plain, 45;
    "hostile::garbage::v6": hostile::garbage, CurrentThread, V6, Offload, 45;
    "hostile::link_down::v4::plain": hostile::link_down, MultiThread, V4, Plain, 45;
    "hostile::link_down::v4::offload": hostile::link_down, CurrentThread, V4, Offload, 45;
    "change::device_replaced::v4": change::device_replaced, MultiThread, V4, Plain, 45;
    "change::device_replaced::v6": change::device_replaced, CurrentThread, V6, Offload, 45;
    "change::mtu::v4": change::mtu, CurrentThread, V4, Offload, 45;
    "change::mtu::v6": change::mtu, MultiThread, V6, Plain, 45;
    "soak::churn::offload": soak::churn, MultiThread, V4, Offload, 260, soak::settings;
    "soak::churn::plain": soak::churn, CurrentThread, V6, Plain, 260, soak::settings;
    "hostile::device_removed::v4": hostile::device_removed, MultiThread, V4, Plain, 10;
    "hostile::device_removed::v6": hostile::device_removed, CurrentThread, V6, Offload, 10;
}
