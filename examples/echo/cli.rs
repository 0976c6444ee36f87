//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, value_parser};
use tokio_netstack::IpPrefix;

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
    /// Serve on this TUN device, in the current network namespace
    ///
    /// A device that exists is attached to, and its configuration is left
    /// alone. One that does not is created, which needs root or
    /// CAP_NET_ADMIN, and goes away when the program ends.
    #[arg(long, value_name = "NAME", verbatim_doc_comment)]
    pub(crate) tun: Option<String>,

    /// IPv4 address of this stack with its prefix length: 192.0.2.2/24
    #[arg(long, value_name = "ADDR/LEN", requires = "tun")]
    pub(crate) addr: Option<IpPrefix>,

    /// IPv6 address of this stack with its prefix length: 2001:db8::2/64
    #[arg(long, value_name = "ADDR/LEN", requires = "tun")]
    pub(crate) addr6: Option<IpPrefix>,

    /// IPv4 address of the kernel on the device: 192.0.2.1/24
    ///
    /// Given to a device that is created; without it the kernel gets a
    /// route to the stack's network and no address there.
    #[arg(long, value_name = "ADDR/LEN", requires = "tun", verbatim_doc_comment)]
    pub(crate) host_addr: Option<IpPrefix>,

    /// IPv6 address of the kernel on the device: 2001:db8::1/64
    ///
    /// As --host-addr.
    #[arg(long, value_name = "ADDR/LEN", requires = "tun", verbatim_doc_comment)]
    pub(crate) host_addr6: Option<IpPrefix>,

    /// Largest IP packet of a device that is created [default: 1500]
    ///
    /// 68 to 65535 bytes, and at least 1280 with IPv6.
    #[arg(long, value_name = "BYTES", requires = "tun", value_parser = value_parser!(u16).range(68..))]
    pub(crate) mtu: Option<u16>,

    /// Write all packets to this file, in the pcapng format of Wireshark
    #[arg(long, value_name = "FILE", requires = "tun")]
    pub(crate) pcap: Option<PathBuf>,
}

impl Args {
    /// Reads the command line; on a mistake says what to do and ends the program with status 2.
    pub(crate) fn read() -> Self {
        let args = Self::parse();
        if let Err(mistake) = args.check() {
            Self::command().error(ErrorKind::ValueValidation, mistake).exit();
        }
        args
    }

    /// What clap cannot see by itself: each address in the option of its family, and one at least.
    fn check(&self) -> Result<(), String> {
        let options = [
            ("--addr", &self.addr, false),
            ("--host-addr", &self.host_addr, false),
            ("--addr6", &self.addr6, true),
            ("--host-addr6", &self.host_addr6, true),
        ];
        for (option, value, wants_v6) in options {
            let Some(net) = value else { continue };
            match (net.addr(), wants_v6) {
                (IpAddr::V4(v4), true) => {
                    return Err(format!(
                        "{option} takes an IPv6 address; {v4} goes with {}",
                        option.trim_end_matches('6')
                    ));
                }
                (IpAddr::V6(v6), false) => {
                    return Err(format!("{option} takes an IPv4 address; {v6} goes with {option}6"));
                }
                _ => {}
            }
        }
        if self.tun.is_some() && self.addr.is_none() && self.addr6.is_none() {
            return Err(
                "--tun needs an address for the stack to answer at: add --addr 192.0.2.2/24".to_owned()
            );
        }
        Ok(())
    }
}
