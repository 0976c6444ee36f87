//! The yardstick: the kernel's own TCP, as server in a namespace of its own behind a veth pair. A process has one network
//! namespace, so the server is a second process of this program.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use futures_util::TryStreamExt;
use rtnetlink::{Handle, LinkUnspec, LinkVeth};
use tokio::runtime::Runtime;

use crate::server;

/// Set for the process that is the server.
const ROLE: &str = "NETSTACK_BENCH_VETH_SERVER";

const NEAR: &str = "bench2";
const FAR: &str = "bench3";

const NEAR_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const FAR_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2));

/// Whether this process is the server.
pub(crate) fn is_child() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// The server: tells when it has its namespace, waits for the device, serves until the other end of its input closes.
pub(crate) fn serve(runtime: &Runtime) -> io::Result<()> {
    say("in a namespace")?;
    let mut input = BufReader::new(io::stdin());
    input.read_line(&mut String::new())?;
    runtime.block_on(async {
        configure(&netlink()?, FAR, FAR_ADDRESS).await?;
        server::over_kernel(FAR_ADDRESS)
    })?;
    say("at work")?;
    input.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout();
    writeln!(output, "{line}")?;
    output.flush()
}

/// The server as its parent sees it.
#[derive(Debug)]
pub(crate) struct Kernel {
    child: Child,
    input: ChildStdin,
}

impl Kernel {
    /// Starts the server, makes the veth pair and gives it one end.
    pub(crate) async fn start(workers: usize) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(workers.to_string())
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let no_pipe = || io::Error::other("the server has no pipes");
        let mut input = child.stdin.take().ok_or_else(no_pipe)?;
        let mut output = BufReader::new(child.stdout.take().ok_or_else(no_pipe)?);
        hear(&mut output)?;
        let netlink = netlink()?;
        netlink.link().add(LinkVeth::new(NEAR, FAR).build()).execute().await.map_err(io::Error::other)?;
        let given = LinkUnspec::new_with_name(FAR).setns_by_pid(child.id()).build();
        netlink.link().set(given).execute().await.map_err(io::Error::other)?;
        configure(&netlink, NEAR, NEAR_ADDRESS).await?;
        writeln!(input, "the device is there")?;
        hear(&mut output)?;
        Ok(Self { child, input })
    }

    pub(crate) fn address(&self) -> IpAddr {
        FAR_ADDRESS
    }

    /// Ends the server.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        drop(self.input);
        self.child.wait().map(|_| ())
    }
}

/// Waits for a line of the server.
fn hear(output: &mut BufReader<ChildStdout>) -> io::Result<()> {
    match output.read_line(&mut String::new())? {
        0 => Err(io::Error::other("the server of the kernel's TCP ended early; its error stands above")),
        _ => Ok(()),
    }
}

fn netlink() -> io::Result<Handle> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    Ok(handle)
}

/// Gives a link its address and brings it up.
async fn configure(netlink: &Handle, name: &str, address: IpAddr) -> io::Result<()> {
    let mut found = netlink.link().get().match_name(name.to_owned()).execute();
    let link = found.try_next().await.map_err(io::Error::other)?;
    let index = link.ok_or_else(|| io::Error::other(format!("no link {name}")))?.header.index;
    netlink.address().add(index, address, 24).execute().await.map_err(io::Error::other)?;
    let up = LinkUnspec::new_with_index(index).up().build();
    netlink.link().set(up).execute().await.map_err(io::Error::other)
}
