//! The mailbox: what ingress has for a connection until its actor runs.
//!
//! Bounded in bytes by the room below the announced right edge plus 64 KiB, so that data we promised room for always
//! fits, and in segments without data by [`MAX_CONTROL`]. Past a bound, what tells nothing new goes first.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use netstack_tcp::{IcmpNotice, Instant, Segment, received_memory};
use netstack_wire::SeqNum;
use netstack_wire::tcp::TcpFlags;

use super::scratch;
use crate::budget::{Budget, Charge};
use crate::lane::lock;
use crate::stack::counters::Counters;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Bytes beyond the announced right edge that a mailbox holds: window probes, retransmissions, a peer's overshoot.
const SLACK: usize = 64 * 1024;

/// Segments without data that a mailbox holds.
const MAX_CONTROL: u16 = 256;

/// Memory of an entry beside its payload, with the headers of the frame that it is a part of.
const ENTRY: usize = size_of::<Arrival>() + 64;

/// Entries without payload that are free of charge: ACKs on their way to a sender are gone at once.
const FREE_CONTROL: u16 = 16;

/// Memory that a large payload holds beyond itself.
const READ_BUFFER_HALF: usize = 33 * 1024;

/// Whether a payload holds the whole buffer that it was read into.
fn is_large(len: usize) -> bool {
    received_memory(len) > len
}

/// One thing for a connection to handle.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// When it reached the device.
    pub(crate) at: Instant,
    pub(crate) input: Input,
}

/// What can arrive for a connection.
#[derive(Debug)]
pub(crate) enum Input {
    /// A segment of the peer.
    Segment(Segment),
    /// An ICMP error that quotes a segment of ours with this sequence number.
    Icmp { seq: SeqNum, notice: IcmpNotice },
    /// The same, and the segment was too big for a link that takes `mtu` octets.
    TooBig { seq: SeqNum, mtu: u16 },
}

impl Input {
    pub(crate) fn payload_len(&self) -> usize {
        match self {
            Self::Segment(segment) => segment.payload.len(),
            Self::Icmp { .. } | Self::TooBig { .. } => 0,
        }
    }

    /// Leaves `len` bytes of payload, and nothing that comes behind them.
    pub(crate) fn cut(&mut self, len: usize) {
        if let Self::Segment(segment) = self
            && segment.payload.len() > len
        {
            // A slice would hold the memory of all of it.
            segment.payload = Bytes::copy_from_slice(&segment.payload[..len]);
            segment.header.flags = segment.header.flags - TcpFlags::FIN;
        }
    }

    /// An ACK without data: the next one says it all again.
    fn is_pure_ack(&self) -> bool {
        match self {
            Self::Segment(segment) => {
                let control = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
                segment.payload.is_empty() && !segment.header.flags.intersects(control)
            }
            Self::Icmp { .. } | Self::TooBig { .. } => false,
        }
    }

