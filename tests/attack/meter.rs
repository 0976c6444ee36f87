//! What a scene costs, in bytes of memory: of all that the thread allocates, whoever accounts for it.

use std::future::Future;
use std::time::Duration;

use allocation_counter::AllocationInfo;
use tokio::runtime::{Builder, Runtime};
use tokio_netstack::Stack;

/// A runtime in virtual time, on this thread.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Runs a scene to its end, and says how much memory was allocated beyond what was there before: at most, and after it.
pub(crate) fn measured<F: Future>(runtime: &Runtime, scene: F) -> (F::Output, AllocationInfo) {
    let mut output = None;
    let info = allocation_counter::measure(|| output = Some(runtime.block_on(scene)));
    (output.unwrap(), info)
}

/// Nothing is left of what a stack did: no connection, no byte in its buffers, no task beyond those that read its devices.
pub(crate) async fn assert_clean(stack: &Stack, tasks: usize) {
    let settled = || stack.connection_count() == 0 && stack.time_wait_count() == 0 && alive() == tasks;
    for _ in 0..600 {
        if settled() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!((stack.connection_count(), stack.time_wait_count()), (0, 0), "table entries");
    assert_eq!(stack.buffered(), 0, "bytes in buffers");
    assert_eq!(alive(), tasks, "tasks");
}

/// Tasks of the runtime that this is called in.
pub(crate) fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}
