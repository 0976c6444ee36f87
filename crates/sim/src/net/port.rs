//! Devices at the ends of links.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use netstack_device::{
    Capabilities, Checksum, Device, DeviceCounters, Halves, HeadBuf, Meta, Offloads, RxBatch, RxFrame,
    RxQueue, SendError, Turn, TxFrame, TxQueue, segment,
};

use super::driver;
use super::fabric::Shared;

/// A device at the end of a simulated link.
///
/// It takes super-segments and unfinished checksums; both are finished before the link, which carries packets of the wire. It
/// never refuses a frame for want of room: a bounded queue drops what does not fit, as a router would.
pub struct SimDevice {
    network: Arc<Shared>,
    /// The directions by which packets leave, and come.
    out: usize,
    into: usize,
    mtu: usize,
    generation: u32,
}

impl SimDevice {
    /// The device of a host on a link: packets leave by `out`, and come by the reverse direction. Takes the place of the one
    /// that was there before.
    pub(crate) fn attach(network: &Arc<Shared>, out: usize) -> Self {
        let into = out ^ 1;
        let (mtu, generation) = network.with(|state, _| {
            let waker = state.channels[into].receiver.replace();
            state.wakers.extend(waker);
            (state.channels[out].mtu, state.channels[into].receiver.generation)
        });
        Self { network: Arc::clone(network), out, into, mtu, generation }
    }
}

impl fmt::Debug for SimDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDevice").field("out", &self.out).field("mtu", &self.mtu).finish_non_exhaustive()
    }
}

impl Device for SimDevice {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        driver::start(&self.network);
        let counters = Arc::new(Mutex::new(DeviceCounters::default()));
        let Self { network, out, into, mtu, generation } = *self;
        let tx = SimTx {
            network: Arc::clone(&network),
            out,
            into,
            mtu,
            generation,
            counters: Arc::clone(&counters),
        };
        let rx = SimRx { network, into, generation, counters };
        Ok((vec![Box::new(rx)], Arc::new(tx)))
    }
}

struct SimTx {
    network: Arc<Shared>,
    out: usize,
    into: usize,
    mtu: usize,
    generation: u32,
    counters: Arc<Mutex<DeviceCounters>>,
}

impl fmt::Debug for SimTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTx").field("out", &self.out).field("mtu", &self.mtu).finish_non_exhaustive()
    }
}

impl SimTx {
    fn count(&self, frame: &TxFrame<'_>, lost: bool) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if lost {
            counters.tx_lost += 1;
            return;
        }
        counters.tx_frames += 1;
        counters.tx_bytes += frame.len() as u64;
        counters.tx_gso += u64::from(frame.meta.gso.is_some());
        counters.tx_partial += u64::from(matches!(frame.meta.checksum, Checksum::Partial { .. }));
    }
}

impl TxQueue for SimTx {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ip(self.mtu).with_tx(Offloads::ALL)
    }

    fn try_send(&self, frame: TxFrame<'_>, _turn: &mut Turn) -> Result<(), SendError> {
        let packets = match finish(&frame, self.mtu) {
            Ok(packets) => packets,
            Err(error) => {
                self.count(&frame, true);
                return Err(SendError::Lost(error));
            }
        };
        self.network.with(|state, now| {
            if state.channels[self.into].receiver.generation != self.generation {
                return Err(SendError::Closed(replaced()));
            }
            for packet in packets {
                state.send(now, self.out, packet);
            }
            Ok(())
        })?;
        self.count(&frame, false);
        Ok(())
    }

    fn poll_ready(&self, _cx: &mut Context<'_>, _turn: &mut Turn) -> Poll<()> {
        Poll::Ready(())
    }

    fn leave(&self, _turn: &mut Turn) {}

    fn counters(&self) -> DeviceCounters {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a device in whose place there is another.
fn replaced() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the host of this device was restarted")
}

/// The packets of the wire that a frame stands for, finished, each in one piece.
fn finish(frame: &TxFrame<'_>, mtu: usize) -> io::Result<Vec<Bytes>> {
    let mut pieces = segment(frame.head.as_slice(), frame.payload, frame.meta)?;
    let mut packets = Vec::with_capacity(pieces.remaining());
    let (mut head, mut payload) = (HeadBuf::new(), Vec::new());
    while pieces.next_into(&mut head, &mut payload) {
        let piece = TxFrame { head: &mut head, payload: &payload, meta: Meta::default(), flow: frame.flow };
        if piece.is_empty() || piece.len() > mtu {
            let text = format!("a packet of {} bytes does not fit an MTU of {mtu}", piece.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        packets.push(piece.to_bytes());
    }
    Ok(packets)
}

struct SimRx {
    network: Arc<Shared>,
    into: usize,
    generation: u32,
    counters: Arc<Mutex<DeviceCounters>>,
}

impl RxQueue for SimRx {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        if batch.is_full() {
            return Poll::Ready(Ok(()));
        }
        let (frames, bytes) = (batch.len(), batch.bytes());
        let is_current = self.network.with(|state, _| {
            let epoch = state.epoch();
            let receiver = &mut state.channels[self.into].receiver;
            if receiver.generation != self.generation {
                return false;
            }
            while !batch.is_full() {
                let Some((at, data)) = receiver.inbox.pop_front() else { break };
                let at = epoch + std::time::Duration::from_nanos(at.as_nanos());
                batch.push(RxFrame { data, meta: Meta::default(), at });
            }
            if batch.len() == frames {
                receiver.waker = Some(cx.waker().clone());
            }
            true
        });
        if !is_current {
            return Poll::Ready(Err(replaced()));
        }
        let taken = batch.len() - frames;
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.rx_frames += taken as u64;
        counters.rx_bytes += (batch.bytes() - bytes) as u64;
        if taken > 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl Drop for SimRx {
    fn drop(&mut self) {
        self.network.with(|state, _| {
            let receiver = &mut state.channels[self.into].receiver;
            if receiver.generation == self.generation {
                receiver.is_gone = true;
                receiver.inbox.clear();
            }
        });
    }
}
