//! A device that writes the segments that pass it into a [`Timeline`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use netstack_device::{
    Capabilities, Device, DeviceCounters, Halves, RxBatch, RxQueue, SendError, Turn, TxFrame, TxQueue,
};
use netstack_wire::tcp::TcpHeader;
use netstack_wire::{Protocol, ip};

use crate::kernel_state::kernel_state;
use crate::timeline::{Captured, Timeline};

/// Wraps the server's device.
#[derive(Debug)]
pub(crate) struct Capture<D> {
    pub(crate) device: D,
    pub(crate) timeline: Timeline,
    /// Whether the client is the kernel of this machine, whose state can be asked for.
    pub(crate) ask_kernel: bool,
}

impl<D: Device> Device for Capture<D> {
    fn split(self: Box<Self>) -> io::Result<Halves> {
        let Self { device, timeline, ask_kernel } = *self;
        let (receivers, sender) = Box::new(device).split()?;
        let receiver =
            |queue| Box::new(Receiver { queue, timeline: timeline.clone(), ask_kernel }) as Box<dyn RxQueue>;
        let receivers = receivers.into_iter().map(receiver).collect();
        Ok((receivers, Arc::new(Sender { queue: sender, timeline, ask_kernel })))
    }
}

struct Receiver {
    queue: Box<dyn RxQueue>,
    timeline: Timeline,
    ask_kernel: bool,
}

impl RxQueue for Receiver {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut RxBatch) -> Poll<io::Result<()>> {
        let known = batch.len();
        let result = self.queue.poll_recv(cx, batch);
        if self.timeline.is_recording() {
            for frame in &batch.frames()[known..] {
                let Some(mut captured) = parse(&frame.data) else { continue };
                if self.ask_kernel {
                    captured.client_state = Some(kernel_state(captured.src, captured.dst));
                }
                self.timeline.segment(captured);
            }
        }
        result
    }
}

#[derive(Debug)]
struct Sender {
    queue: Arc<dyn TxQueue>,
    timeline: Timeline,
    ask_kernel: bool,
}

impl TxQueue for Sender {
    fn capabilities(&self) -> Capabilities {
        self.queue.capabilities()
    }

    fn try_send(&self, frame: TxFrame<'_>, turn: &mut Turn) -> Result<(), SendError> {
        if !self.timeline.is_recording() {
            return self.queue.try_send(frame, turn);
        }
        let Some(captured) = parse(&frame.to_bytes()) else { return self.queue.try_send(frame, turn) };
        let (kernel, stack) = (captured.dst, captured.src);
        // The place in the order is taken before: the kernel may answer before `try_send` returns.
        let place = self.timeline.segment(captured);
        let result = self.queue.try_send(frame, turn);
        match result {
            Ok(()) if self.ask_kernel => self.timeline.client_state(place, kernel_state(kernel, stack)),
            Err(SendError::Full | SendError::Offload) => self.timeline.retract(place),
            _ => {}
        }
        result
    }

    fn poll_ready(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        self.queue.poll_ready(cx, turn)
    }

    fn leave(&self, turn: &mut Turn) {
        self.queue.leave(turn);
    }

    fn close(&self) {
        self.queue.close();
    }

    fn counters(&self) -> DeviceCounters {
        self.queue.counters()
    }
}

fn parse(frame: &[u8]) -> Option<Captured> {
    let packet = ip::parse(frame).ok().filter(|packet| packet.protocol == Protocol::TCP)?;
    let (header, header_len) = TcpHeader::parse(packet.payload).ok()?;
    Some(Captured {
        src: SocketAddr::new(packet.src, header.src_port),
        dst: SocketAddr::new(packet.dst, header.dst_port),
        header,
        payload_len: packet.payload.len() - header_len,
        client_state: None,
    })
}
