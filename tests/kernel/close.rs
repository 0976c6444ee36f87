//! Teardown in every order, with the state of each end watched.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio_netstack::{State, TcpStream};

use crate::bytes::{CHUNK, check, check_end, send};
use crate::kernel_state::kernel_state;
use crate::world::{CaseResult, World, ensure, settle};

const BYTES: u64 = 5_000;

/// The kernel's state of the connection whose other end is `stream`.
fn peer_state(stream: &TcpStream) -> io::Result<impl Fn() -> &'static str + use<>> {
    let (kernel, stack) = (stream.peer_addr()?, stream.local_addr()?);
    Ok(move || kernel_state(kernel, stack))
}

/// Waits until the stack's end is in this state, at most two seconds.
async fn stack_state(stream: &TcpStream, when: &str, expected: State) -> CaseResult {
    let mut state = stream.info().await?.state;
    for _ in 0..400 {
        if state == expected {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        state = stream.info().await?.state;
    }
    Err(format!("{when}: expected {expected}, still {state} after 2 s").into())
}

/// The kernel's FIN comes first: the stack still sends, then closes, and keeps nothing.
// req: S-FIN-2, S-FIN-4, S-SEND-2, S-RECV-1, S-CLOSE-4, S-ACK-10, MUST-12
pub(crate) async fn kernel_first(world: Arc<World>) -> CaseResult {
    let (mut kernel, mut stack) = world.pair(7).await?;
    let at_kernel = peer_state(&stack)?;
    send(&mut kernel, 1, BYTES, CHUNK).await?;
    kernel.shutdown().await?;
    check(&mut stack, 1, BYTES, CHUNK).await?;
    check_end(&mut stack).await?;
    settle("the kernel after its FIN", "FIN-WAIT-2", &at_kernel).await?;
    stack_state(&stack, "the stack after the kernel's FIN", State::CloseWait).await?;
    send(&mut stack, 2, BYTES, CHUNK).await?;
    drop(stack);
    check(&mut kernel, 2, BYTES, CHUNK).await?;
    check_end(&mut kernel).await?;
    settle("the kernel after both FINs", "TIME-WAIT", &at_kernel).await?;
    settle("connections that the stack keeps", 0, || world.stack.connection_count()).await?;
    ensure!(world.stack.time_wait_count() == 0, "the passive closer went to TIME-WAIT");
    Ok(())
}

/// The stack's FIN comes first: it still reads what the kernel sends, and ends in TIME-WAIT.
// req: S-ACK-8, S-TEXT-1, S-FIN-6
pub(crate) async fn stack_first(world: Arc<World>) -> CaseResult {
    let (mut kernel, mut stack) = world.pair(7).await?;
    let at_kernel = peer_state(&stack)?;
    send(&mut stack, 1, BYTES, CHUNK).await?;
    stack.shutdown().await?;
    check(&mut kernel, 1, BYTES, CHUNK).await?;
    check_end(&mut kernel).await?;
    settle("the kernel after the stack's FIN", "CLOSE-WAIT", &at_kernel).await?;
    stack_state(&stack, "the stack after its FIN", State::FinWait2).await?;
    send(&mut kernel, 2, BYTES, CHUNK).await?;
    drop(kernel);
    check(&mut stack, 2, BYTES, CHUNK).await?;
    check_end(&mut stack).await?;
    settle("the kernel after both FINs", "CLOSED", &at_kernel).await?;
    settle("TIME-WAIT records of the stack", 1, || world.stack.time_wait_count()).await?;
    Ok(())
}

/// Both FINs are on their way at once: the stack's leaves while the kernel's waits behind the gate.
// req: S-FIN-5, S-ACK-9
pub(crate) async fn simultaneous(world: Arc<World>) -> CaseResult {
    let (mut kernel, mut stack) = world.pair(7).await?;
    let at_kernel = peer_state(&stack)?;
    world.gate.shut();
    kernel.shutdown().await?;
    settle("the kernel after its FIN", "FIN-WAIT-1", &at_kernel).await?;
    stack.shutdown().await?;
    settle("the kernel after the FINs crossed", "CLOSING", &at_kernel).await?;
    stack_state(&stack, "the stack with the kernel's FIN on its way", State::FinWait1).await?;
    world.gate.open();
    check_end(&mut stack).await?;
    check_end(&mut kernel).await?;
    settle("the kernel at the end", "TIME-WAIT", &at_kernel).await?;
    settle("TIME-WAIT records of the stack", 1, || world.stack.time_wait_count()).await?;
    Ok(())
}

const REPLY: u64 = 10_000_000;

/// The kernel closes its half after a request; a second later 10 MB come back.
// req: S-FIN-4, S-SEND-2, S-CLOSE-1
pub(crate) async fn half_close_by_kernel(world: Arc<World>) -> CaseResult {
    let (mut kernel, mut stack) = world.pair(7).await?;
    let client = world.on_kernel(async move {
        send(&mut kernel, 1, BYTES, CHUNK).await?;
        kernel.shutdown().await?;
        check(&mut kernel, 2, REPLY, CHUNK).await?;
        check_end(&mut kernel).await
    });
    check(&mut stack, 1, BYTES, CHUNK).await?;
    check_end(&mut stack).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    send(&mut stack, 2, REPLY, CHUNK).await?;
    stack.shutdown().await?;
    Ok(client.await??)
}

/// The stack closes its half after a request; a second later 10 MB come back.
// req: S-ACK-8, S-TEXT-1, S-FIN-6
pub(crate) async fn half_close_by_stack(world: Arc<World>) -> CaseResult {
    let (mut kernel, mut stack) = world.pair(7).await?;
    let server = world.on_kernel(async move {
        check(&mut kernel, 1, BYTES, CHUNK).await?;
        check_end(&mut kernel).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        send(&mut kernel, 2, REPLY, CHUNK).await?;
        kernel.shutdown().await
    });
    send(&mut stack, 1, BYTES, CHUNK).await?;
    stack.shutdown().await?;
    check(&mut stack, 2, REPLY, CHUNK).await?;
    check_end(&mut stack).await?;
    Ok(server.await??)
}
