//! The kernel's end goes away with data outstanding: the application hears of a reset, not of an end.

use std::io::{self, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio_netstack::TcpStream;

use crate::bytes::{CHUNK, check, send};
use crate::pattern::Pattern;
use crate::world::{CaseResult, World};

/// Names the address that a process which is started to be killed connects to.
pub(crate) const VICTIM_VARIABLE: &str = "NETSTACK_KERNEL_VICTIM";

const GREETING: usize = 1000;

/// More than both ends can buffer, so that a write is pending when the reset comes.
const TOO_MUCH: u64 = 64 << 20;

/// The kernel's socket is closed with linger 0.
// req: S-RST-3, R5961-2, MUST-12
pub(crate) async fn by_linger(world: Arc<World>) -> CaseResult {
    let (mut kernel, stack) = world.pair(7).await?;
    send(&mut kernel, 1, GREETING as u64, CHUNK).await?;
    resets(stack, || {
        SockRef::from(&kernel).set_linger(Some(Duration::ZERO))?;
        drop(kernel);
        Ok(())
    })
    .await
}

/// The process that holds the kernel's end is killed with unread data in its socket.
// req: S-RST-3, R5961-2, MUST-12
pub(crate) async fn by_kill(world: Arc<World>) -> CaseResult {
    let listener = world.listen(7).await?;
    let mut victim = start_victim(&world.at_stack(7).to_string())?;
    let (stack, _) = listener.accept().await?;
    let outcome = resets(stack, || victim.kill()).await;
    victim.wait()?;
    outcome
}

/// Has a read and a write pending on `stack` while `cause` lets the kernel's end go away.
async fn resets(stack: TcpStream, cause: impl FnOnce() -> io::Result<()>) -> CaseResult {
    let (mut reader, mut writer) = stack.into_split();
    check(&mut reader, 1, GREETING as u64, CHUNK).await?;
    let reading = tokio::spawn(async move { reader.read(&mut [0; 16]).await });
    let writing = tokio::spawn(async move { send(&mut writer, 2, TOO_MUCH, CHUNK).await });
    // Time for the stack to fill the kernel's receive buffer and its own send buffer.
    tokio::time::sleep(Duration::from_millis(200)).await;
    cause()?;
    is_reset("the pending read", reading.await?)?;
    is_reset("the pending write", writing.await?)
}

fn is_reset<T: std::fmt::Debug>(what: &str, result: io::Result<T>) -> CaseResult {
    match result {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        other => Err(format!("{what} ended with {other:?} instead of ConnectionReset").into()),
    }
}

fn start_victim(target: &str) -> io::Result<Child> {
    Command::new(std::env::current_exe()?).env(VICTIM_VARIABLE, target).stdin(Stdio::null()).spawn()
}

/// The victim: greets, reads nothing, and waits for its end.
pub(crate) fn run_victim(target: &str) -> ExitCode {
    let connected = std::net::TcpStream::connect(target).and_then(|mut stream| {
        let mut greeting = [0; GREETING];
        Pattern::new(1).fill(&mut greeting);
        stream.write_all(&greeting)?;
        // Ends by itself should nobody be left to kill it.
        thread::sleep(Duration::from_secs(60));
        Ok(())
    });
    if let Err(error) = connected {
        eprintln!("the process to be killed: {error}");
    }
    ExitCode::FAILURE
}
