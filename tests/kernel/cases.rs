//! The table of cases.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_netstack::TcpConfig;

use crate::world::{CaseResult, World};
use crate::{close, connect, hostile, icmp, many, reset, transfer};

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

/// What is built before the case runs.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) flavour: Flavour,
    pub(crate) family: Family,
    pub(crate) configure: fn(&mut TcpConfig),
}

type Run = Pin<Box<dyn Future<Output = CaseResult>>>;

/// One test.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) setup: Setup,
    /// After this the case has failed.
    pub(crate) deadline: Duration,
    pub(crate) run: fn(Arc<World>) -> Run,
}

/// `name: function, flavour, family, deadline in seconds [, configuration];`
macro_rules! cases {
    (@configure) => { |_| () };
    (@configure $configure:path) => { $configure };
    ($($name:literal: $run:path, $flavour:ident, $family:ident, $seconds:literal $(, $configure:path)?;)*) => {
        pub(crate) static CASES: &[Case] = &[$(Case {
            name: $name,
            setup: Setup {
                flavour: Flavour::$flavour,
                family: Family::$family,
                configure: cases!(@configure $($configure)?),
            },
            deadline: Duration::from_secs($seconds),
            run: |world| Box::pin($run(world)),
        }),*];
    };
}

cases! {
    "connect::from_kernel::v4": connect::from_kernel, MultiThread, V4, 10;
    "connect::from_kernel::v6": connect::from_kernel, CurrentThread, V6, 10;
    "connect::to_kernel::v4": connect::to_kernel, CurrentThread, V4, 10;
    "connect::to_kernel::v6": connect::to_kernel, MultiThread, V6, 10;
    "connect::refused_by_kernel::v4": connect::refused_by_kernel, MultiThread, V4, 10;
    "connect::refused_by_kernel::v6": connect::refused_by_kernel, CurrentThread, V6, 10;
    "connect::refused_by_stack::v4": connect::refused_by_stack, CurrentThread, V4, 10;
    "connect::refused_by_stack::v6": connect::refused_by_stack, MultiThread, V6, 10;
    "connect::silent::v4": connect::silent, MultiThread, V4, 15, connect::short_syn_limit;
    "connect::silent::v6": connect::silent, CurrentThread, V6, 15, connect::short_syn_limit;
    "connect::unreachable::v4": connect::unreachable, CurrentThread, V4, 15, connect::short_syn_limit;
    "connect::unreachable::v6": connect::unreachable, MultiThread, V6, 15, connect::short_syn_limit;
    "close::kernel_first::v4": close::kernel_first, MultiThread, V4, 10;
    "close::kernel_first::v6": close::kernel_first, CurrentThread, V6, 10;
    "close::stack_first::v4": close::stack_first, CurrentThread, V4, 10;
    "close::stack_first::v6": close::stack_first, MultiThread, V6, 10;
    "close::simultaneous::v4": close::simultaneous, MultiThread, V4, 10;
    "close::simultaneous::v6": close::simultaneous, CurrentThread, V6, 10;
    "close::half_close_by_kernel::v4": close::half_close_by_kernel, MultiThread, V4, 15;
    "close::half_close_by_kernel::v6": close::half_close_by_kernel, CurrentThread, V6, 15;
    "close::half_close_by_stack::v4": close::half_close_by_stack, CurrentThread, V4, 15;
    "close::half_close_by_stack::v6": close::half_close_by_stack, MultiThread, V6, 15;
    "reset::by_linger::v4": reset::by_linger, MultiThread, V4, 10;
    "reset::by_linger::v6": reset::by_linger, CurrentThread, V6, 10;
    "reset::by_kill::v4": reset::by_kill, CurrentThread, V4, 10;
    "reset::by_kill::v6": reset::by_kill, MultiThread, V6, 10;
    "icmp::ping::v4": icmp::ping, MultiThread, V4, 10;
    "icmp::ping::v6": icmp::ping, CurrentThread, V6, 10;
    "icmp::udp_to_closed_port::v4": icmp::udp_to_closed_port, CurrentThread, V4, 10;
    "icmp::udp_to_closed_port::v6": icmp::udp_to_closed_port, MultiThread, V6, 10;
    "many::sequential::v4": many::sequential, MultiThread, V4, 30;
    "many::sequential::v6": many::sequential, CurrentThread, V6, 30;
    "many::concurrent::v4": many::concurrent, CurrentThread, V4, 20;
    "many::concurrent::v6": many::concurrent, MultiThread, V6, 20;
    "transfer::full::v4": transfer::full, MultiThread, V4, 90;
    "transfer::short::v4": transfer::short, CurrentThread, V4, 45;
    "transfer::short::v6": transfer::short, CurrentThread, V6, 45;
    "transfer::tiny_full::v4": transfer::tiny_full, MultiThread, V4, 120, transfer::tiny_buffers;
    "transfer::tiny_short::v6": transfer::tiny_short, CurrentThread, V6, 60, transfer::tiny_buffers;
    "hostile::garbage::v4": hostile::garbage, MultiThread, V4, 45;
    "hostile::garbage::v6": hostile::garbage, CurrentThread, V6, 45;
    "hostile::link_down::v4": hostile::link_down, MultiThread, V4, 45;
    "hostile::device_removed::v4": hostile::device_removed, MultiThread, V4, 10;
    "hostile::device_removed::v6": hostile::device_removed, CurrentThread, V6, 10;
}
