//! The command line.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::link::Link;

/// The small services of old, on a TCP/IP stack that lives in this process.
///
/// Serves echo (port 7, RFC 862), discard (9, RFC 863), daytime (13, RFC 867) and
/// chargen (19, RFC 864) over IPv4 and IPv6.
///
/// Without options it shows what the stack does: it makes a private network
/// namespace with a TUN device in it, lets the Linux kernel's TCP be the client,
/// and prints each segment of a connection with the state of both ends, then the
/// throughput of an echo of 1 GiB. It needs no set-up and leaves nothing behind;
/// the exit status is 0 if all that came back was equal to what was sent.
///
/// With --tun it serves on that TUN device until Ctrl-C or SIGTERM.
#[derive(Debug, Parser)]
#[command(name = "echo", version, verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) link: Link,

    /// Write all packets to this file, in the pcapng format of Wireshark
    #[arg(long, value_name = "FILE", requires = "tun")]
    pub(crate) pcap: Option<PathBuf>,

    /// Tell the connections to whoever asks on this Unix socket: `netstack ss --control PATH`
    #[arg(long, value_name = "PATH", requires = "tun")]
    pub(crate) control: Option<PathBuf>,
}

impl Args {
    /// Reads the command line; on a mistake says what to do and ends the program with status 2.
    pub(crate) fn read() -> Self {
        let args = Self::parse();
        if let Err(mistake) = args.link.check() {
            Self::command().error(ErrorKind::ValueValidation, mistake).exit();
        }
        args
    }
}
