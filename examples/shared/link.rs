//! The TUN device that an example serves on: its options, and how it is opened.

use std::io;
use std::net::IpAddr;

use clap::{Args, value_parser};
use netstack_device::tun::{TunConfig, TunDevice};
use tokio_netstack::IpPrefix;

/// The options of `--tun`.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// Serve on this TUN device, in the current network namespace
    ///
    /// A device that exists is attached to, and its configuration is left
    /// alone. One that does not is created, which needs root or
    /// CAP_NET_ADMIN, and goes away when the program ends.
    #[arg(long, value_name = "NAME", verbatim_doc_comment)]
    pub(crate) tun: Option<String>,

    /// IPv4 address of this stack with its prefix length: 192.0.2.2/24
    #[arg(long, value_name = "ADDR/LEN", requires = "tun")]
    addr: Option<IpPrefix>,

    /// IPv6 address of this stack with its prefix length: 2001:db8::2/64
    #[arg(long, value_name = "ADDR/LEN", requires = "tun")]
    addr6: Option<IpPrefix>,

    /// IPv4 address of the kernel on the device: 192.0.2.1/24
    ///
    /// Given to a device that is created; without it the kernel gets a
    /// route to the stack's network and no address there.
    #[arg(long, value_name = "ADDR/LEN", requires = "tun", verbatim_doc_comment)]
    host_addr: Option<IpPrefix>,

    /// IPv6 address of the kernel on the device: 2001:db8::1/64
    ///
    /// As --host-addr.
    #[arg(long, value_name = "ADDR/LEN", requires = "tun", verbatim_doc_comment)]
    host_addr6: Option<IpPrefix>,

    /// Largest IP packet of a device that is created [default: 1500]
    ///
    /// 68 to 65535 bytes, and at least 1280 with IPv6.
    #[arg(long, value_name = "BYTES", requires = "tun", value_parser = value_parser!(u16).range(68..))]
    mtu: Option<u16>,
}

impl Link {
    /// What clap cannot see by itself: each address in the option of its family, and one at least.
    pub(crate) fn check(&self) -> Result<(), String> {
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
        if self.tun.is_some() && self.addresses().is_empty() {
            return Err(
                "--tun needs an address for the stack to answer at: add --addr 192.0.2.2/24".to_owned()
            );
        }
        Ok(())
    }

    /// The addresses of the stack.
    pub(crate) fn addresses(&self) -> Vec<IpPrefix> {
        self.addr.into_iter().chain(self.addr6).collect()
    }

    /// Opens the device `name` as the options say.
    pub(crate) async fn open(&self, name: &str) -> io::Result<TunDevice> {
        let mut config = TunConfig::new(name).mtu(self.mtu.unwrap_or(1500).into());
        for prefix in self.addresses() {
            config = config.address(prefix.addr(), prefix.prefix_len());
        }
        for prefix in self.host_addr.into_iter().chain(self.host_addr6) {
            config = config.host_address(prefix.addr(), prefix.prefix_len());
        }
        Ok(config.open().await?)
    }
}
