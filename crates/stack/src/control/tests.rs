use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::serve;
use crate::{Stack, TcpListener, TcpStream, device};

fn stacks() -> (Stack, Stack) {
    let caps = device::Capabilities::ip(1500);
    let (a, b) = device::memory::pair(caps.clone(), caps);
    let stack = |device, address: &str| {
        Stack::builder().device(device).address(address.parse().unwrap()).build().unwrap()
    };
    (stack(a, "192.0.2.1/24"), stack(b, "192.0.2.2/24"))
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("netstack-{}-{name}.sock", std::process::id()))
}

async fn ask(path: &PathBuf) -> std::io::Result<String> {
    let mut text = String::new();
    UnixStream::connect(path).await?.read_to_string(&mut text).await?;
    Ok(text)
}

#[tokio::test]
async fn connections_are_told_with_their_figures() {
    let (server, client) = stacks();
    let listener = TcpListener::bind(&server, ([192, 0, 2, 1], 7)).await.unwrap();
    let stream = TcpStream::connect(&client, ([192, 0, 2, 1], 7)).await.unwrap();
    let path = path("told");
    let control = serve(&client, &path).unwrap();
    let text = ask(&path).await.unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("State       Recv-Q  Send-Q"), "{text}");
    assert!(lines[1].starts_with("ESTAB            0       0"), "{text}");
    assert!(lines[1].ends_with(&format!("{} 192.0.2.1:7", stream.local_addr().unwrap())), "{text}");
    for part in ["cubic wscale:", " mss:1448 pmtu:1500 cwnd:10 ", "segs_out:"] {
        assert!(lines[2].contains(part), "{part} in {text}");
    }
    drop((listener, control));
    assert!(!path.exists());
}

#[tokio::test]
async fn it_keeps_no_stack_alive_and_takes_over_a_stale_socket() {
    let (server, client) = stacks();
    let path = path("stale");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let control = serve(&server, &path).unwrap();
    assert!(serve(&client, &path).is_err(), "somebody listens there");
    drop(server);
    // The last handle is gone, and with it whom to ask: no answer, in one way or another.
    let answer = tokio::time::timeout(Duration::from_secs(5), ask(&path)).await.unwrap();
    assert_eq!(answer.unwrap_or_default(), "");
    drop(control);
}
