//! The send lane: bytes on their way from the application to the actor.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Deref;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};

use super::{Waiter, Waiters, blocks, lock};
use crate::budget::{Account, Budget, Direction};
use crate::error::EndCause;
use crate::sync::Mutex;

/// Largest block that written bytes are copied into; also the most that one write takes.
const MAX_BLOCK: usize = blocks::BLOCK;

/// Smallest block: what a lone small write allocates.
const MIN_BLOCK: usize = 256;

/// A `Bytes` shorter than this is copied into the open block: it would cost more as a piece of its own, and could pin
/// a large buffer for the sake of a few bytes.
const COPY_BELOW: usize = 512;

/// A piece of the stream on its way to the connection.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Copied into a block of the lane.
    Block(BytesMut),
    /// Handed over by the application as it is.
    Whole(Bytes),
}

impl Piece {
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Block(block) => block.freeze(),
            Self::Whole(bytes) => bytes,
        }
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Block(block) => block,
            Self::Whole(bytes) => bytes,
        }
    }
}

/// How far the connection has come, as the socket sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The handshake is under way.
    Connecting,
    /// Both directions were opened.
    Open,
    /// The connection is over.
    Ended(EndCause),
}

/// What a write did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// This many bytes were taken; `first` says that the actor has to be notified.
    Data {
        /// Bytes taken.
        len: usize,
        /// Whether the actor is to be notified.
        first: bool,
    },
    /// The sending half is closed.
    Closed(Option<EndCause>),
}

/// How much the connection can take now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Bytes that the connection holds and has not sent.
    pub(crate) unsent: usize,
    /// Payload of a full segment.
    pub(crate) mss: usize,
}

impl Room {
    /// Enough unsent bytes to fill any window for a turn: more stays in the lane, where small writes merge.
    const PLENTY: usize = 256 * 1024;
    /// Below this a piece is not worth its place in the connection's queue while others wait there.
    const WORTHWHILE: usize = 4096;

    /// How many bytes the lane has to hold before handing over makes sense.
    ///
    /// With nothing unsent any byte may leave at once. With less than a segment held back (Nagle), a full segment is
    /// what changes things. Otherwise the window or the network sets the pace.
    fn threshold(self) -> usize {
        if self.unsent == 0 {
            1
        } else if self.unsent < self.mss {
            self.mss - self.unsent
        } else if self.unsent < Self::PLENTY {
            Self::WORTHWHILE
        } else {
            usize::MAX
        }
    }
}

/// What the actor takes out of the lane.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Written bytes, in order.
    pub(crate) pieces: VecDeque<Piece>,
    /// Bytes of `pieces`, from the first on, that end with urgent data; 0 without any.
    pub(crate) urgent: usize,
    /// The sending half was shut down, and `pieces` are its last bytes.
    pub(crate) fin: bool,
}

/// In 32 bits, as all of a connection's buffers.
#[derive(Debug)]
struct SendLane {
    queue: VecDeque<Piece>,
    /// Bytes in `queue`.
    queued: u32,
    /// Bytes that the connection holds, unsent or unacknowledged, as last published.
    in_connection: u32,
    /// Memory of what the connection holds beyond that: the acknowledged part of its oldest piece.
    spent: u32,
    /// Size of the largest block in use, until all that was written is acknowledged.
    block: u32,
    /// Room behind the newest piece in the open block.
    spare: u32,
    capacity: u32,
    /// Notify the actor when `queued` reaches this.
    notify_at: u32,
    /// Bytes of `queue`, from the front, that end with urgent data; 0 without any. Within the capacity: 32 bits do.
    urgent: u32,
    shut: bool,
    phase: Phase,
    waiters: Waiters,
}

impl SendLane {
    /// What may be held: as much as the connection takes, within the lane's `share` of the budget.
    fn limit(&self, share: usize) -> usize {
        share.min(self.capacity as usize)
    }

    fn space(&self, share: usize) -> usize {
        self.limit(share).saturating_sub(self.held())
    }

    /// Bytes written that are not acknowledged.
    fn held(&self) -> usize {
        (self.queued + self.in_connection) as usize
    }

    /// Memory that written data takes. A block stays in use as a whole as long as any byte in it does.
    fn memory(&self) -> usize {
        (self.held() + self.spent as usize + self.spare as usize).max(self.block as usize)
    }

    /// Whether writers are to be woken: a quarter of what may be held is free.
    fn invites(&self, share: usize) -> bool {
        !self.waiters.is_empty() && self.space(share) >= (self.limit(share) / 4).max(1)
    }

    /// Queues `piece`, joined to the one before when they lie side by side in one block.
    fn push(&mut self, piece: Piece) -> bool {
        let before = self.queued;
        self.queued += piece.len() as u32;
        match (self.queue.back_mut(), piece) {
            (Some(Piece::Block(last)), Piece::Block(next)) if last.as_ptr_range().end == next.as_ptr() => {
                last.unsplit(next);
            }
            (_, piece) => self.queue.push_back(piece),
        }
        before < self.notify_at && self.queued >= self.notify_at
    }

