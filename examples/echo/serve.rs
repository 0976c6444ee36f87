//! `--tun`: the services on a TUN device of the current network namespace, until a signal.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use netstack_device::Device;
use netstack_device::pcapng::Tee;
use netstack_device::tun::TunConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio_netstack::{IpPrefix, Stack};

use crate::cli::Args;
use crate::services;
use crate::states;
use crate::timeline::Timeline;

/// How long connections have to end in order once a signal came.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves until Ctrl-C or SIGTERM.
pub(crate) fn run(device: &str, args: Args) -> ExitCode {
    states::install(&Timeline::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(device, args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(name: &str, args: Args) -> io::Result<()> {
    // Taken before the first packet, so that a signal never ends the program without a farewell.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    // Before the device is made, which a mistake here would leave without a purpose.
    let capture = args.pcap.as_deref().map(create_capture).transpose()?;
    let own: Vec<IpPrefix> = args.addr.into_iter().chain(args.addr6).collect();
    let mut config = TunConfig::new(name).mtu(args.mtu.unwrap_or(1500).into());
    for prefix in &own {
        config = config.address(prefix.addr(), prefix.prefix_len());
    }
    for prefix in args.host_addr.into_iter().chain(args.host_addr6) {
        config = config.host_address(prefix.addr(), prefix.prefix_len());
    }
    let tun = config.open().await?;
    let device: Box<dyn Device> = match capture {
        None => Box::new(tun),
        Some(file) => Box::new(Tee::new(tun, name, file)?),
    };

    let mut builder = Stack::builder().device(device);
    for &prefix in &own {
        builder = builder.address(prefix);
    }
    let stack = builder.build()?;
    let addresses: Vec<IpAddr> = own.iter().map(IpPrefix::addr).collect();
    services::start(&stack, &addresses).await?;
    eprintln!("ready: {}", described(name, &addresses));

    tokio::select! {
        biased;
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("stopping");
    if tokio::time::timeout(FAREWELL, stack.shutdown()).await.is_err() {
        eprintln!("some connections did not end within {} s: resetting them", FAREWELL.as_secs());
        stack.abort().await;
    }
    Ok(())
}

fn create_capture(path: &Path) -> io::Result<File> {
    File::create(path).map_err(|error| {
        let text = format!("cannot write the capture {}: {error}; name a file that can be", path.display());
        io::Error::new(error.kind(), text)
    })
}

fn described(name: &str, addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    format!(
        "echo (7), discard (9), daytime (13) and chargen (19) at {} on {name}; Ctrl-C ends it",
        addresses.join(" and ")
    )
}