    /// The sequence range that it carries, if it carries data.
    fn range(&self) -> Option<(u32, usize)> {
        match self {
            Self::Segment(segment) if !segment.payload.is_empty() => {
                Some((segment.header.seq.0, segment.payload.len()))
            }
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
struct Inbox {
    queue: VecDeque<Arrival>,
    /// Payload bytes in `queue`.
    bytes: u32,
    /// Entries of `queue` without payload.
    control: u16,
    /// Entries that hold a whole read buffer. The limit allows far fewer.
    large: u16,
    /// Length of `queue` when it was last searched for duplicates.
    searched_at: u32,
    charge: Charge,
}

/// The mailbox of one connection.
#[derive(Debug)]
pub(crate) struct Mailbox {
    inbox: Mutex<Inbox>,
    /// Bytes allowed in the inbox.
    limit: AtomicU32,
}

impl Mailbox {
    /// A mailbox for a connection that has announced `room` bytes.
    pub(crate) fn new(room: usize) -> Self {
        Self { inbox: Mutex::default(), limit: AtomicU32::new(limit_for(room)) }
    }

    /// The actor publishes how much lies below the announced right edge.
    pub(crate) fn set_room(&self, room: usize) {
        self.limit.store(limit_for(room), Relaxed);
    }

    /// Adds an arrival, or drops and counts it or others.
    pub(crate) fn push(&self, arrival: Arrival, counters: &Counters, budget: &Budget) {
        let len = arrival.input.payload_len();
        let mut inbox = lock(&self.inbox);
        let fits = if len == 0 {
            inbox.make_room_for_control(counters)
        } else {
            inbox.make_room_for_data(&arrival.input, self.limit.load(Relaxed) as usize, counters)
        };
        if fits {
            inbox.bytes += len as u32;
            inbox.large = inbox.large.saturating_add(is_large(len).into());
            inbox.control += u16::from(len == 0);
            if inbox.queue.capacity() == 0 {
                inbox.queue = scratch::queue();
            }
            inbox.queue.push_back(arrival);
        }
        let memory = inbox.memory();
        inbox.charge.set(memory, budget);
        drop(inbox);
        if !fits {
            let counter = if len == 0 { &counters.drop_mailbox_ack } else { &counters.drop_mailbox_full };
            counter.bump();
        }
    }

    /// The actor takes everything; the mailbox keeps no storage.
    pub(crate) fn take(&self, budget: &Budget) -> VecDeque<Arrival> {
        let mut inbox = lock(&self.inbox);
        let mut taken = std::mem::take(&mut *inbox);
        drop(inbox);
        taken.charge.set(0, budget);
        taken.queue
    }

    /// Whether data waits in it.
    pub(crate) fn holds_data(&self) -> bool {
        lock(&self.inbox).bytes > 0
    }
}

impl Inbox {
    fn memory(&self) -> usize {
        let free = self.bytes == 0 && self.control <= FREE_CONTROL;
        if free {
            0
        } else {
            self.bytes as usize + usize::from(self.large) * READ_BUFFER_HALF + self.queue.len() * ENTRY
        }
    }

    fn make_room_for_control(&mut self, counters: &Counters) -> bool {
        if self.control < MAX_CONTROL {
            return true;
        }
        let Some(oldest) = self.queue.iter().position(|arrival| arrival.input.is_pure_ack()) else {
            return false;
        };
        self.queue.remove(oldest);
        self.control -= 1;
        counters.drop_mailbox_ack.bump();
        true
    }

    fn make_room_for_data(&mut self, input: &Input, limit: usize, counters: &Counters) -> bool {
        let len = input.payload_len();
        if self.bytes as usize + len <= limit {
            return true;
        }
        // Without new entries since the last search there is nothing to find: a flood costs one search.
        if self.searched_at as usize == self.queue.len() {
            return false;
        }
        let mut seen: HashSet<_> = input.range().into_iter().collect();
        let before = self.queue.len();
        let (mut freed, mut large) = (0, 0);
        // From the newest on: what arrived last carries the newest ACK and timestamps.
        let mut keep: VecDeque<bool> = VecDeque::with_capacity(before);
        for arrival in self.queue.iter().rev() {
            let fresh = arrival.input.range().is_none_or(|range| seen.insert(range));
            if !fresh {
                freed += arrival.input.payload_len();
                large += u16::from(is_large(arrival.input.payload_len()));
            }
            keep.push_front(fresh);
        }
        self.queue.retain(|_| keep.pop_front().unwrap_or(true));
        self.bytes -= freed as u32;
        self.large = self.large.saturating_sub(large);
        self.searched_at = self.queue.len() as u32;
        counters.drop_mailbox_duplicate.add(before - self.queue.len());
        self.bytes as usize + len <= limit
    }
}

/// Bytes allowed in a mailbox while `room` bytes lie below the announced right edge.
fn limit_for(room: usize) -> u32 {
    u32::try_from(room.saturating_add(SLACK)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
