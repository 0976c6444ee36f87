//! netstack-smoltcp as a server of the side-by-side benchmark, over `tun-rs`. With `--offload` as in its example
//! `forward-offload-linux`: what it sends are packets, what it receives are super-segments that `tun-rs` cuts.

use std::error::Error;
use std::sync::Arc;

use clap::Parser;
use futures::{Sink, SinkExt, StreamExt};
use netstack_bench_services::{MTU, ServerArgs, ready, serve, until_the_parent_ends};
use netstack_smoltcp::StackBuilder;
use tun_rs::{AsyncDevice, DeviceBuilder, IDEAL_BATCH_SIZE, VIRTIO_NET_HDR_LEN};

/// Room for a packet that `tun-rs` cuts; the example has the same.
const PACKET: usize = 1600;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    server: ServerArgs,
    /// Receive super-segments.
    #[arg(long)]
    offload: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Cli { server, offload } = Cli::parse();
    let runtime = server.runtime()?;
    runtime.block_on(start(&server, offload))?;
    ready()?;
    Ok(until_the_parent_ends()?)
}

async fn start(args: &ServerArgs, offload: bool) -> Result<(), Box<dyn Error>> {
    let device = DeviceBuilder::new().name(&args.device).mtu(MTU).offload(offload).enable(false);
    let device = Arc::new(device.build_async()?);
    let buffer = u32::try_from(args.buffer)?;
    let (stack, runner, _, listener) = StackBuilder::default()
        .enable_tcp(true)
        .mtu(usize::from(MTU))
        .tcp_recv_buffer_size(buffer)
        .tcp_send_buffer_size(buffer)
        .build()?;
    tokio::spawn(runner.ok_or("TCP is on, so it has a runner")?);
    let mut listener = listener.ok_or("TCP is on, so it has a listener")?;
    let (to_stack, mut from_stack) = stack.split();
    let writer = Arc::clone(&device);
    // A header of zeros says: one packet, finished.
    let header = if offload { VIRTIO_NET_HDR_LEN } else { 0 };
    tokio::spawn(async move {
        let mut buffer = Vec::new();
        while let Some(Ok(packet)) = from_stack.next().await {
            buffer.clear();
            buffer.resize(header, 0);
            buffer.extend_from_slice(&packet);
            let _lost = writer.send(&buffer).await;
        }
    });
    if offload {
        tokio::spawn(read_and_cut(device, to_stack));
    } else {
        tokio::spawn(read(device, to_stack));
    }
    let service = args.service;
    tokio::spawn(async move {
        while let Some((stream, _, _)) = listener.next().await {
            tokio::spawn(serve(service, stream));
        }
    });
    Ok(())
}

/// A packet per read.
async fn read<S: Sink<Vec<u8>> + Unpin>(device: Arc<AsyncDevice>, mut to_stack: S) {
    let mut packet = vec![0; usize::from(u16::MAX)];
    while let Ok(size) = device.recv(&mut packet).await {
        if to_stack.send(packet[..size].to_vec()).await.is_err() {
            return;
        }
    }
}

/// A super-segment per read, cut into packets.
async fn read_and_cut<S: Sink<Vec<u8>> + Unpin>(device: Arc<AsyncDevice>, mut to_stack: S) {
    let mut whole = vec![0; VIRTIO_NET_HDR_LEN + usize::from(u16::MAX)];
    let mut packets = vec![vec![0; PACKET]; IDEAL_BATCH_SIZE];
    let mut sizes = vec![0; IDEAL_BATCH_SIZE];
    while let Ok(count) = device.recv_multiple(&mut whole, &mut packets, &mut sizes, 0).await {
        for (packet, &size) in packets.iter().zip(&sizes).take(count) {
            if to_stack.send(packet[..size].to_vec()).await.is_err() {
                return;
            }
        }
    }
}
