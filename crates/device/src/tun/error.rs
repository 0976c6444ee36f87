//! Why a TUN device could not be opened, and what to do.

use std::fmt;
use std::io;

/// Why a TUN device could not be opened. Its text names the cause and the cure.
#[derive(Debug)]
#[non_exhaustive]
pub enum TunError {
    /// The name cannot be that of a device.
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The configuration contradicts itself or a standard.
    BadConfig(String),
    /// There is no `/dev/net/tun`.
    NoNode,
    /// `/dev/net/tun` may not be opened.
    NodePermission,
    /// The device may not be made, or not be used by this user.
    Permission {
        /// The name.
        name: String,
        /// Whether it was there before.
        exists: bool,
    },
    /// Another program uses the device.
    Busy(String),
    /// The device exists and is something else.
    NotTun {
        /// The name.
        name: String,
        /// What it is.
        what: String,
    },
    /// Another program uses a queue of the device in a mode that this one cannot read.
    OtherMode(String),
    /// [`TunConfig::queues`](super::TunConfig::queues) asks for several, and the device was made for one.
    OneQueue(String),
    /// [`OpenMode::Create`](super::OpenMode::Create), and the device exists.
    Exists(String),
    /// [`OpenMode::Attach`](super::OpenMode::Attach), and the device does not exist.
    Missing(String),
    /// The kernel refused a part of the configuration.
    Configure {
        /// What was to be done.
        step: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// [`OffloadMode::Require`](super::OffloadMode::Require), and there is none to be had.
    NoOffload {
        /// The name.
        name: String,
        /// Why not.
        why: String,
    },
    /// The kernel refused something that should work.
    Kernel {
        /// What was to be done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl fmt::Display for TunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name, why } => {
                write!(f, "{name:?} cannot be the name of a TUN device: {why}. Pick one like tun0")
            }
            Self::BadConfig(text) => write!(f, "the TUN device cannot be configured like this: {text}"),
            Self::NoNode => f.write_str(
                "there is no /dev/net/tun here. Load the driver with `sudo modprobe tun`; in a container, \
                 start it with `--device /dev/net/tun`",
            ),
            Self::NodePermission => f.write_str(
                "opening /dev/net/tun is not permitted. Run as root, or let every user open it with \
                 `sudo chmod 0666 /dev/net/tun` (a device still needs CAP_NET_ADMIN in its network namespace)",
            ),
            Self::Permission { name, exists: true } => write!(
                f,
                "using the TUN device {name} is not permitted: it belongs to another user. Run as its owner, as \
                 root, or make it anew with `sudo ip tuntap add dev {name} mode tun user $USER`",
            ),
            Self::Permission { name, exists: false } => write!(
                f,
                "creating the TUN device {name} needs CAP_NET_ADMIN in this network namespace. Run as root, or \
                 make it beforehand with `sudo ip tuntap add dev {name} mode tun user $USER`",
            ),
            Self::Busy(name) => write!(
                f,
                "the TUN device {name} is in use by another program. Stop that program, or use another name",
            ),
            Self::NotTun { name, what } => {
                write!(f, "{name} exists and is {what}, not a TUN device. Use another name")
            }
            Self::OtherMode(name) => write!(
                f,
                "another program uses the TUN device {name} with packet headers (IFF_VNET_HDR or without \
                 IFF_NO_PI). Stop that program, or use another name",
            ),
            Self::OneQueue(name) => write!(
                f,
                "the TUN device {name} was made without multi_queue and has one queue. Let it be created here, make \
                 it with `sudo ip tuntap add dev {name} mode tun multi_queue user $USER`, or ask for one queue",
            ),
            Self::Exists(name) => write!(
                f,
                "a device named {name} exists already. Use another name, attach to it instead of creating it, or \
                 remove it with `sudo ip link del {name}`",
            ),
            Self::Missing(name) => write!(
                f,
                "there is no device named {name}. Make it with `sudo ip tuntap add dev {name} mode tun user $USER`",
            ),
            Self::Configure { step, source } => {
                write!(f, "the kernel did not let the TUN device be configured: {step}: {source}")?;
                match source.raw_os_error() {
                    Some(nix::libc::EPERM) => f.write_str(". Run as root or with CAP_NET_ADMIN"),
                    // What IPv6 answers where it is turned off.
                    Some(nix::libc::EACCES | nix::libc::EOPNOTSUPP) => f.write_str(
                        ". Is IPv6 turned off? Turn it on with `sudo sysctl net.ipv6.conf.all.disable_ipv6=0`, \
                         or leave IPv6 addresses away",
                    ),
                    _ => Ok(()),
                }
            }
            Self::NoOffload { name, why } => write!(
                f,
                "the TUN device {name} cannot offload: {why}. Let it be created here, make it with \
                 `sudo ip tuntap add dev {name} mode tun multi_queue user $USER`, or do without offload",
            ),
            Self::Kernel { step, source } => write!(f, "{step} failed: {source}"),
        }
    }
}

impl std::error::Error for TunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Configure { source, .. } | Self::Kernel { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<TunError> for io::Error {
    fn from(error: TunError) -> Self {
        let kind = match &error {
            TunError::BadName { .. } | TunError::BadConfig(_) | TunError::NotTun { .. } => {
                io::ErrorKind::InvalidInput
            }
            TunError::NoNode | TunError::Missing(_) => io::ErrorKind::NotFound,
            TunError::NodePermission | TunError::Permission { .. } => io::ErrorKind::PermissionDenied,
            TunError::Busy(_) | TunError::OtherMode(_) => io::ErrorKind::ResourceBusy,
            TunError::NoOffload { .. } | TunError::OneQueue(_) => io::ErrorKind::Unsupported,
            TunError::Exists(_) => io::ErrorKind::AlreadyExists,
            TunError::Configure { source, .. } | TunError::Kernel { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}
