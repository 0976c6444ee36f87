use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::lane::lock;
use crate::{Stack, device};

/// A stop that passes a `bind` under way leaves no listener whose `accept` would wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bind_that_a_stop_overtakes_fails() {
    let caps = device::Capabilities::ip(1500);
    let (here, _there) = device::memory::pair(caps.clone(), caps);
    let stack = Stack::builder().device(here).address("192.0.2.1/24".parse().unwrap()).build().unwrap();
    let (binding, handle) = (stack.clone(), tokio::runtime::Handle::current());
    let bind = {
        // Port 0 waits for the ports, past the first look at the phase.
        let _held = lock(&stack.inner.ports);
        let bind = std::thread::spawn(move || {
            handle.block_on(TcpListener::bind(&binding, ([192, 0, 2, 1], 0))).map(drop)
        });
        std::thread::sleep(Duration::from_millis(50));
        stack.inner.stop();
        bind
    };
    let bound = tokio::task::spawn_blocking(|| bind.join()).await.unwrap().unwrap();
    assert_eq!(bound.unwrap_err().kind(), ErrorKind::NetworkDown);
    let by_port = stack.inner.listeners.by_port.read().unwrap();
    assert!(by_port.is_empty(), "no listener stays behind");
}
