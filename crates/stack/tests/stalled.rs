//! A device that takes nothing for good: the ends of connections are told all the same.

use std::io::ErrorKind;
use std::time::Duration;

use crate::common::*;
use netstack_wire::tcp::TcpFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{Stack, TcpConfig, TcpListener, TcpStream};

const TICK: Duration = Duration::from_millis(2);

/// An open connection with more to send than the device takes, for its reader has stopped.
async fn stalled(config: &TcpConfig) -> (Stack, Raw, TcpStream) {
    let (stack, mut raw) =
        raw_pair_of_depth(1, |device| builder(device, 1).tcp_config(config.clone()).build().unwrap());
    let listener = TcpListener::bind(&stack, addr(SERVER, PORT)).await.unwrap();
    raw.open().await;
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&pattern(20_000)).await.unwrap();
    sleep(TICK).await;
    (stack, raw, stream)
}

async fn read_error(stream: &mut TcpStream, limit: Duration) -> ErrorKind {
    let read = timeout(limit, stream.read(&mut [0; 1])).await;
    read.expect("the socket is told").unwrap_err().kind()
}

// req: S-RST-3
#[tokio::test(start_paused = true)]
async fn a_reset_is_told_though_the_device_is_full() {
    let (stack, mut raw, mut stream) = stalled(&TcpConfig::new()).await;
    raw.send(TcpFlags::RST, b"");
    assert_eq!(read_error(&mut stream, TICK).await, ErrorKind::ConnectionReset);
    assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(stack.connection_count(), 0, "the task and the table's entry are gone");
}

// req: MUST-21
#[tokio::test(start_paused = true)]
async fn the_user_timeout_is_told_though_the_device_is_full() {
    let mut config = TcpConfig::new();
    config.user_timeout(Some(Duration::from_secs(5)));
    let (stack, _raw, mut stream) = stalled(&config).await;
    assert_eq!(read_error(&mut stream, Duration::from_secs(6)).await, ErrorKind::TimedOut);
    assert_eq!(stack.connection_count(), 0);
}

/// A reset of ours waits for the device, the socket does not wait for the reset.
#[tokio::test(start_paused = true)]
async fn an_abort_is_told_at_once_and_said_when_there_is_room() {
    let (stack, mut raw, mut stream) = stalled(&TcpConfig::new()).await;
    let aborting = stack.clone();
    let abort = tokio::spawn(async move { aborting.abort().await });
    assert_eq!(read_error(&mut stream, TICK).await, ErrorKind::ConnectionAborted);
    assert_eq!(stack.connection_count(), 1, "the reset is still to be sent");
    while !raw.recv_within(TICK).await.expect("a reset comes").has(TcpFlags::RST) {}
    timeout(TICK, abort).await.unwrap().unwrap();
    assert_eq!(stack.connection_count(), 0);
}
