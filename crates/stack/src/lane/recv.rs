//! The receive lane: in-order bytes on their way from the actor to the application.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};
use netstack_tcp::received_memory;

use super::{Waiter, Waiters, blocks, lock};
use crate::budget::{Account, Budget, Direction};
use crate::error::EndCause;
use crate::sync::{Mutex, MutexGuard};

/// Payload shorter than this is copied into the lane's open tail, so that small segments cannot pin the large
/// buffers they arrived in.
const COPY_BELOW: usize = 2048;

/// Size of an open tail once the reader lags behind small segments.
const TAIL_BLOCK: usize = 8192;

/// The most that a run of small pieces is merged into.
const MAX_RUN: usize = blocks::BLOCK;

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// This many bytes; `update` says that the actor has a window update to send.
    Data {
        /// Bytes handed out.
        len: usize,
        /// Whether the actor is to be notified.
        update: bool,
    },
    /// The peer's FIN: no bytes follow.
    Eof,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Fin,
    Broken(EndCause),
}

#[derive(Debug, Default)]
struct RecvLane {
    chunks: VecDeque<Bytes>,
    /// Small payloads, behind all of `chunks`; appended to while the reader lags.
    tail: BytesMut,
    /// Bytes not read yet: `chunks`, `tail`, and what readers hold in `current`.
    unread: usize,
    /// Memory of `chunks` and of the whole piece that readers hold in `current`.
    stored: u32,
    /// Of those, the latter.
    current: u32,
    /// Bytes that the connection holds out of order.
    out_of_order: u32,
    end: Option<End>,
    /// When `unread` falls to this, the actor announces a larger window. In 32 bits, as all of a connection's buffers.
    update_at: Option<u32>,
    waiters: Waiters,
}

impl RecvLane {
    /// Moves the open tail behind the chunks.
    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.push(sealed(tail));
        }
    }

    fn push(&mut self, chunk: Bytes) {
        self.stored += received_memory(chunk.len()) as u32;
        self.chunks.push_back(chunk);
    }

    /// Memory that received data takes.
    fn memory(&self) -> usize {
        self.stored as usize
            + self.out_of_order as usize
            + self.tail.capacity()
            + self.chunks.capacity() * size_of::<Bytes>()
    }

    /// The piece that readers held is gone.
    fn let_go(&mut self) {
        self.stored = self.stored.saturating_sub(std::mem::take(&mut self.current));
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        if self.chunks.is_empty() {
            self.seal_tail();
        }
        let piece = self.chunks.pop_front()?;
        if self.chunks.is_empty() {
            // An idle connection holds no queue storage.
            self.chunks = VecDeque::new();
        }
        self.current = received_memory(piece.len()) as u32;
        Some(piece)
    }

    /// Accounts for `len` bytes read, up to the end of the piece that readers hold if it is `emptied`; true when a window
    /// update became due.
    fn consumed(&mut self, len: usize, emptied: bool) -> bool {
        if emptied {
            self.let_go();
        }
        // `discard` may have come in between.
        self.unread = self.unread.saturating_sub(len);
        let due = self.update_at.is_some_and(|level| self.unread <= level as usize);
        if due {
            self.update_at = None;
        }
        due
    }
}

/// The receive lane and the piece that a reader has taken out of it.
#[derive(Debug)]
pub(crate) struct RecvSide {
    lane: Mutex<RecvLane>,
    account: Account,
    /// The piece being read. Only readers lock it, so copying out of it keeps nobody else waiting.
    current: Mutex<Bytes>,
}

