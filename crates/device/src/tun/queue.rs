//! The two halves of a TUN device.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use nix::libc;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::time::Instant;
use tokio_tun::Tun;

use super::buffers::Buffers;
use super::nudge::Nudge;
use super::{sys, vnet};
use crate::backoff::Backoff;
use crate::counters::Counters;
use crate::queue::gone;
use crate::{
    Capabilities, DeviceCounters, GsoKind, Meta, Offloads, RxBatch, RxFrame, RxQueue, SendError, Turn,
    TxFrame, TxQueue,
};

/// No read may be cut short, whatever the MTU has been raised to: the longest packet with its header.
const READ_SIZE: usize = RxFrame::READ_BUFFER;
const _: () = assert!(READ_SIZE > Capabilities::MAX_FRAME + vnet::LEN, "the longest packet shows as such");
const _: () = assert!(READ_SIZE / 2 >= RxFrame::LARGE + vnet::LEN, "what is not large is copied");
/// Packets up to this length are written from one buffer: the kernel takes longer to gather two slices than we to copy.
const FLAT: usize = 2048;
/// Slices written without an allocation: the head and the 64 that a transmission has at most.
const SLICES: usize = 65;

/// Whether an error means that the device is gone.
fn is_fatal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::EBADFD | libc::ENODEV))
        || error.kind() == io::ErrorKind::UnexpectedEof
}

/// Resolves when epoll says EPOLLERR for a device: it is being removed.
///
/// Removal shows as EPOLLERR alone, which Tokio tells those who write and not those who read: without this the
/// reader of an idle device would never learn of it.
type Removal = Pin<Box<dyn Future<Output = ()> + Send>>;

fn removal(tun: &Tun) -> io::Result<Removal> {
    // The kernel adds errors to any set of events; the set asked for stays silent as packets come in.
    let descriptor = sys::watch(sys::duplicate(tun)?, Interest::PRIORITY)?;
    Ok(Box::pin(async move {
        // It fails only with the runtime shut down.
        let _ = descriptor.ready(Interest::ERROR).await;
    }))
}

pub(super) struct TunRx {
    tun: Tun,
    removal: Option<Removal>,
    /// Packets come with the header of IFF_VNET_HDR.
    headers: bool,
    buffers: Buffers,
    nudge: Arc<Nudge>,
    /// Writers have woken us: read until the kernel has nothing, whatever epoll has said.
    look: bool,
    backoff: Backoff,
    counters: Arc<Counters>,
    /// A fatal error that came behind frames.
    ended: Option<io::Error>,
}

impl TunRx {
    pub(super) fn new(
        tun: Tun,
        headers: bool,
        nudge: Arc<Nudge>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let removal = Some(removal(&tun)?);
        let (buffers, backoff) = (Buffers::new(READ_SIZE), Backoff::default());
        Ok(Self { tun, removal, headers, buffers, nudge, look: false, backoff, counters, ended: None })
    }

    /// Whether an idle device is still there; ready with the error if it is not.
    fn poll_removal(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if let Some(removal) = &mut self.removal {
            ready!(removal.as_mut().poll(cx));
            self.removal = None;
        }
        match sys::flags(&self.tun) {
            Err(error) => Poll::Ready(error),
            Ok(_) => {
                // The removal has begun and is not through.
                self.backoff.error();
                self.backoff.poll(cx).map(|()| gone())
            }
        }
    }

    /// One packet; `None` for one that contradicts its header. `tokio-tun`'s `poll_read` and not its `recv`, which is not
    /// counted in the task's budget; but for a reader whom writers have woken, for whom epoll has not said that there
    /// is anything.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<(Bytes, Meta)>>> {
        let mut buf = ReadBuf::new(self.buffers.read_buf());
        match self.look.then(|| self.tun.try_recv(buf.initialize_unfilled())) {
            Some(Ok(len)) => buf.set_filled(len),
            Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
            _ => {
                self.look = false;
                ready!(Pin::new(&mut self.tun).poll_read(cx, &mut buf))?;
            }
        }
        let len = buf.filled().len();
        if len == 0 {
            return Poll::Ready(Err(gone()));
        }
        let (start, meta) = if self.headers {
            let meta = match buf.filled().split_first_chunk::<{ vnet::LEN }>() {
                Some((header, frame)) => vnet::decode(header, frame),
                None => None,
            };
            let Some(meta) = meta else { return Poll::Ready(Ok(None)) };
            (vnet::LEN, meta)
        } else {
            (0, Meta::default())
        };
        Poll::Ready(Ok(Some((self.buffers.take(start, len), meta))))
    }
}

