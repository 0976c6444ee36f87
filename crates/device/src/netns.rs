//! A private network namespace for this program, with root rights in it and no way out.
//!
//! Demos and tests that need a TUN device run in one, so that they touch nothing of the machine and, where user
//! namespaces are allowed, need no root.
//!
//! # Where to call it
//!
//! First thing in a plain `fn main`, before any thread and before the Tokio runtime: a user namespace cannot be
//! entered by a process with threads, and a network namespace would be entered by the calling thread alone.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     netstack_device::netns::enter_private()?;
//!     let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//!     runtime.block_on(async { /* open a TUN device .. */ });
//!     Ok(())
//! }
//! ```
//!
//! The test harness of Rust runs tests on threads. Give such a test target `harness = false` and a `main` that
//! begins like the one above; or let the test run its own binary again as a child (`std::env::current_exe()` with
//! an environment variable that `main` looks at first) and have the child enter.
//!
//! A second shell joins a running program with `nsenter -U -n --preserve-credentials -t PID` (without `-U
//! --preserve-credentials` where root started it).

use std::fmt;
use std::fs;
use std::io;

use nix::libc;
use nix::sched::{CloneFlags, unshare};

use crate::tun::Netlink;

/// What kept a private namespace from being made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The process has threads already.
    Threads,
    /// A limit on the number of namespaces, often zero, is reached.
    Limit,
    /// This kernel lets only root make user namespaces (`kernel.unprivileged_userns_clone`, Debian and kin).
    OnlyRoot,
    /// AppArmor takes the rights away from whoever makes a user namespace (Ubuntu 23.10 and later).
    AppArmor,
    /// A container's filter of system calls, or SELinux, forbids it.
    Sandbox,
    /// The kernel was built without namespaces.
    Unsupported,
    /// Something else.
    Other,
}

impl Obstacle {
    /// What it is and the command that helps.
    const fn text(self) -> &'static str {
        match self {
            Self::Threads => {
                "the process has more than one thread. Call this first in main, before the runtime is built"
            }
            Self::Limit => {
                "the limit on user or network namespaces is reached. Raise it with \
                 `sudo sysctl user.max_user_namespaces=65536 user.max_net_namespaces=65536`"
            }
            Self::OnlyRoot => {
                "this kernel lets only root make user namespaces. Run as root, or allow it with \
                 `sudo sysctl kernel.unprivileged_userns_clone=1`"
            }
            Self::AppArmor => {
                "AppArmor takes all rights away in a user namespace of an ordinary user. Run as root, or allow it \
                 with `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
            }
            Self::Sandbox => {
                "a container's filter of system calls or a security module forbids it. In a container, start it \
                 with `docker run --privileged --device /dev/net/tun ...`; elsewhere run as root with `sudo`"
            }
            Self::Unsupported => {
                "this kernel has no user or network namespaces. Use a kernel with CONFIG_USER_NS and CONFIG_NET_NS; \
                 `zgrep -E 'CONFIG_(USER|NET)_NS' /proc/config.gz` shows them"
            }
            Self::Other => "the kernel refused. Run as root with `sudo`",
        }
    }
}

/// Why no private namespace could be made; its text says what to do.
#[derive(Debug)]
pub struct NetnsError {
    obstacle: Obstacle,
    step: &'static str,
    source: io::Error,
}

impl NetnsError {
    /// What stood in the way.
    pub fn obstacle(&self) -> Obstacle {
        self.obstacle
    }

    fn new(step: &'static str, source: io::Error) -> Self {
        let obstacle = diagnose(source.raw_os_error().unwrap_or(0), sysctl);
        Self { obstacle, step, source }
    }
}

impl fmt::Display for NetnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { obstacle, step, source } = self;
        write!(f, "cannot make a private network namespace: {} ({step}: {source})", obstacle.text())
    }
}

impl std::error::Error for NetnsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<NetnsError> for io::Error {
    fn from(error: NetnsError) -> Self {
        let kind = match error.obstacle {
            Obstacle::Unsupported => io::ErrorKind::Unsupported,
            Obstacle::Threads => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::PermissionDenied,
        };
        Self::new(kind, error)
    }
}

/// Moves this process into a network namespace of its own, with the loopback device up; when it is not root, into a
/// user namespace too, as root of which it appears.
///
/// # Errors
/// See [`Obstacle`]. After an error the process may be in a namespace that is of no use: end it, or go on without
/// a network.
pub fn enter_private() -> Result<(), NetnsError> {
    if fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1) {
        let source = io::Error::from_raw_os_error(libc::EINVAL);
        return Err(NetnsError { obstacle: Obstacle::Threads, step: "counting threads", source });
    }
    // Root in a container may lack the right that root has elsewhere; a user namespace may still be allowed.
    let as_root = nix::unistd::geteuid().is_root() && unshare(CloneFlags::CLONE_NEWNET).is_ok();
    if !as_root {
        enter_as_user()?;
    }
    loopback_up().map_err(|e| NetnsError::new("bringing the loopback device up", e))
}

fn enter_as_user() -> Result<(), NetnsError> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|e| NetnsError::new("unshare of user and network", e.into()))?;
    for (file, text) in [
        // Without this the kernel takes no gid_map from an ordinary user.
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(file, text).map_err(|e| NetnsError::new(file, e))?;
    }
    Ok(())
}

/// On a runtime without threads, gone before the caller builds its own.
fn loopback_up() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async { Netlink::new()?.set_up("lo").await })
}

fn sysctl(name: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok().map(|value| value.trim().to_owned())
}

/// Which obstacle an error stands for, on a machine with these settings.
fn diagnose(errno: i32, sysctl: impl Fn(&str) -> Option<String>) -> Obstacle {
    let is = |name, value: &str| sysctl(name).as_deref() == Some(value);
    match errno {
        libc::ENOSPC | libc::EUSERS => Obstacle::Limit,
        libc::ENOSYS | libc::EINVAL => Obstacle::Unsupported,
        libc::EPERM | libc::EACCES => {
            if is("kernel/unprivileged_userns_clone", "0") {
                Obstacle::OnlyRoot
            } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
                Obstacle::AppArmor
            } else if is("user/max_user_namespaces", "0") {
                Obstacle::Limit
            } else {
                Obstacle::Sandbox
            }
        }
        _ => Obstacle::Other,
    }
}

#[cfg(test)]
mod tests;
