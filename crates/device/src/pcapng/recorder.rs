//! The thread that writes a capture.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};
use tokio::time::Instant;

use crate::frame::payload_len;
use crate::{HeadBuf, Meta, RxFrame, segment, segment_received};

/// Bytes of frames that may wait for the thread.
const MAX_QUEUED: usize = 16 << 20;
/// What a frame costs beside its bytes.
const FRAME_OVERHEAD: usize = 256;
/// How long the last user waits for the file to be complete.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The two lowest bits of the flags word of a packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    In = 1,
    Out = 2,
}

/// A frame as it passed the device.
pub(super) struct Frame {
    /// Empty for a received frame, which comes in one piece.
    pub(super) head: Vec<u8>,
    pub(super) payload: Vec<Bytes>,
    pub(super) meta: Meta,
    pub(super) at: Instant,
    pub(super) direction: Direction,
}

impl Frame {
    pub(super) fn received(frame: &RxFrame) -> Self {
        Self {
            head: Vec::new(),
            payload: vec![frame.data.clone()],
            meta: frame.meta,
            at: frame.at,
            direction: Direction::In,
        }
    }

    fn cost(&self) -> usize {
        self.head.len() + payload_len(&self.payload) + FRAME_OVERHEAD
    }
}

#[derive(Debug, Default)]
struct Shared {
    queued: AtomicUsize,
    lost: AtomicU64,
    failed: AtomicBool,
}

/// The near side of the thread.
pub(super) struct Recorder {
    shared: Arc<Shared>,
    /// `None` only while being dropped.
    frames: Mutex<Option<Sender<Frame>>>,
    done: Mutex<Receiver<()>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Recorder {
    pub(super) fn start(name: &str, writer: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (frames, inbox) = channel();
        let (finished, done) = channel();
        let file = Writer {
            clock: Clock::new(),
            inbox,
            shared: Arc::clone(&shared),
            name: name.to_owned(),
            unflushed: 0,
        };
        thread::Builder::new().name("netstack-pcapng".to_owned()).spawn(move || {
            file.run(writer);
            // Nobody waits any more if this fails.
            let _ = finished.send(());
        })?;
        Ok(Self { shared, frames: Mutex::new(Some(frames)), done: Mutex::new(done) })
    }

    /// Whether there is still a capture to take frames down for.
    pub(super) fn is_on(&self) -> bool {
        !self.shared.failed.load(Relaxed)
    }

    /// Frames passed that nobody took down.
    pub(super) fn skip(&self, frames: usize) {
        self.shared.lost.fetch_add(frames as u64, Relaxed);
    }

    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed)
    }

    pub(super) fn record(&self, frame: Frame) {
        let cost = frame.cost();
        if self.shared.queued.fetch_add(cost, Relaxed) + cost > MAX_QUEUED {
            self.shared.queued.fetch_sub(cost, Relaxed);
            self.skip(1);
            return;
        }
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if frames.as_ref().is_none_or(|frames| frames.send(frame).is_err()) {
            self.skip(1);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        *self.frames.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        if done.recv_timeout(MAX_WAIT).is_err() {
            tracing::warn!("the capture is not complete: its writer takes too long");
        }
    }
}

/// Turns instants, which a test may pause, into times of day.
struct Clock {
    start: Instant,
    wall: Duration,
}

impl Clock {
    fn new() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), wall }
    }

    fn time_of(&self, at: Instant) -> Duration {
        match at.checked_duration_since(self.start) {
            Some(later) => self.wall.saturating_add(later),
            None => self.wall.saturating_sub(self.start.duration_since(at)),
        }
    }
}

/// Bytes in the buffer before the file at which it is emptied.
const FLUSH_AT: usize = 1 << 16;

/// The far side.
struct Writer {
    clock: Clock,
    inbox: Receiver<Frame>,
    shared: Arc<Shared>,
    name: String,
    /// Frames that may still be in the buffer before the file.
    unflushed: u64,
}

impl Writer {
    fn run(mut self, writer: impl Write) {
        let Err(error) = self.write_all(writer) else { return };
        self.shared.failed.store(true, Relaxed);
        tracing::warn!(%error, "writing the capture failed; it ends here");
        // Frames still come from those who have not seen it.
        let left = self.inbox.try_iter().count() as u64;
        self.shared.lost.fetch_add(left + self.unflushed, Relaxed);
    }

    fn write_all(&mut self, writer: impl Write) -> Result<(), PcapError> {
        let mut file = PcapNgWriter::new(BufWriter::with_capacity(2 * FLUSH_AT, writer))?;
        file.write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::RAW,
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed(&self.name)),
                // Nanoseconds.
                InterfaceDescriptionOption::IfTsResol(9),
            ],
        })?;
        loop {
            let frame = match self.inbox.try_recv() {
                Ok(frame) => frame,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    // Idle: let those who look at the file see all of it.
                    self.flush(file.get_mut())?;
                    match self.inbox.recv() {
                        Ok(frame) => frame,
                        Err(_) => break,
                    }
                }
            };
            self.shared.queued.fetch_sub(frame.cost(), Relaxed);
            self.unflushed += 1;
            self.write(&mut file, &frame)?;
            if file.get_ref().buffer().len() >= FLUSH_AT {
                self.flush(file.get_mut())?;
            }
        }
        self.flush(file.get_mut())
    }

    fn flush(&mut self, file: &mut impl Write) -> Result<(), PcapError> {
        file.flush().map_err(PcapError::IoError)?;
        self.unflushed = 0;
        Ok(())
    }

    /// Writes a frame as the packets that it is on the wire.
    fn write<W: Write>(&self, file: &mut PcapNgWriter<W>, frame: &Frame) -> Result<(), PcapError> {
        let time = self.clock.time_of(frame.at);
        let mut put = |data: &[u8]| {
            // No packet is longer than a frame, which is bounded far below 4 GiB.
            let original_len = data.len() as u32;
            file.write_pcapng_block(EnhancedPacketBlock {
                interface_id: 0,
                timestamp: time,
                original_len,
                data: Cow::Borrowed(data),
                options: vec![EnhancedPacketOption::Flags(frame.direction as u32)],
            })
            .map(drop)
        };
        match frame.direction {
            Direction::In => match segment_received(&frame.payload[0], frame.meta) {
                Ok(mut pieces) => pieces.try_for_each(|piece| put(&piece)),
                Err(_) => put(&frame.payload[0]),
            },
            Direction::Out => {
                let Ok(mut pieces) = segment(&frame.head, &frame.payload[..], frame.meta) else {
                    return put(&crate::frame::gather(&frame.head, &frame.payload));
                };
                let (mut head, mut payload) = (HeadBuf::new(), Vec::new());
                while pieces.next_into(&mut head, &mut payload) {
                    put(&crate::frame::gather(head.as_slice(), &payload))?;
                }
                Ok(())
            }
        }
    }
}
