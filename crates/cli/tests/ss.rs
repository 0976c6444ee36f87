//! `netstack ss` of a program that runs, in the middle of a long transfer.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{Stack, TcpListener, TcpStream, control, device};

fn stacks() -> (Stack, Stack) {
    let caps = device::Capabilities::ip(1500);
    let (a, b) = device::memory::pair(caps.clone(), caps);
    let stack = |device, address: &str| {
        let address = address.parse().expect("an address and its prefix");
        Stack::builder().device(device).address(address).build().expect("a stack of one address")
    };
    (stack(a, "192.0.2.1/24"), stack(b, "192.0.2.2/24"))
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("netstack-ss-{}-{name}.sock", std::process::id()))
}

/// Runs the command beside the stack, as another program would be.
async fn ss(path: &Path, more: &'static [&'static str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netstack"));
    command.arg("ss").arg("--control").arg(path).args(more);
    let run = move || command.output().expect("the command can be started");
    tokio::task::spawn_blocking(run).await.expect("it does not panic")
}

async fn shown(path: &Path, more: &'static [&'static str]) -> String {
    let output = ss(path, more).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The number behind a name, as `ss` writes it.
fn figure(text: &str, name: &str) -> Option<u64> {
    let rest = &text[text.find(name)? + name.len()..];
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_transfer_is_shown_with_figures_that_grow() {
    let (server, client) = stacks();
    let path = path("transfer");
    let control = control::serve(&client, &path).expect("the path is free");
    let listener = TcpListener::bind(&server, ([192, 0, 2, 1], 7)).await.expect("the port is free");
    let stream = TcpStream::connect(&client, ([192, 0, 2, 1], 7)).await.expect("somebody listens");
    let local = stream.local_addr().expect("it is connected").to_string();
    let (accepted, _) = listener.accept().await.expect("it was connected");
    let (mut read, mut write) = (tokio::io::split(accepted).0, tokio::io::split(stream).1);
    let (count, mut arrived) = tokio::sync::watch::channel(0);
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok(octets @ 1..) = read.read(&mut buffer).await {
            count.send_modify(|count| *count += octets);
        }
    });
    let writer = tokio::spawn(async move {
        let piece = vec![b'x'; 65_536];
        while write.write_all(&piece).await.is_ok() {}
    });
    let mut acked = Vec::new();
    for _ in 0..3 {
        let next = *arrived.borrow() + (1 << 20);
        arrived.wait_for(|&count| count >= next).await.expect("the transfer goes on");
        let text = shown(&path, &[]).await;
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("State") && lines[0].contains("Recv-Q"), "{text}");
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!((words[0], &words[words.len() - 2..]), ("ESTAB", &[local.as_str(), "192.0.2.1:7"][..]));
        for part in ["cubic", "wscale:", "rto:", "rtt:", "mss:1448", "cwnd:", "segs_out:", "bytes_acked:"] {
            assert!(lines[2].starts_with('\t') && lines[2].contains(part), "{part} in {text}");
        }
        acked.push(figure(&text, "bytes_acked:").expect("it was asserted above"));
    }
    assert!(acked[0] > 65_536 && acked.is_sorted_by(|a, b| a < b), "{acked:?}");
    assert!(shown(&path, &["--state", "estab"]).await.contains("192.0.2.1:7"));
    assert!(!shown(&path, &["--state", "time-wait"]).await.contains("192.0.2.1:7"));
    writer.abort();
    reader.abort();
    drop(control);
    let gone = ss(&path, &[]).await;
    let problem = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(gone.status.code() == Some(1) && problem.contains("no stack answers"), "{problem}");
}
