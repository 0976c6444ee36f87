//! The demonstration: the kernel is the client, in a network namespace that the program makes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use netstack_device::netns;
use netstack_device::tun::TunConfig;
use sha2::{Digest, Sha256};
use tokio::runtime::Builder;
use tokio_netstack::{IpPrefix, Stack, TcpListener};

use crate::app::{self, SEED};
use crate::client::{Answer, Ask, Kind, curl_arguments, for_each_chunk};
use crate::hex::hex;
use crate::host;
use crate::number::grouped;
use crate::say::say;

const DEVICE: &str = "nst0";
const KERNEL: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
const STACK: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2))];
/// Where the bytes of the upload come from.
const UPLOAD: u64 = 2;

/// Runs it all.
///
/// # Errors
/// There is no namespace or TUN device to be had, or an answer was not the right one.
pub(crate) fn run(bytes: u64, client: Option<Kind>) -> io::Result<()> {
    // Before any thread: a process with threads cannot enter a user namespace.
    netns::enter_private()?;
    let client = client.unwrap_or_else(Kind::available);
    Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let stack = start().await?;
        say!(
            "In a network namespace of its own, this process has a TUN device, {DEVICE}. On its one side is the\n\
             Linux kernel, {}, with the client. On the other is the stack of this process, {},\n\
             with the server.\n",
            KERNEL[0], STACK[0]
        );
        tokio::task::spawn_blocking(move || fetch_all(client, bytes)).await.map_err(io::Error::other)??;
        stack.shutdown().await;
        Ok(())
    })
}

async fn start() -> io::Result<Stack> {
    let prefix = |ip: IpAddr| IpPrefix::new(ip, if ip.is_ipv4() { 24 } else { 64 }).map_err(io::Error::other);
    let mut config = TunConfig::new(DEVICE);
    for ip in KERNEL {
        config = config.host_address(ip, prefix(ip)?.prefix_len());
    }
    let mut builder = Stack::builder().device(config.open().await?);
    for ip in STACK {
        builder = builder.address(prefix(ip)?);
    }
    let stack = builder.build()?;
    for ip in STACK {
        tokio::spawn(app::serve(TcpListener::bind(&stack, (ip, 80)).await?));
    }
    Ok(stack)
}

fn fetch_all(client: Kind, bytes: u64) -> io::Result<()> {
    let expected = |seed| {
        let mut sum = Sha256::new();
        for_each_chunk(seed, bytes, |chunk| {
            sum.update(chunk);
            Ok(())
        })?;
        Ok::<_, io::Error>(hex(&sum.finalize()))
    };
    let (download, upload) = (expected(SEED)?, expected(UPLOAD)?);
    for (ip, kernel) in STACK.into_iter().zip(KERNEL) {
        let base = format!("http://{}", host(ip));
        let hello = fetch(client, Ask::Get, &format!("{base}/"))?;
        check(
            hello.status == 200 && hello.body.start().starts_with(&format!("Hello {}", host(kernel))),
            &hello,
        )?;
        let long = fetch(client, Ask::Get, &format!("{base}/bytes/{bytes}"))?;
        check(long.status == 200 && long.body.bytes() == bytes && long.body.sha256() == download, &long)?;
        say!("    its SHA-256 is that of what the server sent, {download}");
        let sum = fetch(client, Ask::Post { seed: UPLOAD, bytes }, &format!("{base}/sha256"))?;
        check(sum.status == 200 && sum.body.start() == upload, &sum)?;
        say!("    which is the SHA-256 of what was sent");
        let missing = fetch(client, Ask::Get, &format!("{base}/nothing"))?;
        check(missing.status == 404, &missing)?;
    }
    say!("\nEvery answer was right.");
    Ok(())
}

fn fetch(client: Kind, ask: Ask, url: &str) -> io::Result<Answer> {
    match client {
        Kind::Curl => {
            let arguments = curl_arguments(ask, url);
            let quoted = arguments
                .iter()
                .map(|a| if a.contains(['%', '*', '[']) { format!("'{a}'") } else { a.clone() });
            say!("$ curl {}", quoted.collect::<Vec<_>>().join(" ").replace('\n', "\\n"));
        }
        Kind::Own => say!("{} {url}", if matches!(ask, Ask::Get) { "GET" } else { "POST" }),
    }
    let started = Instant::now();
    let answer = client.fetch(ask, url)?;
    let seconds = started.elapsed().as_secs_f64();
    let long = answer.body.bytes() > 1000;
    let what = if long { format!("{} bytes", grouped(answer.body.bytes())) } else { answer.body.start() };
    say!("    {} {what} ({seconds:.2} s)", answer.status);
    Ok(answer)
}

fn check(right: bool, answer: &Answer) -> io::Result<()> {
    if right {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("this is not the answer expected: {answer:?}")))
}
