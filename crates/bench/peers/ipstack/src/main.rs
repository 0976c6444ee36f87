//! ipstack as a server of the side-by-side benchmark, over the `tun` crate as in its example.

use std::error::Error;

use clap::Parser;
use ipstack::{IpStack, IpStackConfig, IpStackStream, TcpConfig, TcpOptions};
use netstack_bench_services::{MTU, ServerArgs, ready, serve, until_the_parent_ends};

/// The TCP header and the IPv4 header without options.
const HEADERS: u16 = 40;

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
    let mut device = tun::Configuration::default();
    device.tun_name(&args.device).mtu(MTU);
    let device = tun::create_as_async(&device)?;

    let mut tcp = TcpConfig::default();
    tcp.options = Some(vec![TcpOptions::MaximumSegmentSize(MTU - HEADERS)]);
    // The limit of unacknowledged bytes stays at its default of 16 KiB: with more, a download stalls again and again.
    tcp.read_buffer_size = args.buffer;
    let mut config = IpStackConfig::default();
    config.mtu(MTU)?;
    config.with_tcp_config(tcp);
    let mut stack = IpStack::new(config, device);
    let service = args.service;
    tokio::spawn(async move {
        while let Ok(stream) = stack.accept().await {
            if let IpStackStream::Tcp(stream) = stream {
                tokio::spawn(serve(service, stream));
            }
        }
    });
    Ok(())
}
