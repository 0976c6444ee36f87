//! A user-space TCP/IP stack for Tokio: [`TcpStream`] and [`TcpListener`] that feel like `tokio::net`, over any packet
//! device.
//!
//! The kernel's sockets are not involved: frames come from a [`device`], a [`Stack`] speaks IPv4, IPv6, ICMP and TCP
//! on it, and every connection is a task of its own.
//!
//! ```
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio_netstack::{Stack, TcpListener, TcpStream, device};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let caps = device::Capabilities::ip(1500);
//! let (left, right) = device::memory::pair(caps.clone(), caps);
//! let server = Stack::builder().device(left).address("192.0.2.1/24".parse()?).build()?;
//! let client = Stack::builder().device(right).address("192.0.2.2/24".parse()?).build()?;
//!
//! let listener = TcpListener::bind(&server, ([192, 0, 2, 1], 7)).await?;
//! let mut stream = TcpStream::connect(&client, ([192, 0, 2, 1], 7)).await?;
//! let (mut accepted, _peer) = listener.accept().await?;
//! accepted.write_all(b"hello").await?;
//! drop(accepted);
//! let mut text = String::new();
//! stream.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Inside
//!
//! ```text
//! in :  device -> ingress -> demultiplexer -> mailbox -> actor -> receive lane -> TcpStream::poll_read
//! out:  TcpStream::poll_write -> send lane -> actor -> device
//! ```
//!
//! The actor, one task per connection, alone owns the protocol's state (`netstack_tcp::Connection`); ingress is one task
//! per device queue. Lanes and mailboxes are bounded queues under short locks. All time comes from `tokio::time`: under
//! `start_paused = true` a test runs in virtual time, and with [`StackBuilder::seed_for_test`] two runs are the same.
//!
//! # Features
//!
//! - `tun` (default): the Linux TUN device, [`device::tun`](netstack_device).
//! - `axum`, `hyper`, `hickory`: see [`ext`].
//! - `control`: the stack's connections on a Unix socket, for `netstack ss`.
//! - `observe`: an observer sees each connection after every turn of its task, for traces.

#![cfg_attr(test, allow(clippy::unwrap_used))]

/// The README's sample compiles.
#[cfg(all(doctest, target_os = "linux", feature = "tun"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

mod actor;
mod budget;
mod clock;
#[cfg(all(unix, feature = "control"))]
pub mod control;
mod demux;
mod error;
pub mod ext;
mod fast_open;
mod fragment;
mod icmp;
mod ingress;
mod lane;
mod listener;
mod loopback;
mod observe;
mod output;
mod path_mtu;
mod ping;
mod route;
mod secrets;
mod socket;
mod stack;
mod stream;
mod sync;
mod udp;

pub use listener::{Incoming, ListenConfig, TcpIncoming, TcpListener, TcpListenerStream};
pub use netstack_device as device;
pub use netstack_tcp::congestion::{self, CongestionControl};
pub use netstack_tcp::{
    CloseReason, EcnMode, EcnPolicy, FastOpen, IcmpNotice, KeepAlive, State, SynPolicy, TcpConfig, TcpInfo,
    TcpStats,
};
#[cfg(feature = "observe")]
pub use observe::ConnectionObserver;
pub use ping::{Ping, PingError, PingFailure, PingReply};
pub use route::{IpNetwork, IpPrefix, PrefixError};
pub use socket::TcpSocket;
pub use stack::{ConnectionEntry, DeviceLost, Stack, StackBuilder, StackCounters};
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpStream, WriteHalf};
pub use udp::{
    MessageTooLong, RecvMsg, SendMsg, UdpConfig, UdpSession, UdpSessions, UdpSessionsConfig, UdpSocket,
};
