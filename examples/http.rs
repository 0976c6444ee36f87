//! A web server of axum on a TCP/IP stack in this process.
//!
//! `cargo run --release --example http` makes a network namespace with a TUN device in it and has curl fetch from the
//! server through the Linux kernel; it needs no set-up. `--tun NAME --addr 192.0.2.2/24` serves on a TUN device, and
//! `--help` has the rest.

#[path = "http/app.rs"]
mod app;
#[path = "http/client.rs"]
mod client;
#[path = "http/demo.rs"]
mod demo;
#[path = "shared/farewell.rs"]
mod farewell;
#[path = "shared/hex.rs"]
mod hex;
#[path = "shared/link.rs"]
mod link;
#[path = "shared/number.rs"]
mod number;
#[path = "echo/pattern.rs"]
mod pattern;
#[path = "shared/say.rs"]
mod say;

use std::io;
use std::process::ExitCode;

use axum::body::Body;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Builder;
use tokio_netstack::ext::Connector;
use tokio_netstack::{Stack, TcpListener};

use crate::client::{Kind, Taken};
use crate::farewell::Farewell;
use crate::link::Link;
use crate::say::say;

/// A web server of axum on a TCP/IP stack that lives in this process.
///
/// GET / greets, GET /bytes/N sends N bytes, and POST /sha256 answers with the
/// checksum of what it gets, over IPv4 and IPv6 on port 80.
///
/// Without options it makes a private network namespace with a TUN device in
/// it and has curl fetch all of it through the Linux kernel. It needs no set-up
/// and leaves nothing behind; the exit status is 0 if every answer was right.
///
/// With --tun it serves on that TUN device until Ctrl-C or SIGTERM; with --get it
/// fetches a page over it, prints its status, length and SHA-256, and ends.
#[derive(Debug, Parser)]
#[command(name = "http", version, verbatim_doc_comment)]
struct Args {
    #[command(flatten)]
    link: Link,

    /// Fetch this page over the TUN device: http://192.0.2.1/
    #[arg(long, value_name = "URL", requires = "tun")]
    get: Option<Uri>,

    /// Bytes of the long download and of the long upload
    #[arg(long, value_name = "N", default_value_t = 100_000_000, conflicts_with = "tun")]
    bytes: u64,

    /// Who fetches [default: curl if it is installed]
    #[arg(long, value_enum, conflicts_with = "tun")]
    client: Option<Kind>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(mistake) = args.link.check() {
        Args::command().error(ErrorKind::ValueValidation, mistake).exit();
    }
    let done = match args.link.tun.clone() {
        Some(device) => on_device(&device, args),
        None => demo::run(args.bytes, args.client),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_device(device: &str, args: Args) -> io::Result<()> {
    Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let farewell = Farewell::new()?;
        let own = args.link.addresses();
        let mut builder = Stack::builder().device(args.link.open(device).await?);
        for &prefix in &own {
            builder = builder.address(prefix);
        }
        let stack = builder.build()?;
        if let Some(url) = args.get {
            say!("{}", fetch(&stack, url).await?);
            stack.shutdown().await;
            return Ok(());
        }
        for prefix in own {
            tokio::spawn(app::serve(TcpListener::bind(&stack, (prefix.addr(), 80)).await?));
            eprintln!("ready: http://{}/ on {device}; Ctrl-C ends it", host(prefix.addr()));
        }
        farewell.wait(&stack).await;
        Ok(())
    })
}

/// Fetches through the stack: the status of the answer, its length and its SHA-256.
async fn fetch(stack: &Stack, url: Uri) -> io::Result<String> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(Connector::new(stack));
    let response = client.get(url).await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let taken = Taken::whole(response.into_body()).await?;
    Ok(format!("{status} {} {}", taken.bytes(), taken.sha256()))
}

/// An address as a URL has it.
fn host(ip: std::net::IpAddr) -> String {
    match ip {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
