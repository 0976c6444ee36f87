//! Who is compared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;
use netstack_bench_services::ServerArgs;

/// A server under test.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Candidate {
    /// The kernel's TCP over a veth pair with super-segments: the yardstick.
    Kernel,
    /// The same with packets of the MTU.
    KernelPlain,
    /// This stack, its TUN device with offload.
    Offload,
    /// This stack, its TUN device without.
    Plain,
    /// The same, and what it receives is put together in software.
    PlainCoalescing,
    /// The crate ipstack.
    Ipstack,
    /// The crate netstack-smoltcp.
    NetstackSmoltcp,
    /// The same with what offload it can have: its TUN crate receives super-segments, and cuts them.
    NetstackSmoltcpOffload,
    /// The crate smoltcp, without anything around it.
    Smoltcp,
    /// The device path of `Offload` with the least TCP that moves data.
    CeilingOffload,
    /// The device path of `Plain` with the least TCP that moves data.
    CeilingPlain,
    /// As `KernelPlain`, on BBR: compared by the command `lossy` alone, as the next one is.
    #[value(skip)]
    KernelBbr,
    /// As `Plain`, on BBR.
    #[value(skip)]
    PlainBbr,
}

/// How a server is attached to the client's namespace.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Attach {
    /// It makes a TUN device.
    Tun,
    /// It has a namespace of its own behind a veth pair that passes super-segments.
    Veth,
    /// The same, and no super-segments.
    VethPlain,
}

/// Where the programs are that are not this one.
pub(super) type Programs = BTreeMap<Candidate, PathBuf>;

/// A server's program with its arguments.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) attach: Attach,
}

impl Candidate {
    /// All that are compared side by side, in the order of the table.
    pub(super) const ALL: [Self; 11] = [
        Self::Kernel,
        Self::KernelPlain,
        Self::Offload,
        Self::Plain,
        Self::PlainCoalescing,
        Self::Ipstack,
        Self::NetstackSmoltcp,
        Self::NetstackSmoltcpOffload,
        Self::Smoltcp,
        Self::CeilingOffload,
        Self::CeilingPlain,
    ];

    /// As in tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel, GSO",
            Self::KernelPlain => "kernel, no GSO",
            Self::Offload => "this stack, offload",
            Self::Plain => "this stack, plain",
            Self::PlainCoalescing => "this stack, plain, coalescing",
            Self::Ipstack => "ipstack",
            Self::NetstackSmoltcp => "netstack-smoltcp",
            Self::NetstackSmoltcpOffload => "netstack-smoltcp, offload",
            Self::Smoltcp => "smoltcp",
            Self::CeilingOffload => "ceiling, offload",
            Self::CeilingPlain => "ceiling, plain",
            Self::KernelBbr => "kernel, BBR",
            Self::PlainBbr => "this stack, BBR",
        }
    }

    /// The package of the peers' workspace, for those that are in it.
    pub(super) const fn package(self) -> Option<&'static str> {
        match self {
            Self::Ipstack => Some("peer-ipstack"),
            Self::NetstackSmoltcp | Self::NetstackSmoltcpOffload => Some("peer-netstack-smoltcp"),
            Self::Smoltcp => Some("peer-smoltcp"),
            _ => None,
        }
    }

    pub(super) const fn is_ceiling(self) -> bool {
        matches!(self, Self::CeilingOffload | Self::CeilingPlain)
    }

    /// Whether packets of the MTU pass: what a path with loss needs, where a super-segment would be lost whole.
    pub(super) const fn is_plain(self) -> bool {
        !matches!(self, Self::Kernel | Self::Offload | Self::NetstackSmoltcpOffload | Self::CeilingOffload)
    }

    /// Whether it looks at all its sockets at each turn and allocates their buffers at once: with 10,000 connections
    /// it gets small buffers and echoes little.
    pub(super) const fn scans(self) -> bool {
        matches!(self, Self::NetstackSmoltcp | Self::NetstackSmoltcpOffload | Self::Smoltcp)
    }

    /// The command that starts it; `None` if its program could not be built.
    pub(super) fn launch(self, own: &std::path::Path, peers: &Programs, args: &ServerArgs) -> Option<Launch> {
        let (attach, role): (_, &[&str]) = match self {
            Self::Kernel => (Attach::Veth, &["serve-kernel"]),
            Self::KernelPlain => (Attach::VethPlain, &["serve-kernel", "--plain"]),
            Self::Offload => (Attach::Tun, &["serve-stack"]),
            Self::Plain => (Attach::Tun, &["serve-stack", "--plain"]),
            Self::PlainCoalescing => (Attach::Tun, &["serve-stack", "--plain", "--coalescing"]),
            Self::CeilingOffload => (Attach::Tun, &["serve-ceiling"]),
            Self::CeilingPlain => (Attach::Tun, &["serve-ceiling", "--plain"]),
            Self::NetstackSmoltcpOffload => (Attach::Tun, &["--offload"]),
            Self::KernelBbr => (Attach::VethPlain, &["serve-kernel", "--plain", "--congestion", "bbr"]),
            Self::PlainBbr => (Attach::Tun, &["serve-stack", "--plain", "--congestion", "bbr"]),
            Self::Ipstack | Self::NetstackSmoltcp | Self::Smoltcp => (Attach::Tun, &[]),
        };
        let program = if self.package().is_some() { peers.get(&self)?.clone() } else { own.to_owned() };
        let mut arguments: Vec<_> = role.iter().map(|&word| word.to_owned()).collect();
        let service = args.service.to_possible_value().expect("no service is hidden");
        for (name, value) in [
            ("device", args.device.clone()),
            ("address", args.address.to_string()),
            ("service", service.get_name().to_owned()),
            ("connections", args.connections.to_string()),
            ("workers", args.workers.to_string()),
            ("buffer", args.buffer.to_string()),
        ] {
            arguments.extend([format!("--{name}"), value]);
        }
        Some(Launch { program, arguments, attach })
    }
}

#[cfg(test)]
mod tests;
