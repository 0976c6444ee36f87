use std::io::ErrorKind;

use super::registry::Place;
use super::*;
use crate::{Stack, device};

/// A stop that passes a `bind` under way leaves no listener whose `accept` would wait for ever.
#[tokio::test(start_paused = true)]
async fn a_bind_that_a_stop_overtakes_fails() {
    let caps = device::Capabilities::ip(1500);
    let (here, _there) = device::memory::pair(caps.clone(), caps);
    let stack = Stack::builder().device(here).address("192.0.2.1/24".parse().unwrap()).build().unwrap();
    stack.inner.stop();
    // What a bind does behind its first look at the phase.
    let local = SocketAddr::from(([192, 0, 2, 1], 7));
    let entered = Place::enter(&stack.inner, Some(local), &ListenConfig::new(), Mode::Prompt, None);
    assert_eq!(entered.map(|_| ()).unwrap_err().kind(), ErrorKind::NetworkDown);
    let by_port = stack.inner.listeners.by_port.read().unwrap();
    assert!(by_port.is_empty(), "no listener stays behind");
}