impl RxQueue for TunRx {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        if let Some(error) = self.ended.take() {
            return Poll::Ready(Err(error));
        }
        let before = batch.len();
        self.look |= self.nudge.awake();
        while !batch.is_full() {
            let read = match self.backoff.poll(cx) {
                Poll::Ready(()) => self.poll_read(cx),
                Poll::Pending => Poll::Pending,
            };
            match read {
                Poll::Ready(Ok(Some((data, meta)))) => {
                    self.backoff.reset();
                    self.counters.received(data.len(), meta);
                    batch.push(RxFrame { data, meta, at: Instant::now() });
                }
                Poll::Ready(Ok(None)) => Counters::add(&self.counters.rx_dropped, 1),
                Poll::Ready(Err(error)) if is_fatal(&error) => {
                    if batch.len() == before {
                        return Poll::Ready(Err(error));
                    }
                    self.ended = Some(error);
                    break;
                }
                Poll::Ready(Err(error)) => {
                    Counters::add(&self.counters.rx_errors, 1);
                    tracing::debug!(%error, "reading from the TUN device failed; trying again");
                    self.backoff.error();
                }
                Poll::Pending if batch.len() == before => {
                    self.nudge.sleep(cx.waker());
                    return self.poll_removal(cx).map(Err);
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The sending end of a queue, and its reader.
pub(super) struct Writer {
    pub(super) file: File,
    pub(super) nudge: Arc<Nudge>,
}

/// Writes by a descriptor of its own, so that any actor may write while the ingress reads.
pub(super) struct TunTx {
    name: String,
    /// One per queue, at least one.
    writers: Vec<Writer>,
    caps: Capabilities,
    /// Packets go with the header of IFF_VNET_HDR.
    headers: bool,
    /// The kernel has refused a super-segment: none is offered to it any more.
    segment_in_software: AtomicBool,
    /// The same of super-datagrams.
    cut_datagrams_in_software: AtomicBool,
    counters: Arc<Counters>,
}

impl TunTx {
    pub(super) fn new(
        name: String,
        writers: Vec<Writer>,
        caps: Capabilities,
        headers: bool,
        counters: Arc<Counters>,
    ) -> Self {
        let (segment_in_software, cut_datagrams_in_software) = Default::default();
        Self { name, writers, caps, headers, segment_in_software, cut_datagrams_in_software, counters }
    }

    /// What may be left to the kernel as of now.
    fn offloads(&self) -> Offloads {
        let uso = self.caps.tx.uso && !self.cut_datagrams_in_software.load(Relaxed);
        match self.segment_in_software.load(Relaxed) {
            true => Offloads { checksum: self.caps.tx.checksum, uso, ..Offloads::NONE },
            false => Offloads { uso, ..self.caps.tx },
        }
    }

    /// Some kernels take the flags and refuse the frames: from here on super-segments are cut before they come here.
    fn stop_segmentation_offload(&self, kind: GsoKind, error: &io::Error) {
        let in_software = match kind {
            GsoKind::Tcp4 | GsoKind::Tcp6 => &self.segment_in_software,
            GsoKind::Udp => &self.cut_datagrams_in_software,
        };
        if !in_software.swap(true, Relaxed) {
            tracing::warn!(name = self.name, %error, "the kernel refused a super-segment; cutting them in software");
        }
    }

    /// One packet by one call. A flow has one queue for good: the kernel sends its packets
    /// to the queue that wrote last.
    fn write(&self, frame: &TxFrame<'_>) -> io::Result<usize> {
        let writer = &self.writers[frame.flow as usize % self.writers.len()];
        let written = Self::write_to(&writer.file, frame);
        if written.is_ok() {
            writer.nudge.written();
        }
        written
    }

    fn write_to(mut writer: &File, frame: &TxFrame<'_>) -> io::Result<usize> {
        if frame.len() <= FLAT {
            let mut flat = [0; FLAT];
            return writer.write(frame.copy_to(&mut flat));
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        if frame.payload.len() >= SLICES {
            return writer.write(&frame.to_bytes());
        }
        slices[0] = IoSlice::new(frame.head.as_slice());
        for (slice, bytes) in slices[1..].iter_mut().zip(frame.payload) {
            *slice = IoSlice::new(bytes);
        }
        writer.write_vectored(&slices[..=frame.payload.len()])
    }

    fn lost(&self, error: io::Error) -> SendError {
        Counters::add(&self.counters.tx_lost, 1);
        SendError::Lost(error)
    }
}

impl fmt::Debug for TunTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TunTx").field("name", &self.name).field("caps", &self.caps).finish_non_exhaustive()
    }
}

impl TxQueue for TunTx {
    fn capabilities(&self) -> Capabilities {
        Capabilities { tx: self.offloads(), ..self.caps.clone() }
    }

    fn try_send(&self, frame: TxFrame<'_>, _: &mut Turn) -> Result<(), SendError> {
        if !self.offloads().accept(frame.meta) {
            Counters::add(&self.counters.tx_offload_refused, 1);
            return Err(SendError::Offload);
        }
        frame.check(&self.caps).map_err(|e| self.lost(e))?;
        let len = frame.len();
        if self.headers {
            let head_len = frame.head.len();
            vnet::encode(frame.meta, head_len, frame.head.prepend(vnet::LEN));
        }
        match self.write(&frame) {
            Ok(n) if n == frame.len() => {
                self.counters.sent(len, frame.meta);
                Ok(())
            }
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) && frame.meta.gso.is_some() => {
                let kind = frame.meta.gso.map_or(GsoKind::Tcp4, |gso| gso.kind);
                self.stop_segmentation_offload(kind, &e);
                Counters::add(&self.counters.tx_offload_refused, 1);
                Err(SendError::Offload)
            }
            Ok(n) => Err(self.lost(io::Error::new(
                io::ErrorKind::WriteZero,
                format!("the TUN device took {n} of {} bytes", frame.len()),
            ))),
            Err(e) if is_fatal(&e) => Err(SendError::Closed(e)),
            Err(e) => Err(self.lost(e)),
        }
    }

    fn poll_ready(&self, _: &mut Context<'_>, _: &mut Turn) -> Poll<()> {
        Poll::Ready(())
    }

    fn leave(&self, _: &mut Turn) {}

    fn counters(&self) -> DeviceCounters {
        self.counters.snapshot()
    }
}