impl RecvSide {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            lane: Mutex::default(),
            account: Account::new(budget, Direction::Received),
            current: Mutex::default(),
        }
    }

    /// Hands up to `want` bytes to `sink`, piece by piece. With nothing to read, stores the waiter.
    pub(crate) fn read(
        &self,
        want: usize,
        waiter: &Waiter<'_, '_>,
        mut sink: impl FnMut(&[u8]),
    ) -> Poll<Result<Read, EndCause>> {
        if want == 0 {
            return Poll::Ready(Ok(Read::Data { len: 0, update: false }));
        }
        let mut current = lock(&self.current);
        let mut len = 0;
        while len < want {
            if let Some(mut lane) = self.refill(&mut current) {
                if len > 0 {
                    break;
                }
                return Self::nothing(&mut lane, waiter);
            }
            let part = current.len().min(want - len);
            sink(&current[..part]);
            current.advance(part);
            len += part;
            if current.is_empty() {
                // An empty `Bytes` would still pin its buffer.
                *current = Bytes::new();
            }
        }
        let update = self.consumed(len, current);
        Poll::Ready(Ok(Read::Data { len, update }))
    }

    /// Takes up to `max` bytes of the next piece out as they are, into `chunk`. With nothing to read, stores the waiter.
    pub(crate) fn read_chunk(
        &self,
        max: usize,
        waiter: &Waiter<'_, '_>,
        chunk: &mut Bytes,
    ) -> Poll<Result<Read, EndCause>> {
        if max == 0 {
            return Poll::Ready(Ok(Read::Data { len: 0, update: false }));
        }
        let mut current = lock(&self.current);
        if let Some(mut lane) = self.refill(&mut current) {
            return Self::nothing(&mut lane, waiter);
        }
        let len = current.len().min(max);
        *chunk = current.split_to(len);
        if current.is_empty() {
            *current = Bytes::new();
        }
        let update = self.consumed(len, current);
        Poll::Ready(Ok(Read::Data { len, update }))
    }

    /// Accounts for `len` bytes taken out of `current` and pieces before it.
    fn consumed(&self, len: usize, current: MutexGuard<'_, Bytes>) -> bool {
        let mut lane = lock(&self.lane);
        let update = lane.consumed(len, current.is_empty());
        self.account.set(lane.memory());
        drop(lane);
        drop(current);
        update
    }

    /// Makes sure that there is a piece in `current`. Without one, gives the lane out, still locked.
    fn refill(&self, current: &mut Bytes) -> Option<MutexGuard<'_, RecvLane>> {
        if current.is_empty() {
            let mut lane = lock(&self.lane);
            lane.let_go();
            match lane.next_piece() {
                Some(piece) => *current = piece,
                None => return Some(lane),
            }
        }
        None
    }

    fn nothing(lane: &mut RecvLane, waiter: &Waiter<'_, '_>) -> Poll<Result<Read, EndCause>> {
        match lane.end {
            Some(End::Fin) => Poll::Ready(Ok(Read::Eof)),
            Some(End::Broken(cause)) => Poll::Ready(Err(cause)),
            None => {
                lane.waiters.register(waiter);
                Poll::Pending
            }
        }
    }

    /// Hands up to `want` bytes to `sink` and leaves them in the lane.
    pub(crate) fn peek(
        &self,
        want: usize,
        waiter: &Waiter<'_, '_>,
        mut sink: impl FnMut(&[u8]),
    ) -> Poll<Result<Read, EndCause>> {
        let current = lock(&self.current);
        let mut pieces = Vec::new();
        let mut seen = current.len();
        {
            let mut lane = lock(&self.lane);
            if want > seen {
                lane.seal_tail();
                for chunk in &lane.chunks {
                    pieces.push(chunk.clone());
                    seen += chunk.len();
                    if seen >= want {
                        break;
                    }
                }
            }
            if seen == 0 && want > 0 {
                return Self::nothing(&mut lane, waiter);
            }
        }
        let mut len = 0;
        for piece in std::iter::once(&*current).chain(&pieces) {
            let part = piece.len().min(want - len);
            sink(&piece[..part]);
            len += part;
        }
        Poll::Ready(Ok(Read::Data { len, update: false }))
    }

    /// Ready when a read would not wait: bytes, end of stream or an error.
    pub(crate) fn poll_readable(&self, waiter: &Waiter<'_, '_>) -> Poll<()> {
        let mut lane = lock(&self.lane);
        if lane.unread > 0 || lane.end.is_some() {
            return Poll::Ready(());
        }
        lane.waiters.register(waiter);
        Poll::Pending
    }

    /// A future does not wait any more.
    pub(crate) fn forget(&self, place: u64) {
        lock(&self.lane).waiters.forget(place);
    }

    /// Bytes that the application has not read.
    pub(crate) fn unread(&self) -> usize {
        lock(&self.lane).unread
    }

    /// Memory that received data takes, with what the connection holds out of order.
    pub(crate) fn memory(&self) -> usize {
        lock(&self.lane).memory()
    }

    /// The actor says how much memory the connection holds out of order.
    pub(crate) fn set_out_of_order(&self, memory: usize) {
        let mut lane = lock(&self.lane);
        lane.out_of_order = u32::try_from(memory).unwrap_or(u32::MAX);
        self.account.set(lane.memory());
        drop(lane);
    }

    /// The actor hands over pieces of the stream, in order, and wakes the reader. `pieces` is empty then.
    pub(crate) fn publish(&self, pieces: &mut VecDeque<Bytes>) {
        while let Some(piece) = next_merged(pieces) {
            let mut lane = lock(&self.lane);
            if piece.len() >= COPY_BELOW {
                lane.unread += piece.len();
                lane.seal_tail();
                lane.push(piece);
                continue;
            }
            // The tail leaves the lane while it is copied into; a reader sees older chunks meanwhile, in order.
            let tail = std::mem::take(&mut lane.tail);
            drop(lane);
            let (full, tail) = append(tail, &piece);
            let mut lane = lock(&self.lane);
            if let Some(full) = full {
                lane.push(full);
            }
            lane.unread += piece.len();
            lane.tail = tail;
        }
        let mut lane = lock(&self.lane);
        let waiters = if lane.unread > 0 { lane.waiters.take() } else { Waiters::default() };
        self.account.set(lane.memory());
        drop(lane);
        waiters.wake();
    }

    /// The actor says at which level of unread bytes it wants to be woken. Returns the bytes unread when that level
    /// is reached already.
    #[must_use]
    pub(crate) fn set_update_at(&self, level: Option<usize>) -> Option<usize> {
        let mut lane = lock(&self.lane);
        match level {
            Some(level) if lane.unread <= level => {
                lane.update_at = None;
                Some(lane.unread)
            }
            _ => {
                lane.update_at = level.map(|level| u32::try_from(level).unwrap_or(u32::MAX));
                None
            }
        }
    }

    /// The peer's FIN came in order. The first end counts.
    pub(crate) fn finish(&self) {
        self.end(End::Fin);
    }

    /// The connection broke. What was received before stays readable; then each read fails.
    pub(crate) fn fail(&self, cause: EndCause) {
        self.end(End::Broken(cause));
    }

    fn end(&self, end: End) {
        let mut lane = lock(&self.lane);
        if lane.end.is_some() {
            return;
        }
        lane.end = Some(end);
        let waiters = lane.waiters.take();
        drop(lane);
        waiters.wake();
    }

    /// Throws away what nobody will read.
    pub(crate) fn discard(&self) {
        let mut current = lock(&self.current);
        let mut lane = lock(&self.lane);
        (lane.unread, lane.stored, lane.current) = (0, 0, 0);
        let pieces =
            (std::mem::take(&mut lane.chunks), std::mem::take(&mut lane.tail), std::mem::take(&mut *current));
        self.account.set(lane.memory());
        drop(lane);
        drop(current);
        drop(pieces);
    }
}

