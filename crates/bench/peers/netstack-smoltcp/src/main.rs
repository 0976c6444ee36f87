//! netstack-smoltcp as a server of the side-by-side benchmark, over `tun-rs` with offload as in its example
//! `forward-offload-linux`: what it sends are packets, what it receives are super-segments that `tun-rs` cuts.

use std::error::Error;
use std::sync::Arc;

use clap::Parser;
use futures::{SinkExt, StreamExt};
use netstack_bench_services::{MTU, ServerArgs, ready, serve, until_the_parent_ends};
use netstack_smoltcp::StackBuilder;
use tun_rs::{DeviceBuilder, IDEAL_BATCH_SIZE, VIRTIO_NET_HDR_LEN};

/// Room for a packet that `tun-rs` cuts; the example has the same.
const PACKET: usize = 1600;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Cli::parse().server;
    let runtime = args.runtime()?;
    runtime.block_on(start(&args))?;
    ready()?;
    Ok(until_the_parent_ends()?)
}

async fn start(args: &ServerArgs) -> Result<(), Box<dyn Error>> {
    let device = DeviceBuilder::new().name(&args.device).mtu(MTU).offload(true).enable(false);
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
    let (mut to_stack, mut from_stack) = stack.split();
    let writer = Arc::clone(&device);
    tokio::spawn(async move {
        let mut buffer = Vec::new();
        while let Some(Ok(packet)) = from_stack.next().await {
            // A header of zeros says: one packet, finished.
            buffer.clear();
            buffer.resize(VIRTIO_NET_HDR_LEN, 0);
            buffer.extend_from_slice(&packet);
            let _lost = writer.send(&buffer).await;
        }
    });
    tokio::spawn(async move {
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
    });
    let service = args.service;
    tokio::spawn(async move {
        while let Some((stream, _, _)) = listener.next().await {
            tokio::spawn(serve(service, stream));
        }
    });
    Ok(())
}
