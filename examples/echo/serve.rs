//! `--tun`: the services on a TUN device of the current network namespace, until a signal.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use netstack_device::Device;
use netstack_device::pcapng::Tee;
use tokio_netstack::{IpPrefix, Stack};

use crate::cli::Args;
use crate::farewell::Farewell;
use crate::services;
use crate::states;
use crate::timeline::Timeline;

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
    let farewell = Farewell::new()?;
    // Before the device is made, which a mistake here would leave without a purpose.
    let capture = args.pcap.as_deref().map(create_capture).transpose()?;
    let tun = args.link.open(name).await?;
    let device: Box<dyn Device> = match capture {
        None => Box::new(tun),
        Some(file) => Box::new(Tee::new(tun, name, file)?),
    };

    let mut builder = Stack::builder().device(device);
    let own = args.link.addresses();
    for &prefix in &own {
        builder = builder.address(prefix);
    }
    let stack = builder.build()?;
    let control = args.control.as_deref().map(|path| tokio_netstack::control::serve(&stack, path));
    let _control = control.transpose().map_err(|error| {
        let text = format!("cannot offer the control socket: {error}; name a path that is free");
        io::Error::new(error.kind(), text)
    })?;
    let addresses: Vec<IpAddr> = own.iter().map(IpPrefix::addr).collect();
    services::start(&stack, &addresses).await?;
    eprintln!("ready: {}", described(name, &addresses));

    farewell.wait(&stack).await;
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
