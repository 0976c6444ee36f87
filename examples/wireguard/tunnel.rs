//! One end of a WireGuard tunnel: packets of a device on its inside, datagrams of a UDP socket on its outside.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use bytes::Bytes;
use netstack_device::{Device, HeadBuf, Meta, RxBatch, RxQueue, SendError, Turn, TxFrame, TxQueue};
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval};

/// No datagram is larger.
const DATAGRAM: usize = 65_535;

/// How often the timers of WireGuard, which count in seconds, are looked at.
const TICK: Duration = Duration::from_millis(250);

/// Datagrams that passed the outside.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }
}

/// The tunnel; [`run`](Self::run) it in a task.
pub(crate) struct Tunnel {
    tunn: Tunn,
    rx: Box<dyn RxQueue>,
    ends: Ends,
}

/// Where what comes out of the protocol goes.
struct Ends {
    socket: UdpSocket,
    tx: Arc<dyn TxQueue>,
    turn: Turn,
    /// Addresses that the other peer may send from: WireGuard's cryptokey routing.
    allowed: Vec<IpAddr>,
    traffic: Arc<Traffic>,
}

impl Tunnel {
    /// `device` is the far end of the stack's device; `socket` is connected to the other peer.
    pub(crate) fn new(
        device: impl Device + 'static,
        socket: UdpSocket,
        secret: StaticSecret,
        other: PublicKey,
        allowed: Vec<IpAddr>,
    ) -> io::Result<Self> {
        let (mut queues, tx) = Box::new(device).split()?;
        let rx = queues.pop().ok_or_else(|| io::Error::other("the device has no queue"))?;
        let tunn = Tunn::new(secret, other, None, None, 0, None);
        let ends = Ends { socket, tx, turn: Turn::new(), allowed, traffic: Arc::default() };
        Ok(Self { tunn, rx, ends })
    }

    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.ends.traffic)
    }

    /// Carries packets until the stack goes.
    pub(crate) async fn run(mut self) {
        let mut timers = interval(TICK);
        timers.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = RxBatch::new();
        let mut datagram = vec![0; DATAGRAM];
        let mut out = vec![0; DATAGRAM];
        loop {
            let Self { tunn, rx, ends } = &mut self;
            tokio::select! {
                taken = std::future::poll_fn(|cx| rx.poll_recv(cx, &mut batch)) => {
                    if taken.is_err() {
                        return;
                    }
                    for frame in batch.drain() {
                        ends.carry(tunn.encapsulate(&frame.data, &mut out)).await;
                    }
                }
                received = ends.socket.recv(&mut datagram) => {
                    // An ICMP error about an earlier datagram: the peer is not there yet.
                    let Ok(len) = received else { continue };
                    ends.traffic.received.fetch_add(1, Relaxed);
                    let mut more = ends.carry(tunn.decapsulate(None, &datagram[..len], &mut out)).await;
                    // An answer of the handshake lets go of packets that waited for it.
                    while more {
                        more = ends.carry(tunn.decapsulate(None, &[], &mut out)).await;
                    }
                }
                _ = timers.tick() => {
                    ends.carry(tunn.update_timers(&mut out)).await;
                }
            }
        }
    }
}

impl Ends {
    /// Sends what the protocol yields to where it belongs; whether there may be more of it.
    async fn carry(&mut self, result: TunnResult<'_>) -> bool {
        match result {
            TunnResult::Done => {}
            // A datagram that is not of this peer, or comes twice, is nobody's business.
            TunnResult::Err(error) => tracing::debug!(?error, "dropped"),
            TunnResult::WriteToNetwork(datagram) => {
                self.traffic.sent.fetch_add(1, Relaxed);
                // What is lost here is sent again by TCP, as on any path.
                let _ = self.socket.send(datagram).await;
                return true;
            }
            TunnResult::WriteToTunnelV4(packet, from) => self.deliver(packet, from.into()).await,
            TunnResult::WriteToTunnelV6(packet, from) => self.deliver(packet, from.into()).await,
        }
        false
    }

    async fn deliver(&mut self, packet: &[u8], from: IpAddr) {
        if !self.allowed.contains(&from) {
            tracing::debug!(%from, "dropped: not an address of this peer");
            return;
        }
        let payload = [Bytes::copy_from_slice(packet)];
        let mut head = HeadBuf::new();
        loop {
            let frame = TxFrame { head: &mut head, payload: &payload, meta: Meta::default(), flow: 0 };
            match self.tx.try_send(frame, &mut self.turn) {
                Err(SendError::Full) => {
                    std::future::poll_fn(|cx| self.tx.poll_ready(cx, &mut self.turn)).await;
                }
                // A stack that is gone shows when it is read from.
                _ => return,
            }
        }
    }
}