/// Takes the next piece out. Of a run of small ones as many as [`MAX_RUN`] allows are copied into one: a batch of frames
/// then costs one allocation of the right size and pins none of them.
fn next_merged(pieces: &mut VecDeque<Bytes>) -> Option<Bytes> {
    let mut len = 0;
    let run = pieces.iter().take_while(|piece| {
        len += piece.len();
        piece.len() < COPY_BELOW && len <= MAX_RUN
    });
    let run = run.count();
    if run < 2 {
        return pieces.pop_front();
    }
    let len: usize = pieces.iter().take(run).map(Bytes::len).sum();
    // A block is accounted for by what it holds: only nearly full ones are.
    let whole = len > MAX_RUN - MAX_RUN / 8;
    let mut merged = if whole { blocks::block() } else { BytesMut::with_capacity(len) };
    for piece in pieces.drain(..run) {
        merged.extend_from_slice(&piece);
    }
    Some(merged.freeze())
}

/// A sealed tail, which may lie in a block far larger than it.
fn sealed(tail: BytesMut) -> Bytes {
    if tail.len() < tail.capacity() / 2 { Bytes::copy_from_slice(&tail) } else { tail.freeze() }
}

/// Appends a small piece to an open tail. A full tail is sealed, and a larger one begun: the reader lags behind.
fn append(mut tail: BytesMut, piece: &[u8]) -> (Option<Bytes>, BytesMut) {
    if tail.is_empty() {
        return (None, BytesMut::from(piece));
    }
    if tail.capacity() - tail.len() >= piece.len() {
        tail.extend_from_slice(piece);
        return (None, tail);
    }
    let mut next = BytesMut::with_capacity(TAIL_BLOCK);
    next.extend_from_slice(piece);
    (Some(sealed(tail)), next)
}
