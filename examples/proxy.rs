//! A forwarder in the manner of tun2socks: whatever connection arrives on a TUN device is dialled with the host's sockets.
//!
//! `cargo run --release --example proxy` shows it between network namespaces that the program makes; it needs no set-up.
//! `--tun NAME --addr 192.0.2.2/24` forwards what a TUN device of yours brings, and `--help` has the rest. All of the
//! forwarder is in `proxy/forward.rs`.

#[path = "proxy/client.rs"]
mod client;
#[path = "proxy/demo.rs"]
mod demo;
#[path = "shared/farewell.rs"]
mod farewell;
#[path = "proxy/forward.rs"]
mod forward;
#[path = "shared/link.rs"]
mod link;
#[path = "shared/number.rs"]
mod number;
#[path = "echo/pattern.rs"]
mod pattern;
#[path = "shared/say.rs"]
mod say;
#[path = "proxy/upstream.rs"]
mod upstream;

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use tokio::runtime::Builder;
use tokio_netstack::Stack;

use crate::demo::Load;
use crate::farewell::Farewell;
use crate::forward::Dial;
use crate::link::Link;

/// Dials whatever arrives on a TUN device with the host's sockets.
///
/// A TCP connection is answered once its destination has answered the forwarder:
/// a closed port is refused, a silent one stays silent. UDP flows keep the
/// address and port that they were sent to.
///
/// Without options it makes two network namespaces: the packets of all
/// connections of the first go into the TUN device, and the forwarder's sockets
/// are in the second, beside some servers. It scans ports, downloads and sends
/// datagrams through itself, and leaves nothing behind; the exit status is 0 if
/// all that arrived was right.
///
/// With --tun it forwards what that TUN device brings, until Ctrl-C or SIGTERM.
/// Route into the device what is to be forwarded, and keep the forwarder's own
/// connections out of it with --interface.
#[derive(Debug, Parser)]
#[command(name = "proxy", version, verbatim_doc_comment)]
struct Args {
    #[command(flatten)]
    link: Link,

    /// Network interface that the forwarder's own connections go out of
    #[arg(long, value_name = "NAME", requires = "tun")]
    interface: Option<String>,

    /// Downloads at the same time
    #[arg(long, value_name = "N", default_value_t = 64, conflicts_with = "tun")]
    downloads: u32,

    /// Bytes of each download
    #[arg(long, value_name = "N", default_value_t = 100_000_000, conflicts_with = "tun")]
    bytes: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(mistake) = args.link.check() {
        Args::command().error(ErrorKind::ValueValidation, mistake).exit();
    }
    let done = match args.link.tun.clone() {
        Some(device) => serve(&device, args),
        None => demo::run(&Load { downloads: args.downloads, bytes: args.bytes }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(device: &str, args: Args) -> io::Result<()> {
    Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let farewell = Farewell::new()?;
        let mut builder = Stack::builder().any_address(true).device(args.link.open(device).await?);
        for prefix in args.link.addresses() {
            builder = builder.address(prefix);
        }
        let stack = builder.build()?;
        forward::start(&stack, Dial { interface: args.interface })?;
        eprintln!("ready: forwarding what {device} brings; Ctrl-C ends it");
        farewell.wait(&stack).await;
        Ok(())
    })
}
