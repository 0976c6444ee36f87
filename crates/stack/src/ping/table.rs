//! The pings that wait.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, Waker};

use netstack_tcp::Instant;
use netstack_wire::icmp::IcmpMessage;

use siphasher::sip::SipHasher13;

use super::{PingError, PingReply};
use crate::error::EndCause;
use crate::lane::lock;
use crate::sync::Mutex;

#[cfg(test)]
mod tests;

/// Pings that may wait at a time.
const MOST: usize = 1024;

/// What became of a ping.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Answered { at: Instant, hop_limit: u8 },
    Failed(PingError),
    Stopped,
}

/// What is sent, and has to come back.
#[derive(Debug)]
pub(crate) struct Request {
    id: u16,
    seq: u16,
    data: Vec<u8>,
}

impl Request {
    pub(crate) fn message(&self) -> IcmpMessage<'_> {
        IcmpMessage::EchoRequest { id: self.id, seq: self.seq, data: &self.data }
    }
}

#[derive(Debug)]
struct Slot {
    local: IpAddr,
    target: IpAddr,
    request: Arc<Request>,
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// The pings of a stack, by identifier and sequence number.
#[derive(Debug)]
pub(crate) struct Pings {
    slots: Mutex<BTreeMap<(u16, u16), Slot>>,
    /// Makes the next name; only who knows the key can tell what it gives.
    count: AtomicU64,
    key: [u8; 16],
}

impl Pings {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { slots: Mutex::default(), count: AtomicU64::new(0), key }
    }

    /// A number that nobody can guess.
    fn draw(&self) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_u64(self.count.fetch_add(1, Relaxed));
        hasher.finish()
    }

    /// A place for a ping from `local` to `target` with `octets` of data.
    pub(crate) fn register(&self, local: IpAddr, target: IpAddr, octets: usize) -> io::Result<Waiting<'_>> {
        let cookie = self.draw().to_be_bytes();
        let mut slots = lock(&self.slots);
        if slots.len() >= MOST {
            let text = format!("{MOST} pings wait for their answers already");
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        let name = loop {
            let bits = self.draw();
            let name = ((bits >> 16) as u16, bits as u16);
            if !slots.contains_key(&name) {
                break name;
            }
        };
        let data = cookie.into_iter().chain((8..=u8::MAX).cycle()).take(octets).collect();
        let request = Arc::new(Request { id: name.0, seq: name.1, data });
        let slot = Slot { local, target, request: Arc::clone(&request), outcome: None, waker: None };
        slots.insert(name, slot);
        Ok(Waiting { pings: self, name, request })
    }

    /// An echo reply arrived. Whether somebody waits for it.
    pub(crate) fn answer(
        &self,
        (from, to): (IpAddr, IpAddr),
        (id, seq): (u16, u16),
        data: &[u8],
        outcome: Outcome,
    ) -> bool {
        self.settle((id, seq), outcome, |slot| {
            (slot.target, slot.local) == (from, to) && slot.request.data == data
        })
    }

    /// An ICMP error arrived about an echo request from `local` to `target`. Whether somebody waits for it.
    pub(crate) fn fail(
        &self,
        (local, target): (IpAddr, IpAddr),
        (id, seq): (u16, u16),
        error: PingError,
    ) -> bool {
        self.settle((id, seq), Outcome::Failed(error), |slot| (slot.local, slot.target) == (local, target))
    }

    fn settle(&self, name: (u16, u16), outcome: Outcome, is_meant: impl FnOnce(&Slot) -> bool) -> bool {
        let waker = {
            let mut slots = lock(&self.slots);
            let Some(slot) = slots.get_mut(&name).filter(|slot| is_meant(slot)) else { return false };
            slot.outcome.get_or_insert(outcome);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// The stack has stopped.
    pub(crate) fn stop(&self) {
        let mut wakers = Vec::new();
        for slot in lock(&self.slots).values_mut() {
            slot.outcome.get_or_insert(Outcome::Stopped);
            wakers.extend(slot.waker.take());
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// A ping that waits, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    pings: &'a Pings,
    name: (u16, u16),
    request: Arc<Request>,
}

impl Waiting<'_> {
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// Resolves with what became of the ping, sent at `sent`.
    pub(crate) async fn outcome(&self, sent: Instant) -> io::Result<PingReply> {
        std::future::poll_fn(|cx| {
            let mut slots = lock(&self.pings.slots);
            // The slot is there as long as this is.
            let Some(slot) = slots.get_mut(&self.name) else { return Poll::Pending };
            let Some(outcome) = slot.outcome else {
                slot.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let target = slot.target;
            Poll::Ready(match outcome {
                Outcome::Answered { at, hop_limit } => Ok(PingReply {
                    from: target,
                    rtt: at.saturating_duration_since(sent),
                    data_len: self.request.data.len(),
                    hop_limit,
                }),
                Outcome::Failed(error) => Err(io::Error::new(error.kind(), error)),
                Outcome::Stopped => Err(EndCause::StackStopped.to_io()),
            })
        })
        .await
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.pings.slots).remove(&self.name);
    }
}
