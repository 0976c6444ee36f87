//! A server as the client sees it: a process, started for one measurement and ended after it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use netstack_bench_services::{PORT, READY};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::candidate::{Attach, Launch};
use super::net::Netlink;

/// What a process with a namespace of its own says when it is in it.
pub(super) const IN_NAMESPACE: &str = "in a namespace";

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

/// A process that runs until this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    _lifeline: ChildStdin,
    process: u32,
    device: String,
    address: Ipv4Addr,
}

impl Server {
    /// Starts a server, its device at this end called `device` with the address `near`; it listens on `far`.
    pub(super) async fn start(
        netlink: &Netlink,
        launch: &Launch,
        device: &str,
        near: Ipv4Addr,
        far: Ipv4Addr,
    ) -> io::Result<Self> {
        let mut spawned = Spawned::new(&launch.program, &launch.arguments)?;
        match launch.attach {
            Attach::Tun => {
                spawned.hear(READY).await?;
                // No super-segments for a device that has no offload: the kernel cuts what the client sends.
                netlink.configure(device, near, false).await?;
            }
            Attach::Veth | Attach::VethPlain => {
                spawned.give_veth(netlink, device, near, launch.attach == Attach::VethPlain).await?;
                spawned.hear(READY).await?;
            }
        }
        Ok(spawned.into_server(device, far))
    }

    /// Where its service is.
    pub(super) fn service(&self) -> SocketAddr {
        (self.address, PORT).into()
    }

    pub(super) fn process(&self) -> u32 {
        self.process
    }

    /// The client's end of its device.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// Ends the process and waits until it, and so its device, is gone.
    pub(super) async fn stop(mut self) -> io::Result<()> {
        self.child.kill().await
    }
}

/// A process that is starting.
pub(super) struct Spawned {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    process: u32,
}

impl Spawned {
    pub(super) fn new(program: &std::path::Path, arguments: &[String]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("cannot start {}: {e}", program.display())))?;
        let no_pipe = || io::Error::other("the server has no pipes");
        let input = child.stdin.take().ok_or_else(no_pipe)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(no_pipe)?);
        let process = child.id().ok_or_else(no_pipe)?;
        Ok(Self { child, input, output, process })
    }

    /// Waits for the process to have its namespace, gives it a veth pair's far end and tells it so; the near end is
    /// brought up.
    pub(super) async fn give_veth(
        &mut self,
        netlink: &Netlink,
        near_device: &str,
        near: Ipv4Addr,
        plain: bool,
    ) -> io::Result<()> {
        self.hear(IN_NAMESPACE).await?;
        netlink.veth(near_device, self.process).await?;
        netlink.configure(near_device, near, plain).await?;
        self.input.write_all(b"the device is there\n").await
    }

    /// Waits until the process says this.
    pub(super) async fn hear(&mut self, awaited: &str) -> io::Result<()> {
        let mut line = String::new();
        let heard = timeout(START, self.output.read_line(&mut line)).await;
        heard.map_err(|_| io::Error::other(format!("did not say `{awaited}` within {START:?}")))??;
        if line.trim_end() != awaited {
            return Err(io::Error::other(format!("said `{}`, not `{awaited}`; see above", line.trim_end())));
        }
        Ok(())
    }

    pub(super) fn into_server(self, device: &str, address: Ipv4Addr) -> Server {
        let Self { child, input, process, .. } = self;
        Server { child, _lifeline: input, process, device: device.to_owned(), address }
    }
}