    /// Why nothing can be written any more: the sending half was shut down (`Some(None)`), or the connection is over.
    fn closed(&self) -> Option<Option<EndCause>> {
        match self.phase {
            Phase::Ended(cause) => Some(Some(cause)),
            _ if self.shut => Some(None),
            _ => None,
        }
    }
}

/// The send lane and the open block that writers copy into.
#[derive(Debug)]
pub(crate) struct SendSide {
    lane: Mutex<SendLane>,
    /// Spare room behind the newest piece. Only writers lock it while they copy.
    pub(super) block: Mutex<BytesMut>,
    account: Account,
}

impl SendSide {
    pub(crate) fn new(capacity: usize, phase: Phase, budget: &Arc<Budget>) -> Self {
        Self {
            lane: Mutex::new(SendLane {
                queue: VecDeque::new(),
                queued: 0,
                in_connection: 0,
                spent: 0,
                block: 0,
                spare: 0,
                capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
                notify_at: 1,
                urgent: 0,
                shut: false,
                phase,
                waiters: Waiters::default(),
            }),
            block: Mutex::new(BytesMut::new()),
            account: Account::new(budget, Direction::Written),
        }
    }

    /// Copies a prefix of `data` into the lane. Without room, stores the waiter.
    pub(crate) fn write(&self, data: &[IoSlice<'_>], waiter: &Waiter<'_, '_>) -> Poll<Write> {
        self.write_as(data, waiter, false)
    }

    /// Queues a prefix of `data` as it is, and takes it off; copies it when it is small. Without room, stores the
    /// waiter. `data` changes with the bytes that were taken, not otherwise.
    pub(crate) fn write_bytes(&self, data: &mut Bytes, waiter: &Waiter<'_, '_>) -> Poll<Write> {
        let total = data.len();
        let written = self.enqueue(total, waiter, false, |block, room, held| {
            let len = total.min(room);
            if len < COPY_BELOW {
                copy(&[IoSlice::new(data)], len, block, held)
            } else {
                Piece::Whole(data.slice(..len))
            }
        });
        if let Poll::Ready(Write::Data { len, .. }) = written {
            data.advance(len);
            if data.is_empty() {
                // An empty `Bytes` would still pin its buffer.
                *data = Bytes::new();
            }
        }
        written
    }

    /// As [`write`](Self::write); the last byte taken ends urgent data.
    pub(crate) fn write_urgent(&self, data: &[u8], waiter: &Waiter<'_, '_>) -> Poll<Write> {
        self.write_as(&[IoSlice::new(data)], waiter, true)
    }

    fn write_as(&self, data: &[IoSlice<'_>], waiter: &Waiter<'_, '_>, urgent: bool) -> Poll<Write> {
        let total: usize = data.iter().map(|slice| slice.len()).fold(0, usize::saturating_add);
        self.enqueue(total, waiter, urgent, |block, room, held| {
            copy(data, total.min(room).min(MAX_BLOCK), block, held)
        })
    }

    /// Queues the piece that `make` makes: out of the open block, at most as long as the room (second) there is, while
    /// the lane and the connection hold so many bytes (third). `total` is what the caller wants to write.
    fn enqueue(
        &self,
        total: usize,
        waiter: &Waiter<'_, '_>,
        urgent: bool,
        make: impl FnOnce(&mut BytesMut, usize, usize) -> Piece,
    ) -> Poll<Write> {
        // Held throughout, so that concurrent writers keep their order and none takes the room found here.
        let mut block = lock(&self.block);
        let (room, held) = {
            let mut lane = lock(&self.lane);
            if let Some(closed) = lane.closed() {
                return Poll::Ready(Write::Closed(closed));
            }
            if total == 0 {
                return Poll::Ready(Write::Data { len: 0, first: false });
            }
            let room = self.room(&mut lane, waiter);
            if room == 0 {
                return Poll::Pending;
            }
            (room, lane.held())
        };
        let piece = make(&mut block, room, held);
        let len = piece.len();
        let mut lane = lock(&self.lane);
        if let Some(closed) = lane.closed() {
            *block = BytesMut::new();
            return Poll::Ready(Write::Closed(closed));
        }
        lane.spare = block.capacity() as u32;
        if matches!(piece, Piece::Block(_)) {
            lane.block = lane.block.max(len as u32 + lane.spare);
        }
        let mut first = lane.push(piece);
        if urgent {
            lane.urgent = lane.queued;
            first = true;
        }
        self.account.set(lane.memory());
        Poll::Ready(Write::Data { len, first })
    }

    /// How much may be written now, by the lane's capacity and its share of the budget. If nothing, the waiter is stored:
    /// bytes of its own that are acknowledged wake it, and an end of the connection.
    fn room(&self, lane: &mut SendLane, waiter: &Waiter<'_, '_>) -> usize {
        let space = lane.space(self.account.budget().send_share());
        if space == 0 {
            lane.waiters.register(waiter);
        }
        space
    }

    /// Ready when a write would not wait: room, or an error to report.
    pub(crate) fn poll_writable(&self, waiter: &Waiter<'_, '_>) -> Poll<()> {
        let mut lane = lock(&self.lane);
        if lane.closed().is_some() || self.room(&mut lane, waiter) > 0 {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Ready when the handshake is over, one way or the other.
    pub(crate) fn poll_connected(&self, waiter: &Waiter<'_, '_>) -> Poll<Result<(), EndCause>> {
        let mut lane = lock(&self.lane);
        match lane.phase {
            Phase::Connecting => {
                lane.waiters.register(waiter);
                Poll::Pending
            }
            Phase::Open => Poll::Ready(Ok(())),
            Phase::Ended(cause) => Poll::Ready(Err(cause)),
        }
    }

    /// A future does not wait any more.
    pub(crate) fn forget(&self, place: u64) {
        lock(&self.lane).waiters.forget(place);
    }

    /// Closes the sending half behind what was written. Tells whether this call did it; an error if the connection
    /// had ended before.
    pub(crate) fn shut(&self) -> Result<bool, EndCause> {
        let mut lane = lock(&self.lane);
        if lane.shut {
            return Ok(false);
        }
        if let Phase::Ended(cause) = lane.phase {
            return Err(cause);
        }
        lane.shut = true;
        // A writer in another task has to learn that it waits in vain.
        let waiters = lane.waiters.take();
        drop(lane);
        waiters.wake();
        Ok(true)
    }

    /// Whether the handshake is under way.
    pub(crate) fn is_connecting(&self) -> bool {
        lock(&self.lane).phase == Phase::Connecting
    }

    /// Why the connection ended, if it did.
    pub(crate) fn ended(&self) -> Option<EndCause> {
        match lock(&self.lane).phase {
            Phase::Ended(cause) => Some(cause),
            Phase::Connecting | Phase::Open => None,
        }
    }

    /// The actor takes what the connection can use now: all of it once the sending half is shut, or with urgent data.
    pub(crate) fn take(&self, room: Room) -> Taken {
        let threshold = u32::try_from(room.threshold()).unwrap_or(u32::MAX);
        let mut lane = lock(&self.lane);
        if lane.queued < threshold && !lane.shut && lane.urgent == 0 {
            lane.notify_at = threshold;
            return Taken::default();
        }
        lane.notify_at = 1;
        lane.in_connection += lane.queued;
        lane.queued = 0;
        let urgent = std::mem::take(&mut lane.urgent) as usize;
        Taken { pieces: std::mem::take(&mut lane.queue), urgent, fin: lane.shut }
    }

    /// The actor publishes how much the connection holds, in how much memory, and how much it takes now (`capacity`); wakes
    /// writers once a quarter of that is free.
    pub(crate) fn publish(&self, in_connection: usize, memory: usize, capacity: usize) {
        let mut lane = lock(&self.lane);
        lane.capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
        // Within the capacity.
        lane.in_connection = in_connection as u32;
        lane.spent = u32::try_from(memory.saturating_sub(in_connection)).unwrap_or(u32::MAX);
        let idle = lane.held() == 0;
        if idle {
            (lane.block, lane.spare) = (0, 0);
        }
        let waiters = if lane.invites(self.account.budget().send_share()) {
            lane.waiters.take()
        } else {
            Waiters::default()
        };
        self.account.set(lane.memory());
        drop(lane);
        waiters.wake();
        if idle && let Ok(mut block) = self.block.try_lock() {
            // An idle connection holds no block. A writer that holds the lock is about to use it.
            *block = BytesMut::new();
        }
    }

    /// The handshake is complete.
    pub(crate) fn open(&self) {
        self.set_phase(Phase::Open);
    }

    /// The connection is over: what is queued is lost, and each write fails.
    pub(crate) fn end(&self, cause: EndCause) {
        self.set_phase(Phase::Ended(cause));
        let mut lane = lock(&self.lane);
        (lane.queued, lane.in_connection, lane.spent, lane.block, lane.spare) = (0, 0, 0, 0, 0);
        let queue = std::mem::take(&mut lane.queue);
        self.account.set(0);
        drop(lane);
        drop(queue);
        // A writer that copies into it comes first, and finds the end.
        *lock(&self.block) = BytesMut::new();
    }

    fn set_phase(&self, phase: Phase) {
        let mut lane = lock(&self.lane);
        if matches!(lane.phase, Phase::Ended(_)) {
            return;
        }
        lane.phase = phase;
        let waiters = lane.waiters.take();
        drop(lane);
        waiters.wake();
    }
}

/// Copies `len` bytes of `data` into the open block: a new one, sized by what is `held` already, when they do not fit.
fn copy(data: &[IoSlice<'_>], len: usize, block: &mut BytesMut, held: usize) -> Piece {
    if block.capacity() < len {
        let size = len.max(held.clamp(MIN_BLOCK, MAX_BLOCK));
        *block = if size == MAX_BLOCK { blocks::block() } else { BytesMut::with_capacity(size) };
    }
    let mut left = len;
    for slice in data {
        let part = slice.len().min(left);
        block.extend_from_slice(&slice[..part]);
        left -= part;
        if left == 0 {
            break;
        }
    }
    Piece::Block(block.split())
}
